"""Commands on the lake: ``dm run``, ``dm query``, ``dm verify``, ``dm convert``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from datamaster.cli.output import err, fail, out, print_json, print_table, step
from datamaster.cli.session import Env, Home, platform
from datamaster.platform.counts import counted


class RunLayer(StrEnum):
    """The layers that ``dm run`` updates, and maintenance."""

    silver = "silver"
    gold = "gold"
    maintenance = "maintenance"


class Format(StrEnum):
    """The output formats of ``dm query``."""

    table = "table"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the commands to ``dm``."""
    app.command()(run)
    app.command()(query)
    app.command()(verify)
    app.command()(convert)


def run(
    layer: Annotated[RunLayer, typer.Argument(help="silver, gold or maintenance.")],
    wait: Annotated[bool, typer.Option(help="Before silver, wait for what is committed to reach bronze.")] = True,
    table: Annotated[list[str] | None, typer.Option(help="Only this table; repeat for more. For silver and maintenance.")] = None,
    keep_days: Annotated[float, typer.Option(min=0, help="How many days of snapshots maintenance keeps.")] = 5,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Run a merge into silver, a build of gold, or the tables' maintenance now, before its schedule. Exits 1 if a table failed."""
    from datamaster.platform import actions, pipelines

    running = platform(home, env)
    if wait and layer is RunLayer.silver:
        with step("What is committed, to bronze") as current:
            statuses = actions.convert_all(running, current.say)
            current.done(", ".join(f"{counted(count, 'file')} {status}" for status, count in sorted(statuses.items())) or "no files")
    asked: dict[str, object] = {"tables": table} if table else {}
    if layer is RunLayer.maintenance:
        asked["keep_days"] = keep_days
    with step("Look after the tables" if layer is RunLayer.maintenance else f"Bring {layer} up to date") as current:
        result = pipelines.run(running, layer, current.say, asked)
        current.done(result.summary)
    if result.maintained:
        print_table(MAINTAINED, [maintained_row(done) for done in result.maintained], numeric=MAINTAINED[1:])
    for name, reason in result.skipped:
        out.print(f"skipped {name}: {reason}")
    for name, reason in result.failed:
        out.print(f"failed {name}: {reason}")
    return 1 if result.failed else 0


MAINTAINED = ("table", "files before", "after", "kB stored before", "after ", "snapshots expired", "objects removed")


def maintained_row(done: Mapping[str, Any]) -> tuple[str | int, ...]:
    """The effect of maintenance on one table, in the order of ``MAINTAINED``."""
    before, after = done["before"], done["after"]
    stored = (f"{size['stored_bytes'] / 1000:,.1f}" for size in (before, after))
    return (done["table"], before["files"], after["files"], *stored, done["snapshots_expired"], done["objects_removed"])


def query(
    sql: Annotated[str, typer.Argument(help="One statement, in Athena's SQL.")],
    format: Annotated[Format, typer.Option("--format", "-f", help="table, csv or json.")] = Format.table,
    database: Annotated[str, typer.Option(help="The database of unqualified names.")] = "dm_gold",
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many rows to show at most.")] = 1000,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Query the lake through Athena. Exits 1 if the statement is refused or fails, and prints the reason.

    If the result is wider than the terminal, each row is shown as a record.
    """
    from datamaster.platform.query import Athena, QueryFailed, as_records, as_table, width, write_csv, write_json

    running = platform(home, env)
    try:
        result = Athena(running.work_group, database=database).run(sql, limit=limit)
    except QueryFailed as error:
        fail(str(error))
        return 1
    if format is Format.csv:
        write_csv(result, sys.stdout)
    elif json or format is Format.json:
        write_json(result, sys.stdout)
    else:
        out.print(as_table(result) if width(result) <= out.width else as_records(result))
        more = f", more beyond --limit {limit}" if result.more else ""
        out.print(f"{counted(len(result.rows), 'row')} in {result.seconds:.1f} s{more}")
    return 0


def verify(
    json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Compare the lake with its source, row by row and column by column.

    Exits 1 if there is a difference. Exits 3 if there is none, but some tables could not be compared in full.
    """
    from datamaster.verify import verify_lake

    running = platform(home, env)
    with step("Compare the lake with its source") as current:
        report = verify_lake(running, current.say)
        current.done(report.summary)
    if json:
        print_json(report.as_dict())
    else:
        report.print(out)
    return report.exit_code


def convert(
    file: Annotated[Path, typer.Argument(help="A .gz file of JSON lines, or .csv.gz.", exists=True, dir_okay=False)],
    contract: Annotated[Path, typer.Option(help="The table's contract.", exists=True, dir_okay=False)],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the Parquet files.", file_okay=False)] = Path(),
    file_id: Annotated[str | None, typer.Option(help="The id in names and metadata; the same id gives the same bytes.")] = None,
    mask_key_file: Annotated[
        Path | None, typer.Option(help="File with the masking key, for hashed columns.", exists=True, dir_okay=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
) -> int:
    """Convert one local file to Parquet by its contract, as the platform does. Needs no platform.

    Exits 0 if every record became a row, and 1 if some were rejected. Exits 2 if the file failed and nothing was written.
    """
    from convert.local_file import convert as convert_file

    with step(f"Convert {file.name}") as current:
        told = f"Convert {file.name}: {{}} %".format
        summary = convert_file(
            file, contract, out_dir, file_id=file_id, mask_key_file=mask_key_file, progress=lambda share: current.say(told(share))
        )
        current.done(f"{summary['records_read']:,} read, {summary['records_written']:,} written, {summary['records_rejected']:,} rejected")
    if json:
        print_json(summary)
    else:
        print_table(("what", "value"), [(name, value) for name, value in summary.items() if name != "rejects"])
    for kind in summary["rejects"]:
        err.print(f"[red]✗[/red] rejected: {escape(kind)}")
    return 1 if summary["records_rejected"] else 0
