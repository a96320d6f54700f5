"""Options that several commands on inboxes share: which entries they take."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from datamaster.cli.output import fail

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
Table = Annotated[str | None, typer.Option(help="Only this table, by its name in the lake or as schema.table.")]
Reason = Annotated[str | None, typer.Option(help="Only entries with this text in their reason.")]
Since = Annotated[datetime | None, typer.Option(help="Only entries from this time on, UTC if it has no zone.", formats=_FORMATS)]
Until = Annotated[datetime | None, typer.Option(help="Only entries up to this time, UTC if it has no zone.", formats=_FORMATS)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count. Nothing changes.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def utc(moment: datetime | None) -> datetime | None:
    """The time with a zone, UTC if it has none."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def agreed(question: str, yes: bool) -> bool:
    """Whether to go on: asks on a terminal, and needs ``yes`` without one."""
    if yes:
        return True
    if sys.stdin.isatty():
        return typer.confirm(question, err=True)
    fail(f"{question} Give --yes where no terminal can answer.")
    return False
