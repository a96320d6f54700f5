"""Plans and closes maintenance. A table's open batch is its lock, so no other writer of the table runs at the same time.

A maintenance batch holds nothing that could be lost. It is closed when its job ends, even if the job failed. The table's
next plan drops the batch of a dead execution.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from batches.job_errors import failure_line
from batches.plan import Plan, new_batch_id
from batches.settings import BatchSettings
from lake.contract import Contract, ContractSet
from lake.contract.names import tables_beside
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.control.batches import MAINTENANCE, QUALITY_RESULTS, BatchHeld, OpenBatch
from lake.errors import LakeError, TerminalError
from lake.keys import batch_prefix
from lake.manifests import MANIFEST, OUTCOME, MaintenanceManifest, read_document, sibling, utc_now, write_document
from lake.telemetry import MetricUnit, count, logger

KEEP_DAYS = 5
ORPHAN_AGE = timedelta(days=3)
"""Longer than any job may run, so that uncommitted objects of a running writer are not orphans."""
DATABASES = {"silver": "dm_silver", "gold": "dm_gold"}


class InvalidRequest(TerminalError):
    """The input of the execution is not valid."""


@dataclass(frozen=True)
class Maintenance:
    """Opens and closes maintenance batches for one execution, their owner."""

    settings: BatchSettings
    control: ControlTable
    owner: str

    @classmethod
    def of(cls, settings: BatchSettings, owner: str) -> Maintenance:
        """Maintenance on the stores of the settings."""
        return cls(settings, ControlTable(settings.control_table), owner)

    def plan(self, tables: Iterable[str] | None = None, keep_days: float = KEEP_DAYS) -> Plan:
        """One batch for each table that was ever built and is not held by another execution.

        Snapshots of the last ``keep_days`` days stay readable. An unknown table is skipped. Raises ``InvalidRequest``.
        """
        if not isinstance(keep_days, int | float) or keep_days < 0:
            raise InvalidRequest(f"keep_days is {keep_days!r}; a number of days, 0 or more")
        contracts = ContractStore(self.settings.contracts_uri).current()
        known = {target.split("/", 1)[1]: target for target in _targets(contracts)}
        wanted = list(tables or known)
        plan = Plan()
        for table in wanted:
            if table not in known:
                plan.skip(table, f"no such table; known: {', '.join(known)}")
                continue
            try:
                batch = self._open(known[table], timedelta(days=keep_days), contracts.tables)
            except BatchHeld as error:
                plan.skip(table, str(error))
            except (LakeError, BotoCoreError, ClientError) as error:  # one table's failure is its own
                plan.fail(table, error)
            else:
                plan.skip(table, batch) if isinstance(batch, str) else plan.add(batch)
        return plan

    def settle(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Report the job's changes as metrics and release the table."""
        target = self._target(batch)
        answer = {"table": batch["table"], "batch_id": batch["batch_id"], "status": "settled"}
        if batch.get("error"):
            count("JobsFailed", target=f"maintenance/{batch['table']}")
            count("MaintenanceFailed")
            logger.error("maintenance failed", extra={"table": batch["table"], "error": batch["error"]})
            self.control.batches.close(target, batch["batch_id"], self.owner)
            return answer | {"status": "released", "error": failure_line(batch["error"])}
        tables = read_document(sibling(batch["manifest"], OUTCOME))["tables"]
        if self.control.batches.close(target, batch["batch_id"], self.owner):
            for table in tables:
                _count(table)
        return answer | {"tables": tables}

    def _target(self, batch: Mapping[str, Any]) -> str:
        layers = {database: layer for layer, database in DATABASES.items()}
        manifest = MaintenanceManifest.of(read_document(batch["manifest"]))
        return f"{layers[manifest.database]}/{manifest.table}"

    def _open(self, target: str, keep: timedelta, contracts: Mapping[str, Contract]) -> OpenBatch | str:
        layer, table = target.split("/", 1)
        held = self.control.batches.get(target)
        if held is not None and held.purpose == MAINTENANCE:
            self.control.batches.drop(held)
        elif held is not None:
            return f"batch {held.batch_id} is open; it is finished first"
        if target != QUALITY_RESULTS and self.control.states.get(target).settled_batch is None:
            return "was never built"
        batch_id = new_batch_id(now := utc_now())
        key = tuple(column.name for column in contracts[table].key) if table in contracts else ()
        beside = tuple(name for name in tables_beside(table) if name not in contracts) if table in contracts else ()
        manifest = MaintenanceManifest(batch_id, DATABASES[layer], table, now - keep, now - ORPHAN_AGE, key, beside)
        uri = f"s3://{self.settings.lake_bucket}/{batch_prefix(table, batch_id)}{MANIFEST}"
        write_document(uri, manifest)
        return self.control.batches.open(target, batch_id, uri, self.owner, self.settings.lease_seconds, MAINTENANCE)


def _targets(contracts: ContractSet) -> Iterator[str]:
    for table in sorted(contracts.tables):
        yield f"silver/{table}"
    yield QUALITY_RESULTS
    for derived in sorted(contracts.derived.values(), key=lambda table: (table.layer == "gold", table.name)):
        yield derived.target


def _count(table: Mapping[str, Any]) -> None:
    """Emit a table's sizes before and after, and the changes to it."""
    for moment in ("before", "after"):
        count("TableFiles", table[moment]["files"], table=table["table"], moment=moment)
        count("TableBytes", table[moment]["bytes"], MetricUnit.Bytes, table=table["table"], moment=moment)
        count("StoredBytes", table[moment]["stored_bytes"], MetricUnit.Bytes, table=table["table"], moment=moment)
    count("SnapshotsExpired", table["snapshots_expired"], table=table["table"])
    count("ObjectsRemoved", table["objects_removed"], table=table["table"])
