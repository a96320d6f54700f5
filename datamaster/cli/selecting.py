"""Options and output that the commands on inboxes share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from datamaster.cli.output import fail, out, print_json, print_table, step
from datamaster.platform import Platform
from datamaster.platform.counts import counted

if TYPE_CHECKING:
    from lake.control.inbox import InboxCounts

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
Reason = Annotated[str | None, typer.Option(help="Only entries with this text in their reason.")]
Since = Annotated[datetime | None, typer.Option(help="Only entries from this time on, UTC if it has no zone.", formats=_FORMATS)]
Until = Annotated[datetime | None, typer.Option(help="Only entries up to this time, UTC if it has no zone.", formats=_FORMATS)]
Decided = Annotated[bool, typer.Option("--decided", help="List the decisions instead: who sent or dropped how many, and when.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count. Nothing changes.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DECISIONS = ("time", "entries", "decision", "by", "object")


def utc(moment: datetime | None) -> datetime | None:
    """The time with a zone, UTC if it has none."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def second(moment: datetime | str) -> str:
    """A time in UTC to the second."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def print_decisions(platform: Platform, prefix: str, json: bool) -> None:
    """Print the decisions on objects under ``prefix``, newest first."""
    from lake.control import ControlTable

    found = ControlTable(platform.control_table).inbox.decided(prefix).values()
    decisions = sorted((one for decided in found for one in decided.decisions), key=lambda one: one.at, reverse=True)
    if json:
        print_json([one.as_dict() for one in decisions])
    else:
        rows = [(second(one.at), one.entries, one.action, one.by, one.place) for one in decisions]
        print_table(DECISIONS, rows, numeric=DECISIONS[1:2], whole=DECISIONS[:1])


def judge_and_send(noun: str, judged: Iterable[InboxCounts], send: Callable[[], Iterator[InboxCounts]] | None, json: bool) -> InboxCounts:
    """Count what would pass now, then send it, and print both. ``send`` is None for a dry run."""
    from lake.control.inbox import InboxCounts

    counts = InboxCounts()
    with step("Judge by the contracts in force") as current:
        for counts in judged:
            current.say(counted(counts.selected, noun))
        current.done(f"{counts.passing:,} of {counted(counts.selected, noun)} would pass now")
    total = counts.passing
    if total and send is not None:
        with step("Send them again") as current:
            current.say("waits until every function has read the contracts in force")
            for counts in send():
                current.say(f"{counts.decided:,} of {total:,}")
            current.done(counted(counts.decided, noun))
    if json:
        print_json(counts.as_dict())
    elif counts.kept:
        print_table((f"{noun}s", "would be refused again"), [(n, why) for why, n in counts.kept.most_common()], numeric=(f"{noun}s",))
    return counts


def drop_selected(noun: str, total: int, drop: Callable[[], Iterator[InboxCounts]], *, dry_run: bool, yes: bool, json: bool) -> int:
    """Drop ``total`` entries if the user agrees, and print their number. Returns the exit code."""
    dropped = 0
    if total and not dry_run:
        if not _agreed(f"Drop {counted(total, noun)}?", yes):
            return 1
        for counts in drop():
            dropped = counts.decided
    if json:
        print_json({"selected": total, "dropped": dropped})
    else:
        out.print(f"{counted(total, noun)} would be dropped" if dry_run else f"{counted(dropped, noun)} dropped")
    return 0


def _agreed(question: str, yes: bool) -> bool:
    """Whether to go on: asks on a terminal, and needs ``yes`` without one."""
    if yes:
        return True
    if sys.stdin.isatty():
        return typer.confirm(question, err=True)
    fail(f"{question} Give --yes where no terminal can answer.")
    return False
