"""The control table's state as metrics: files by status, waiting times, failures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from control_api.table_states import TableStates
from lake.contract import ContractSet
from lake.control import ControlTable
from lake.control.records import FAILED, STATUSES, parse_timestamp
from lake.telemetry import MetricUnit, count

WINDOW = timedelta(hours=24)
"""Files registered within this time make up the failure ratio."""


@dataclass(frozen=True)
class StateReport:
    """The numbers at one moment. Ages are in seconds, ``failed_percent`` refers to files registered in the last 24 hours."""

    files: dict[str, int]
    waiting: dict[str, int]
    pending_months: dict[str, int]
    settled_ago: dict[str, int]
    stalest: int
    broken_batches: int
    failed_percent: float


def report(states: TableStates, control: ControlTable, contracts: ContractSet, moment: datetime | None = None) -> StateReport:
    """Read the control table. If a derived table has months to rebuild, it has waited since its last batch."""
    now = moment or datetime.now(UTC)
    shown = states.all(contracts)
    files = {status: sum(table["files"][status] for table in shown["tables"]) for status in STATUSES}
    waiting = {table["table"]: table["waiting_seconds"] for table in shown["tables"]}
    pending = {table["table"]: len(table["pending_months"]) for table in shown["derived"]}
    ago = {
        table["table"]: int((now - parse_timestamp(table["last_batch"]["settled_at"])).total_seconds())
        for table in (*shown["tables"], *shown["derived"])
        if table["last_batch"] is not None
    }
    late = [ago[table] for table, months in pending.items() if months and table in ago]
    opened = [table["open_batch"] for table in (*shown["tables"], *shown["derived"]) if table["open_batch"] is not None]
    broken = sum(batch["error"] is not None for batch in opened)
    return StateReport(files, waiting, pending, ago, max([*waiting.values(), *late, 0]), broken, failed_percent(control, now - WINDOW))


def failed_percent(control: ControlTable, since: datetime) -> float:
    """The percentage of failed files among those registered since then. 0 if there are none."""
    counts = {status: control.listing.count(None, status, since) for status in STATUSES}
    total = sum(counts.values())
    return round(100 * counts[FAILED] / total, 3) if total else 0.0


def emit(found: StateReport) -> None:
    """Send a report as metrics."""
    for status, number in found.files.items():
        count("FilesByStatus", number, status=status)
    for table, seconds in found.waiting.items():
        count("WaitingSeconds", seconds, MetricUnit.Seconds, table=table)
    for table, months in found.pending_months.items():
        count("PendingMonths", months, table=table)
    for table, seconds in found.settled_ago.items():
        count("SettledSecondsAgo", seconds, MetricUnit.Seconds, table=table)
    count("StalestSeconds", found.stalest, MetricUnit.Seconds)
    count("BrokenBatches", found.broken_batches)
    count("FailedFilesPercent", found.failed_percent, MetricUnit.Percent)
