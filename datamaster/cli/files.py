"""``dm files``: the files of the platform, through the control API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from datamaster.cli.output import out, print_json, print_table
from datamaster.cli.session import Env, Home, platform
from datamaster.platform.counts import counted
from lake.control.records import counts_text

app = typer.Typer(no_args_is_help=True, help="The files on the road: list, look at, send again, sweep.")
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
FileId = Annotated[str, typer.Argument(help="The file's id, as dm files ls shows it.")]
COLUMNS = {
    "file_id": "id",
    "table_name": "table",
    "status": "status",
    "compute_target": "by",
    "attempt_count": "attempt",
    "records_read": "read",
    "records_rejected": "rejected",
    "created_at": "created",
    "error_message": "reason",
}


@app.command("ls")
def list_files(
    table: Annotated[str | None, typer.Option(help="Files of this table only.")] = None,
    status: Annotated[str | None, typer.Option(help="pending, running, bronze, silver or failed.")] = None,
    since: Annotated[str | None, typer.Option(help="Files created since then, as 2026-01-31T12:00:00Z.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> None:
    """List files, newest first."""
    from datamaster.platform.api_client import list_files as listed

    platform(home, env)
    found = listed(table=table, status=status, since=since, limit=limit)
    if json:
        print_json(found)
        return
    rows = [[_shown(name, entry) for name in COLUMNS] for entry in found]
    print_table(list(COLUMNS.values()), rows, numeric=("attempt", "read", "rejected"), whole=("id", "created"))
    out.print(counted(len(found), "file"))


def _shown(name: str, record: Mapping[str, Any]) -> object:
    """A value as the listing shows it. Times are cut to the second, and the reason is the error's or that of the rejects."""
    if name == "created_at":
        return str(record[name])[:19].replace("T", " ")
    return record[name] or counts_text(record["reject_reasons"]) if name == "error_message" else record[name]


@app.command()
def show(file_id: FileId, json: Json = False, home: Home = Path(".dm"), env: Env = None) -> None:
    """Show one file: its place, its status, and the reason."""
    from datamaster.platform.api_client import show_file

    platform(home, env)
    record = show_file(file_id)
    if json:
        print_json(record)
        return
    record["reject_reasons"] = counts_text(record["reject_reasons"])
    print_table(("field", "value"), [(name, value) for name, value in record.items() if value not in (None, "", [], {})])


@app.command()
def retry(
    file_id: FileId,
    force: Annotated[bool, typer.Option(help="Also a file that is neither failed nor has rejected rows.")] = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> None:
    """Send a file down the road again."""
    from datamaster.platform.api_client import retry_file

    platform(home, env)
    record = retry_file(file_id, force=force)
    out.print(f"{record['file_id']} is {record['status']}, attempt {record['attempt_count']}")


@app.command()
def sweep(json: Json = False, home: Home = Path(".dm"), env: Env = None) -> None:
    """Register objects that no event announced, restart files that hang, and fail those that cannot go on."""
    from datamaster.platform.api_client import sweep_files

    platform(home, env)
    counts = sweep_files()
    if json:
        print_json(counts)
    else:
        print_table(("what", "count"), list(counts.items()), numeric=("count",))
