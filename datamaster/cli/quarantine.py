"""``dm quarantine``: the inbox of rejected lines. They are counted, shown, taken down the road again, or dropped."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from lake.control.inbox import Selection

app = typer.Typer(no_args_is_help=True, help="Lines of files that did not fit their contract: count, look at, release, drop.")
Table = Annotated[str | None, typer.Option(help="Only this table, by its name in the lake.")]
GROUPS = ("table", "lines", "files", "oldest file", "newest file", "reason", "column")
LINES = ("file", "line", "problem", "text, masked like its row")


@app.command("ls")
def list_lines(
    table: Table = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    decided: Decided = False,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Count the rejected lines of published files by table and reason, until they are released or dropped. Exits 1 if there are any."""
    from datamaster.platform.inboxes import quarantine_inbox
    from lake.keys import QUARANTINE

    running = platform(home, env)
    if decided:
        print_decisions(running, QUARANTINE, json)
        return 0
    groups = quarantine_inbox(running).lines.groups(_selection(table, reason, since, until))
    if json:
        print_json([group.as_dict() for group in groups])
    else:
        rows = [(g.table, g.count, g.files, second(g.oldest), second(g.newest), g.reason, g.column) for g in groups]
        print_table(GROUPS, rows, numeric=GROUPS[1:3], whole=GROUPS[3:5])
        total = counted(sum(group.count for group in groups), "line")
        out.print(
            f"{total} in quarantine; dm quarantine show has them one by one, dm quarantine release --dry-run says how many would pass now"
        )
    return 1 if groups else 0


@app.command("show")
def show(
    table: Table = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="How many lines to show at most.")] = 20,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> None:
    """Show rejected lines with their place and problem. Personal columns are masked, as in the lake."""
    from itertools import islice

    from datamaster.platform.inboxes import quarantine_inbox

    found = quarantine_inbox(platform(home, env)).lines.selected(_selection(table, reason, since, until), with_lines=True)
    shown = list(islice(found, limit + 1))
    if json:
        print_json([line.as_dict() for line in shown[:limit]])
        return
    print_table(
        LINES, [(line.file_id, line.line_number, line.problem, line.line) for line in shown[:limit]], numeric=("line",), whole=("file",)
    )
    if len(shown) > limit:
        out.print(f"the first {limit}; --limit shows more")


@app.command("release")
def release(
    table: Table = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    json: Json = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Take rejected lines down the road again, as a new file, if the contract in force accepts them now.

    A line goes once. An interrupted run goes on when it is repeated. Exits 1 if a line would be rejected again: it stays, with its
    reason.
    """
    from datamaster.platform.inboxes import caller, quarantine_inbox

    inbox, selection = quarantine_inbox(platform(home, env)), _selection(table, reason, since, until)
    send = None if dry_run else (lambda: inbox.release(selection, caller()))
    counts = judge_and_send("line", inbox.try_out(selection), send, json)
    if counts.decided and not json:
        out.print("dm run silver merges them, once they are converted")
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
    """Take rejected lines out of the inbox for good. The quarantine keeps them, but they are listed and counted no more.

    dm quarantine ls --decided keeps by whom and when. Exits 1 if you do not agree.
    """
    from datamaster.platform.inboxes import caller, quarantine_inbox

    inbox, selection = quarantine_inbox(platform(home, env)), _selection(table, reason, since, until)
    total = sum(group.count for group in inbox.lines.groups(selection))
    return drop_selected("line", total, lambda: inbox.drop(selection, caller()), dry_run=dry_run, yes=yes, json=json)


def _selection(table: str | None, reason: str | None, since: datetime | None, until: datetime | None) -> Selection:
    from lake.control.inbox import Selection

    return Selection(table, reason, utc(since), utc(until))
