"""The API's view of tables: waiting files, the last closed batch, and the reason why a table waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lake.contract import ContractSet
from lake.control import ControlTable
from lake.control.records import BRONZE, PENDING, RUNNING, STATUSES
from lake.generations import frozen_reason

WAITING = (PENDING, RUNNING, BRONZE)


@dataclass(frozen=True)
class TableStates:
    """Reads the state of every table."""

    control: ControlTable

    def all(self, contracts: ContractSet) -> dict[str, Any]:
        """The contracted tables with their files, and the derived tables with their months to rebuild."""
        targets = sorted((table.target for table in contracts.derived.values()), key=lambda target: (target.startswith("gold/"), target))
        return {
            "tables": [self.contracted(table) for table in sorted(contracts.tables)],
            "derived": [self.derived(target) for target in targets],
        }

    def contracted(self, table: str) -> dict[str, Any]:
        """A table that receives files. ``waiting_seconds`` is the age of its oldest file that silver does not hold yet."""
        return {
            "table": table,
            "files": {status: self.control.listing.count(table, status) for status in STATUSES},
            "waiting_seconds": self._waiting_seconds(table),
            "frozen_reason": frozen_reason(self.control.fences.of(table)),
            "load_waits": self.control.loads.waits(f"silver/{table}"),
            "missing": self.control.states.get(f"silver/{table}").missing_columns,
            **self._batches(f"silver/{table}"),
        }

    def derived(self, target: str) -> dict[str, Any]:
        """A table built from others. ``pending_months`` are its months to rebuild, as YYYY-MM. ``whole`` stands for all."""
        layer, table = target.split("/", 1)
        return {"table": table, "layer": layer, "pending_months": sorted(self.control.months.pending(target)), **self._batches(target)}

    def _batches(self, target: str) -> dict[str, Any]:
        state, opened = self.control.states.get(target), self.control.batches.get(target)
        last = {"batch_id": state.settled_batch, "settled_at": state.settled_at} if state.settled_batch else None
        current = None
        if opened is not None:
            current = {
                "batch_id": opened.batch_id,
                "attempt_count": opened.attempt_count,
                "lease_expires_at": opened.lease_expires_at,
                "error": opened.error,
            }
        return {"last_batch": last, "open_batch": current}

    def _waiting_seconds(self, table: str) -> int:
        oldest = [created for status in WAITING if (created := self.control.listing.oldest(table, status)) is not None]
        return int((datetime.now(UTC) - min(oldest)).total_seconds()) if oldest else 0
