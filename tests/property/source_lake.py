"""The lake behind a source: its planner asks the replicator how far a load is, and its tables are looked after now and then."""

from __future__ import annotations

from typing import Any

from batches.maintenance_batches import Maintenance
from batches.plan import Planner
from tests.integration.jobs.domain import Lake

TASK = "arn:aws:dms:us-east-1:000000000000:task:property"


class SourceLake(Lake):
    """A lake as the job tests have it, with a real task behind its planner."""

    def planner(self) -> Any:
        return Planner.of(self.settings(DMS_TASK_ARN=TASK), self.execution)

    def maintain(self, table: str) -> None:
        """Compact a table, index its keys and expire every snapshot but the last, as the state machine does."""
        maintenance = Maintenance.of(self.settings(), self.execution)
        for batch in maintenance.plan((table,), 0).batches:
            self.run(batch, "maintenance")
            maintenance.settle(batch)
