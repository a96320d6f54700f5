"""``dm errors``: the inbox of refused rows. They are counted, shown, put back on the stream, or dropped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from datamaster.cli.output import out, print_json, print_table
from datamaster.cli.selecting import (
    Decided,
    DryRun,
    Json,
    Reason,
    Since,
    Until,
    Yes,
    drop_selected,
    judge_and_send,
    print_decisions,
    second,
    utc,
)
from datamaster.cli.session import Env, Home, platform
from datamaster.platform.counts import counted

if TYPE_CHECKING:
    from datamaster.platform import Platform
    from ingest.refused_records import Group
    from lake.control.inbox import Selection

app = typer.Typer(no_args_is_help=True, help="Rows that were refused on their way: count, look at, send again, drop.")
Table = Annotated[str | None, typer.Option(help="Only this table, by its name in the lake or as schema.table.")]
GROUPS = ("table", "refused by", "rows", "open", "oldest", "newest", "reason")
ROWS = ("time", "table", "by", "operation", "row", "reason")


@app.command("ls")
def list_errors(
    table: Table = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    decided: Decided = False,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Count refused rows by table and reason. A row is open until it is sent again, dropped, or repaired by a later load of its table.

    Exits 1 if a row is open.
    """
    from lake.keys import ERRORS

    running = platform(home, env)
    if decided:
        print_decisions(running, ERRORS, json)
        return 0
    groups, _ = running.refusals(_selection(running, table, reason, since, until))
    if json:
        print_json([group.as_dict() for group in groups])
    else:
        _print_groups(groups)
        total = counted(sum(group.count for group in groups), "row")
        out.print(f"{total} refused; dm errors show has them one by one, dm errors redrive --dry-run says how many would pass now")
    return 1 if any(group.open for group in groups) else 0


@app.command("show")
def show(
    table: Table = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows to show at most.")] = 20,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> None:
    """Show refused rows, newest first. Columns that may hold personal data are hidden, as in the lake."""
    from datamaster.platform.actions import current_contracts
    from ingest.refused_records import hidden_columns
    from lake.control import ControlTable

    running = platform(home, env)
    _, rows = running.refusals(_selection(running, table, reason, since, until))
    hidden = hidden_columns(current_contracts(running), ControlTable(running.control_table))
    newest = [row.as_dict(hidden) for row in sorted(rows, key=lambda row: row.at, reverse=True)[:limit]]
    if json:
        print_json(newest)
        return
    told = [(second(r["at"]), r["table"], r["by"], r["operation"], orjson.dumps(r["row"]).decode(), r["reason"]) for r in newest]
    print_table(ROWS, told, numeric=(), whole=ROWS[:1])
    if len(rows) > len(newest):
        out.print(f"the newest {len(newest)} of {len(rows):,}; --limit shows more")


@app.command("redrive")
def redrive(
    table: Table = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    rate: Annotated[int, typer.Option(min=1, help="Records a second at most, beside live traffic.")] = 500,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Put records that the router refused back on the stream, if the contracts in force accept them now.

    Their positions order them, so a late record changes nothing that is newer. A record goes back once. An interrupted run goes on
    when it is repeated. Exits 1 if a record would be refused again: it stays, with its reason.
    """
    from datamaster.platform.inboxes import caller, errors_inbox

    running = platform(home, env)
    inbox, selection = errors_inbox(running), _selection(running, table, reason, since, until)
    send = None if dry_run else (lambda: inbox.redrive(selection, caller(), rate))
    counts = judge_and_send("record", inbox.try_out(selection), send, json)
    if counts.decided and not json:
        out.print("dm run silver merges them; dm errors ls has what was refused again")
    return 1 if counts.kept else 0


@app.command("drop")
def drop(
    table: Table = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Take records that the router refused out of the inbox for good. They are listed no more, and expire with their objects.

    dm errors ls --decided keeps by whom and when. Exits 1 if you do not agree.
    """
    from datamaster.platform.inboxes import caller, errors_inbox

    running = platform(home, env)
    inbox, selection = errors_inbox(running), _selection(running, table, reason, since, until)
    groups = inbox.groups(selection)
    if not json:
        _print_groups(groups)
    total = sum(group.count for group in groups)
    return drop_selected("record", total, lambda: inbox.drop(selection, caller()), dry_run=dry_run, yes=yes, json=json)


def _selection(running: Platform, table: str | None, reason: str | None, since: datetime | None, until: datetime | None) -> Selection:
    from datamaster.platform.actions import current_contracts
    from ingest.refused_records import source_table
    from lake.control.inbox import Selection

    return Selection(source_table(current_contracts(running), table), reason, utc(since), utc(until))


def _print_groups(groups: Sequence[Group]) -> None:
    rows = [(g.table, g.by, g.count, g.open, second(g.oldest), second(g.newest), g.reason) for g in groups]
    print_table(GROUPS, rows, numeric=GROUPS[2:4], whole=GROUPS[4:6])
