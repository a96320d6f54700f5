"""The example's commands of ``dm``: ``demo``, ``seed`` and ``churn``. The entry point ``datamaster.commands`` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datamaster.cli.output import print_table, step
from datamaster.cli.session import Home, connect


def register(app: typer.Typer) -> None:
    """Add the commands to ``dm``."""
    app.command()(demo)
    app.command()(seed)
    app.command()(churn)


def demo(
    reviews: Annotated[int, typer.Option(min=1_000, help="How many reviews to begin with.")] = 110_000,
    changes: Annotated[int, typer.Option(min=0, help="How many live changes to make.")] = 5_000,
    data: Annotated[
        Path | None, typer.Option(help="Folder of real brewery, beer and profile CSV.gz.", exists=True, file_okay=False)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Leave the platform running at the end.")] = True,
    home: Home = Path(".dm"),
) -> int:
    """Take rows from a real PostgreSQL to gold tables, and prove that the lake equals its source. Exits 1 if it does not."""
    from beer.demo import Demo

    return Demo(home, reviews=reviews, changes=changes, data=data, keep=keep).run()


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
    rate: Annotated[float | None, typer.Option(min=0.1, help="Changes a second. Default: as fast as it goes.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same changes.")] = 1,
    home: Home = Path(".dm"),
) -> None:
    """Insert, update, delete and re-key rows of the source in transactions, as an application would do."""
    from beer.churn import run

    dsn = connect(home).dsn
    with step("Live changes") as current:
        counts = run(dsn, changes, rate, seed)
        current.done(f"{changes:,}")
    print_table(("what", "rows"), list(vars(counts).items()), numeric=("rows",))
