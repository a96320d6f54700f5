"""Commands that read rows of the source anew: ``dm export``, ``dm reload``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datamaster.cli.output import step
from datamaster.cli.session import Home, connect
from datamaster.platform.counts import counted


def register(app: typer.Typer) -> None:
    """Add the commands to ``dm``."""
    app.command()(export)
    app.command()(reload)


def export(
    table: Annotated[str, typer.Argument(help="The lake's name of the table.")],
    whole: Annotated[bool, typer.Option("--whole", help="Every row, not only those since the watermark.")] = False,
    home: Home = Path(".dm"),
) -> None:
    """Export a table from the source in one consistent snapshot, down the same road as its changes."""
    from datamaster.laptop import actions

    running = connect(home)
    with step(f"Export of {table}") as current:
        result = actions.export_table(running, table, whole=whole, progress=current.say)
        current.done(f"{counted(result.rows, 'row')} in {counted(len(result.objects), 'object')}")


def reload(
    table: Annotated[str, typer.Argument(help="The lake's name of the table.")],
    accept: Annotated[
        bool, typer.Option("--accept", help="Load nothing; take the last load as it is, though rows of it are missing.")
    ] = False,
    home: Home = Path(".dm"),
) -> None:
    """Load a table anew: a fence, then every row; what is gone from the source is gone from the lake."""
    from datamaster.laptop import actions

    running = connect(home)
    if accept:
        with step(f"The last load of {table}") as current:
            current.done(f"{actions.accept_load(running, table)}; dm run silver ends the rows of older loads")
        return
    with step(f"Reload of {table}"):
        actions.reload_table(running, table)
