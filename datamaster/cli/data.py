"""Commands that read rows of the source again: ``dm export``, ``dm reload``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from datamaster.cli.output import fail, step
from datamaster.cli.session import Env, Home, platform
from datamaster.platform.counts import counted
from lake.control.records import FAILED


class LoadWay(StrEnum):
    """The way of a load."""

    auto = "auto"
    export = "export"
    stream = "stream"


def register(app: typer.Typer) -> None:
    """Add the commands to ``dm``."""
    app.command()(export)
    app.command()(reload)


def export(
    table: Annotated[str, typer.Argument(help="The lake's name of the table.")],
    whole: Annotated[bool, typer.Option("--whole", help="Every row, not only those since the watermark.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Only the rows of which cdc_missing names a column.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until its files are converted.")] = True,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Export a table from the source in one consistent snapshot, down the same road as its changes. Exits 1 if a file is refused."""
    from datamaster.platform import actions

    if whole and missing:
        raise typer.BadParameter("it exports every row already, those of --missing among them", param_hint="--whole")
    running = platform(home, env)
    with step(f"Export of {table}") as current:
        if missing:
            result = actions.export_missing(running, table, current.say)
        else:
            result = actions.export_table(running, table, whole, current.say)
        if result is None:
            current.done("no row lacks a value")
            return 0
        current.done(f"{counted(result.rows, 'row')} in {counted(len(result.objects), 'object')}")
    if not wait:
        return 0
    with step("Its files to bronze") as current:
        files = actions.await_export(running, result, current.say)
        rejected = sum(file.records_rejected or 0 for file in files)
        current.done(
            counted(sum(file.records_written or 0 for file in files), "row") + (f", {rejected:,} in quarantine" if rejected else "")
        )
    failed = [file for file in files if file.status == FAILED]
    for file in failed:
        fail(f"{file.object_key} was refused: {file.error_message}; dm files show {file.file_id}")
    return 1 if failed else 0


def reload(
    table: Annotated[str, typer.Argument(help="The lake's name of the table.")],
    accept: Annotated[
        bool, typer.Option("--accept", help="Load nothing. Take the last load as it is, although rows of it are missing.")
    ] = False,
    load: Annotated[
        LoadWay, typer.Option(help="By an export, which is faster, by the stream, or by an export from 100,000 rows on.")
    ] = LoadWay.auto,
    home: Home = Path(".dm"),
    env: Env = None,
) -> None:
    """Load every row of a table again. The lake then drops rows that the source no longer has."""
    from datamaster.platform import actions

    running = platform(home, env)
    if accept:
        with step(f"The last load of {table}") as current:
            current.done(f"{actions.accept_load(running, table)}; dm run silver ends the rows of older loads")
        return
    with step(f"Reload of {table}") as current:
        if load == LoadWay.export or (load == LoadWay.auto and actions.is_large(running, table)):
            result = actions.load_by_export(running, table, current.say)
            current.done(f"{counted(result.rows, 'row')} in {counted(len(result.objects), 'object')}; dm run silver merges them")
        else:
            actions.reload_table(running, table)
