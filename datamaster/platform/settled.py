"""Wait until everything committed in the source has reached bronze, and report the reason of the wait."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import boto3

from datamaster.platform.counts import counted
from lake.contract import ContractSet
from lake.control import ControlTable
from lake.control.records import PENDING, RUNNING, ControlRecord, parse_timestamp
from lake.errors import TransientError
from lake.keys import RAW, is_export_manifest

POLL_SECONDS = 0.5
REASON_SECONDS = 2.0
ENOUGH_SECONDS = 900.0


class NotSettled(TransientError):
    """Committed changes did not arrive in time, or cannot arrive."""


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline: whether it is done, and the reason if not. ``holds`` raises ``NotSettled`` if a wait is useless."""

    title: str
    ready: Callable[[], bool]
    holds: Callable[[], str] = field(default=lambda: "")


def wait_for(
    stages: Iterable[Stage],
    progress: Callable[[str], None],
    timeout_seconds: float = ENOUGH_SECONDS,
    poll_seconds: float | None = None,
) -> None:
    """Wait for one stage after the other. ``progress`` is called with each stage and the reason of its wait.

    Raises ``NotSettled`` with the last reason if all together take longer than ``timeout_seconds``.
    """
    deadline = time.monotonic() + timeout_seconds
    for stage in stages:
        progress(stage.title)
        ask_at, reason = time.monotonic() + REASON_SECONDS, ""
        while not stage.ready():
            if time.monotonic() >= ask_at:
                reason = stage.holds()
                progress(f"{stage.title}: {reason}" if reason else stage.title)
                ask_at = time.monotonic() + REASON_SECONDS
            if time.monotonic() > deadline:
                why = f": {reason}" if reason else ""
                raise NotSettled(f"not done after {timeout_seconds:.0f} s, still {stage.title}{why}; look at dm status")
            time.sleep(POLL_SECONDS if poll_seconds is None else poll_seconds)


@dataclass(frozen=True)
class Conversion:
    """The way of raw objects to bronze."""

    stage_bucket: str
    control: ControlTable
    contracts: Callable[[], ContractSet]

    def statuses(self) -> Counter[str]:
        """The number of files by status."""
        return Counter(record.status for record in self.control.listing.files())

    def done(self) -> bool:
        """Whether every raw object is converted, or failed."""
        expected, statuses = raw_objects(self.stage_bucket), self.statuses()
        return statuses.total() >= expected and not statuses[PENDING] + statuses[RUNNING]

    def holds(self) -> str:
        """The number of converted files, and the reasons why others wait."""
        expected, statuses = raw_objects(self.stage_bucket), self.statuses()
        waiting = [record for record in self.control.listing.files(status=PENDING) if (record.not_before or "") and record.wait_count]
        told = [f"{statuses.total() - statuses[PENDING] - statuses[RUNNING]} of {expected}"]
        told += [self._undecided(table, records) for table, records in _by_table(waiting)]
        return ", ".join(told)

    def _undecided(self, table: str, records: list[ControlRecord]) -> str:
        until = min(parse_timestamp(record.not_before) for record in records if record.not_before)
        seconds = max(0, int((until - datetime.now(UTC)).total_seconds()))
        contract = self.contracts().tables.get(table)
        columns = [c.name for c in contract.detected_columns if self.control.decisions.get(table, c.id) is None] if contract else []
        texts = ", ".join(columns) or "its texts"
        return (
            f"{counted(len(records), 'file')} of {table} for up to {seconds} s more: not enough values of {texts} were seen to decide"
            " whether they are personal; a classification in the contract decides at once"
        )


def raw_objects(bucket: str) -> int:
    """How many files to convert lie under raw/."""
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RAW)
    return sum(1 for page in pages for entry in page.get("Contents", ()) if not is_export_manifest(entry["Key"]))


def _by_table(records: Iterable[ControlRecord]) -> list[tuple[str, list[ControlRecord]]]:
    found: dict[str, list[ControlRecord]] = {}
    for record in records:
        found.setdefault(record.table_name, []).append(record)
    return sorted(found.items())
