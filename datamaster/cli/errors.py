"""``dm errors``: refused rows, counted by reason or listed one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from datamaster.cli.output import out, print_json, print_table
from datamaster.cli.session import Home, connect
from datamaster.platform.counts import counted

app = typer.Typer(no_args_is_help=True, help="Rows that were refused on their way: counted by table and reason, and one by one.")
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
Table = Annotated[str | None, typer.Option(help="Only this table, by its name in the lake or as schema.table.")]
GROUPS = ("table", "refused by", "rows", "open", "oldest", "newest", "reason")
ROWS = ("time", "table", "by", "operation", "row", "reason")


@app.command("ls")
def list_errors(table: Table = None, json: Json = False, home: Home = Path(".dm")) -> int:
    """Count refused rows by table and reason. A row is open until a later load of its table repairs it. Exits 1 if a row is open."""
    from datamaster.laptop import platform_troubles

    groups, _ = platform_troubles.refusals(connect(home), table=table)
    if json:
        print_json([group.as_dict() for group in groups])
    else:
        rows = [
            (g.table, g.by, g.count, g.open, f"{g.oldest:%Y-%m-%d %H:%M:%S}", f"{g.newest:%Y-%m-%d %H:%M:%S}", g.reason) for g in groups
        ]
        print_table(GROUPS, rows, numeric=GROUPS[2:4], whole=GROUPS[4:6])
        total = counted(sum(group.count for group in groups), "row")
        out.print(f"{total} refused; dm errors show has them one by one, dm reload TABLE brings a table anew")
    return 1 if any(group.open for group in groups) else 0


@app.command("show")
def show(
    table: Table = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows to show at most.")] = 20,
    json: Json = False,
    home: Home = Path(".dm"),
) -> None:
    """Show refused rows, newest first. Columns that may hold personal data are hidden, as in the lake."""
    from datamaster.laptop import platform_troubles
    from datamaster.platform.refused import shown

    running = connect(home)
    _, rows = platform_troubles.refusals(running, table=table)
    hidden = platform_troubles.hidden_columns(running)
    newest = sorted(rows, key=lambda row: row.at, reverse=True)[:limit]
    if json:
        print_json([{**vars(row), "at": row.at.isoformat(), "row": shown(row, hidden)} for row in newest])
        return
    told = [(_second(r.at), r.table, r.by, r.operation, orjson.dumps(shown(r, hidden)).decode(), r.reason) for r in newest]
    print_table(ROWS, told, numeric=(), whole=ROWS[:1])
    if len(rows) > len(newest):
        out.print(f"the newest {len(newest)} of {len(rows):,}; --limit shows more")


def _second(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
