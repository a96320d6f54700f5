"""Commands that make rows: ``dm seed``, ``dm churn``, ``dm export``, ``dm reload``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datamaster.cli.output import print_table, step
from datamaster.cli.session import Home, connect
from datamaster.platform.counts import counted


def register(app: typer.Typer) -> None:
    """Add the commands to ``dm``."""
    app.command()(seed)
    app.command()(churn)
    app.command()(export)
    app.command()(reload)


def seed(
    reviews: Annotated[int, typer.Option(min=1, help="How many reviews; the other tables follow in proportion.")] = 100_000,
    data: Annotated[
        Path | None, typer.Option(help="Folder of real brewery, beer and profile CSV.gz.", exists=True, file_okay=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows.")] = 1,
    home: Home = Path(".dm"),
) -> None:
    """Fill the source database with breweries, beers, profiles and reviews."""
    from beer import generate

    dsn = connect(home).dsn
    with step("Rows in PostgreSQL") as current:
        loaded = generate.load_real(dsn, data, reviews, seed) if data else generate.load_generated(dsn, reviews, seed)
        current.done(", ".join(f"{count:,} {table}" for table, count in vars(loaded).items()))


def churn(
    changes: Annotated[int, typer.Option(min=1, help="How many row changes.")] = 5_000,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Changes a second; as fast as it goes where not given.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same changes.")] = 1,
    home: Home = Path(".dm"),
) -> None:
    """Insert, update, delete and re-key rows of the source in transactions, as an application would."""
    from beer.churn import run

    dsn = connect(home).dsn
    with step("Live changes") as current:
        counts = run(dsn, changes, rate, seed)
        current.done(f"{changes:,}")
    print_table(("what", "rows"), list(vars(counts).items()), numeric=("rows",))


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
