"""``dm errors``: the inbox of refused rows. They are counted, shown, put back on the stream, or dropped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from datamaster.cli.output import out, print_json, print_table, step
from datamaster.cli.selecting import DryRun, Reason, Since, Table, Until, Yes, agreed, utc
from datamaster.cli.session import Env, Home, platform
from datamaster.platform.counts import counted

if TYPE_CHECKING:
    from datamaster.platform import Platform
    from ingest.redrive import Redriven
    from ingest.refused_records import Group, Selection

app = typer.Typer(no_args_is_help=True, help="Rows that were refused on their way: count, look at, send again, drop.")
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
GROUPS = ("table", "refused by", "rows", "open", "oldest", "newest", "reason")
ROWS = ("time", "table", "by", "operation", "row", "reason")
DECISIONS = ("time", "records", "what", "by", "object")


@app.command("ls")
def list_errors(
    table: Table = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    decided: Annotated[bool, typer.Option("--decided", help="List what was sent again or dropped instead, by whom and when.")] = False,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Count refused rows by table and reason. A row is open until it is sent again, dropped, or repaired by a later load of its table.

    Exits 1 if a row is open.
    """
    running = platform(home, env)
    if decided:
        _print_decisions(running, json)
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
    told = [(_second(r["at"]), r["table"], r["by"], r["operation"], orjson.dumps(r["row"]).decode(), r["reason"]) for r in newest]
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
    from ingest.redrive import Redriven

    running = platform(home, env)
    inbox, selection = errors_inbox(running), _selection(running, table, reason, since, until)
    counts = Redriven()
    with step("Judge the records by the contracts in force") as current:
        for counts in inbox.try_out(selection):
            current.say(counted(counts.selected, "record"))
        current.done(f"{counts.passing:,} of {counted(counts.selected, 'record')} would pass now")
    total = counts.passing
    if total and not dry_run:
        with step("Put them back on the stream") as current:
            current.say("waits until every function has read the contracts in force")
            for counts in inbox.redrive(selection, caller(), rate):
                current.say(f"{counts.decided:,} of {total:,}")
            current.done(counted(counts.decided, "record"))
    _print_redriven(counts, json)
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
    total, dropped = sum(group.count for group in groups), 0
    if not json:
        _print_groups(groups)
    if total and not dry_run:
        if not agreed(f"Drop {counted(total, 'record')}?", yes):
            return 1
        for counts in inbox.drop(selection, caller()):
            dropped = counts.decided
    if json:
        print_json({"selected": total, "dropped": dropped})
    else:
        out.print(f"{counted(dropped, 'record')} dropped" if not dry_run else f"{counted(total, 'record')} would be dropped")
    return 0


def _selection(running: Platform, table: str | None, reason: str | None, since: datetime | None, until: datetime | None) -> Selection:
    from datamaster.platform.actions import current_contracts
    from ingest.refused_records import Selection

    return Selection.of(current_contracts(running), table, reason, utc(since), utc(until))


def _print_groups(groups: Sequence[Group]) -> None:
    rows = [(g.table, g.by, g.count, g.open, _second(g.oldest), _second(g.newest), g.reason) for g in groups]
    print_table(GROUPS, rows, numeric=GROUPS[2:4], whole=GROUPS[4:6])


def _print_redriven(counts: Redriven, json: bool) -> None:
    if json:
        print_json(counts.as_dict())
        return
    if counts.kept:
        print_table(("records", "would be refused again"), [(count, why) for why, count in counts.kept.most_common()], numeric=("records",))
    if counts.decided:
        out.print("dm run silver merges them; dm errors ls has what was refused again")


def _print_decisions(running: Platform, json: bool) -> None:
    from lake.control import ControlTable
    from lake.keys import ERRORS

    found = ControlTable(running.control_table).inbox.decided(ERRORS).values()
    decisions = sorted((one for decided in found for one in decided.decisions), key=lambda one: one.at, reverse=True)
    if json:
        print_json([one.as_dict() for one in decisions])
    else:
        rows: list[tuple[Any, ...]] = [(_second(one.at), one.entries, one.action, one.by, one.place) for one in decisions]
        print_table(DECISIONS, rows, numeric=DECISIONS[1:2], whole=DECISIONS[:1])


def _second(moment: datetime | str) -> str:
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
