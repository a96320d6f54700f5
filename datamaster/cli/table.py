"""Commands on the lake's tables: ``dm table ls``, ``dm table show``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from datamaster.cli.output import out, print_json, print_table
from datamaster.cli.session import Env, Home, platform

app = typer.Typer(no_args_is_help=True, help="Look at the tables of the lake.")
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
PARTITIONS = ("partition", "rows", "files", "delete files", "kB", "last change")
SNAPSHOTS = ("snapshot", "committed", "operation", "rows added", "rows removed", "files added", "files removed")
TABLES = ("table", "rows", "files", "kB", "partitions", "snapshots", "last change")


@app.command("ls")
def ls(json: Json = False, home: Home = Path(".dm"), env: Env = None) -> None:
    """List the tables with their sizes."""
    from datamaster.platform import lake_tables

    platform(home, env)
    found = [lake_tables.describe(name) for name in lake_tables.names()]
    if json:
        print_json([{"table": table.name, **table.totals} for table in found])
        return
    rows = []
    for table in found:
        totals = table.totals
        counts = (f"{totals['rows']:,}", totals["files"], _kilobytes(totals["bytes"]), totals["partitions"], totals["snapshots"])
        rows.append((table.name, *counts, _moment(totals["last_changed_at"])))
    print_table(TABLES, rows, numeric=TABLES[1:6], whole=("table",))


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="The table, as review or dm_gold.top_drinkers.")],
    limit: Annotated[int, typer.Option(min=1, help="How many snapshots and partitions to show at most; JSON has all.")] = 20,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> None:
    """Show one table: its partitions, files, sizes, snapshots and latest changes."""
    from datamaster.platform import lake_tables

    platform(home, env)
    table = lake_tables.describe(name)
    if json:
        print_json(table.as_dict())
        return
    totals = table.totals
    out.print(f"{table.name}: {totals['rows']:,} rows in {totals['files']:,} files, {_kilobytes(totals['bytes'])} kB; times are UTC")
    out.print(table.location)
    shown = [
        (
            line.partition or "whole table",
            f"{line.rows:,}",
            line.files,
            line.delete_files,
            _kilobytes(line.bytes),
            _moment(line.last_changed_at),
        )
        for line in table.partitions[-limit:]
    ]
    print_table(PARTITIONS, shown, _title("Partitions", len(shown), len(table.partitions)), numeric=PARTITIONS[1:5])
    changes = [
        (
            line.snapshot_id,
            _moment(line.committed_at),
            line.operation,
            f"{line.rows_added:,}",
            f"{line.rows_removed:,}",
            line.files_added,
            line.files_removed,
        )
        for line in table.snapshots[:limit]
    ]
    print_table(SNAPSHOTS, changes, _title("Snapshots", len(changes), len(table.snapshots)), numeric=SNAPSHOTS[3:], whole=("snapshot",))
    if any(line.files_removed for line in table.snapshots[:limit]):
        out.print("A commit writes whole files anew: all rows of such a file count as removed and as added.")


def _title(what: str, shown: int, known: int) -> str:
    return what if shown == known else f"{what}: the last {shown} of {known}"


def _kilobytes(size: int) -> str:
    return f"{size / 1000:,.1f}"


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""
