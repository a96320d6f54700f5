"""An export that is a load: it begins a generation of its table, and is complete when all that it read has arrived."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg2

from lake.control import ControlTable, Fence
from lake.errors import TransientError
from lake.source_session import SESSION_OPTIONS

CLOCK_SLACK = timedelta(seconds=60)
"""The exporter's clock and the one that stamps changes may differ by this much."""
TICK = timedelta(microseconds=1)
CAPTURE_SECONDS = 30.0
LOOK_SECONDS = 0.5


class NotCaptured(TransientError):
    """No replication slot captures the table's changes, so a load would miss those that commit behind its snapshot."""


@dataclass(frozen=True)
class ExportLoad:
    """The load of one table by one export. Its rows carry the time of its fence, which distinguishes them from those of other exports."""

    control: ControlTable
    table: str
    export_id: str
    fence: Fence

    @classmethod
    def beside(cls, slot: str, dsn: str, control: ControlTable, table: str, export_id: str) -> ExportLoad:
        """A load whose snapshot is taken after this call, once the slot captures changes. Raises ``NotCaptured``.

        The fence is the clock's time minus the slack, so that every change behind the snapshot is behind the fence. It is newer than all
        fences of the table, so that the load replaces what they began.
        """
        _await_capture(dsn, slot)
        at = datetime.now(UTC) - CLOCK_SLACK
        return cls(control, table, export_id, Fence(max([at, *(fence.at + TICK for fence in control.fences.of(table))])))

    def begin(self) -> None:
        """Announce the load, before its first object."""
        self.control.loads.export_begins(f"silver/{self.table}", self.fence.generation, self.export_id)
        self.control.fences.add(self.table, self.fence)

    def end(self, rows: int) -> None:
        """Say how many rows the load has read, once all its objects are registered."""
        self.control.loads.export_ends(f"silver/{self.table}", self.export_id, rows)


def _await_capture(dsn: str, slot: str) -> None:
    """Wait until a reader is at the slot and a position is confirmed."""
    deadline = time.monotonic() + CAPTURE_SECONDS
    with closing(psycopg2.connect(dsn, options=SESSION_OPTIONS)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while True:
            cursor.execute("SELECT active AND confirmed_flush_lsn IS NOT NULL FROM pg_replication_slots WHERE slot_name = %s", (slot,))
            found = cursor.fetchone()
            if found == (True,):
                return
            if time.monotonic() > deadline:
                state = "is not there" if found is None else "has no reader"
                raise NotCaptured(f'replication slot "{slot}" {state}; a load needs its changes captured: start the replication first')
            time.sleep(LOOK_SECONDS)
