"""Plans a run of the state machines. It finishes an open batch first, or else opens a new one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from batches.load_statistics import LoadStatistics
from batches.loads import Loads
from batches.settings import BatchSettings
from lake.contract import Contract, ContractSet, DerivedTable
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.control.batches import MAINTENANCE, BatchHeld, OpenBatch
from lake.control.fences import CLOCK_SLACK
from lake.control.records import BRONZE, SILVER, ControlRecord, timestamp
from lake.control.target_items import WHOLE
from lake.errors import LakeError
from lake.generations import frozen_reason, newest
from lake.keys import batch_prefix
from lake.manifests import (
    MANIFEST,
    BatchFile,
    MonthsManifest,
    SilverManifest,
    read_document,
    utc_now,
    write_document,
)
from lake.telemetry import logger

FENCE_WATCH = timedelta(hours=1)


@dataclass
class Plan:
    """The batches that a state machine maps over, and the skipped tables with reasons."""

    batches: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def add(self, batch: OpenBatch) -> None:
        """Let the state machine run a batch."""
        table = batch.target.split("/", 1)[1]
        self.batches.append(
            {"table": table, "batch_id": batch.batch_id, "manifest": batch.manifest, "arguments": ["--manifest", batch.manifest]}
        )

    def skip(self, table: str, reason: str) -> None:
        """Skip a table."""
        self.skipped.append({"table": table, "reason": reason})

    def fail(self, table: str, error: Exception) -> None:
        """Skip a table because it could not be planned."""
        logger.exception("%s could not be planned", table, exc_info=error)
        self.failures.append(error)
        self.skip(table, f"{type(error).__name__}: {error}")

    def answer(self) -> dict[str, Any]:
        """The function's answer to its state machine. Raises the first failure if every table failed.

        Such a failure is an outage, and the state machine plans again.
        """
        if self.failures and len(self.failures) == len(self.skipped) and not self.batches:
            raise self.failures[0]
        return {"batches": self.batches, "skipped": self.skipped}


@dataclass(frozen=True)
class Planner:
    """Plans runs for one execution of a state machine, which becomes the owner of the batches that it opens."""

    settings: BatchSettings
    control: ControlTable
    statistics: LoadStatistics
    owner: str

    @classmethod
    def of(cls, settings: BatchSettings, owner: str) -> Planner:
        """A planner on the stores of the settings."""
        return cls(settings, ControlTable(settings.control_table), LoadStatistics(settings), owner)

    def silver(self, tables: Iterable[str] | None) -> Plan:
        """One batch for each contracted table with bronze files or older generations to retire.

        The table with the most waiting rows comes first. The state machine starts batches in this order, a few at a time, and
        would have to wait for a long one that starts last.
        """
        contracts = ContractStore(self.settings.contracts_uri).current()
        plan = Plan()
        for contract in self._longest_first(map(contracts.table, tables or contracts.tables)):
            table = contract.table
            target, open_new = f"silver/{table}", partial(self._open_silver, contract, contracts.version)
            self._plan(plan, target, open_new, partial(self._resume, version=contracts.version))
        return plan

    def derived(self, layer: str) -> Plan:
        """One batch for each derived table of a layer, with the months that batches of its sources have touched."""
        contracts = ContractStore(self.settings.contracts_uri).current()
        plan = Plan()
        tables = [table for table in contracts.derived.values() if table.layer == layer]
        for table in tables:
            open_new, resume = partial(self._open_months, table, contracts), partial(self._resume_months, table, contracts)
            self._plan(plan, table.target, open_new, resume)
        if not tables:
            plan.skip(f"dm_{layer}", f"the contracts have no derived/*.sql of layer {layer}, so there is nothing to build")
        return plan

    def _plan(self, plan: Plan, target: str, open_new: Callable[[], OpenBatch | str], resume: Callable[[OpenBatch], None]) -> None:
        table = target.split("/", 1)[1]
        try:
            held = self.control.batches.get(target)
            if held is not None and held.purpose == MAINTENANCE:
                self.control.batches.drop(held)
                held = None
            batch = self.control.batches.take(held, self.owner, self.settings.lease_seconds) if held else open_new()
            if isinstance(batch, OpenBatch) and held:
                resume(batch)
        except BatchHeld as error:
            plan.skip(table, str(error))
        except (LakeError, BotoCoreError, ClientError) as error:
            # one table's failure is its own
            plan.fail(table, error)
        else:
            plan.skip(table, batch) if isinstance(batch, str) else plan.add(batch)

    def _open_silver(self, contract: Contract, version: str) -> OpenBatch | str:
        """Open a batch of the table's oldest bronze files, or return the reason why there is nothing to do."""
        fences = tuple(self.control.fences.of(contract.table))
        if frozen := frozen_reason(fences):
            return frozen
        self._requeue_behind_fresh_fences(contract.table)
        files = self._bronze_files(contract.table)
        state = self.control.states.get(f"silver/{contract.table}")
        load = Loads(self.control, self.statistics).state(contract, newest(fences), state.retired_below)
        self.control.loads.note(f"silver/{contract.table}", load.waits)
        if not files and load.complete <= state.retired_below:
            return f"no new files; {load.waits}" if load.waits else "no new files"
        batch_id = new_batch_id(now := utc_now())
        manifest = SilverManifest(
            batch_id=batch_id,
            table=contract.table,
            contract_version=version,
            contracts_uri=self.settings.contracts_uri,
            files=tuple(BatchFile(r.file_id, r.contract_version or version, self._uris(r)) for r in files),
            fences=fences,
            retired_below=max(load.complete, state.retired_below),
            retires=load.complete > state.retired_below,
            opened_at=now,
            read_until=state.read_until,
        )
        batch = self._open(f"silver/{contract.table}", batch_id, manifest)
        self._assign(manifest.files, batch_id)
        return batch

    def _longest_first(self, contracts: Iterable[Contract]) -> list[Contract]:
        def waiting(contract: Contract) -> int:
            return sum(record.records_written or 0 for record in self.control.listing.files(table=contract.table, status=BRONZE))

        return sorted(contracts, key=lambda contract: (-waiting(contract), contract.table))

    def _resume(self, batch: OpenBatch, version: str) -> None:
        """Finish an open batch with its files, under the contract in force, because the old contract may have stopped it."""
        manifest = SilverManifest.of(read_document(batch.manifest))
        if manifest.contract_version != version:
            write_document(batch.manifest, replace(manifest, contract_version=version))
        self._assign(manifest.files, batch.batch_id)

    def _bronze_files(self, table: str) -> list[ControlRecord]:
        newest_first = list(self.control.listing.files(table=table, status=BRONZE))
        return newest_first[::-1][: self.settings.batch_files]

    def _uris(self, record: ControlRecord) -> tuple[str, ...]:
        return tuple(key if key.startswith("s3://") else f"s3://{self.settings.lake_bucket}/{key}" for key in record.bronze_keys)

    def _assign(self, files: Iterable[BatchFile], batch_id: str) -> None:
        for file in files:
            self.control.files.assign(file.file_id, batch_id)

    def _requeue_behind_fresh_fences(self, table: str) -> None:
        """Put files back to bronze that were merged before a young fence was known and hold records behind it.

        ``Fences.add`` does so too, but reads an index that may lag by seconds, and may crash before it is done. An old fence
        without its mark is therefore treated as young.
        """
        young = utc_now() - FENCE_WATCH
        for kept in self.control.fences.kept(table):
            if kept.requeued and kept.seen_at < young:
                continue
            at, seen = kept.fence.at, batch_time(kept.seen_at)
            for record in self.control.listing.files(table=table, status=SILVER, since=at - CLOCK_SLACK):
                if (record.built_at_max or "") >= timestamp(at) and (record.batch_id or "")[: len(seen)] <= seen:
                    self.control.files.back_to_bronze(record.file_id)
            if not kept.requeued:
                self.control.fences.mark_requeued(table, kept.fence)

    def _open_months(self, table: DerivedTable, contracts: ContractSet) -> OpenBatch | str:
        """Open a batch of the months that a derived table has to rebuild, or return the reason why there is nothing to do."""
        fact = contracts.derived[table.fact].target if table.fact in contracts.derived else f"silver/{table.fact}"
        if self.control.states.get(fact).settled_batch is None:
            return f"{table.fact} was never built; run the silver state machine first"
        pending = self.control.months.pending(table.target)
        whole = WHOLE in pending or self.control.states.get(table.target).definition != table.definition
        if not pending and not whole:
            return "no month has changed"
        batch_id, uri = new_batch_id(now := utc_now()), self.settings.contracts_uri
        manifest = MonthsManifest(batch_id, table.name, contracts.version, uri, table.definition, pending, whole, now)
        return self._open(table.target, batch_id, manifest)

    def _resume_months(self, table: DerivedTable, contracts: ContractSet, batch: OpenBatch) -> None:
        """Finish an open batch by the SQL in force, because the old SQL may have stopped it."""
        manifest = MonthsManifest.of(read_document(batch.manifest))
        if manifest.contract_version == contracts.version:
            return
        whole = manifest.whole or manifest.definition != table.definition
        current = replace(manifest, contract_version=contracts.version, definition=table.definition, whole=whole)
        write_document(batch.manifest, current)

    def _open(self, target: str, batch_id: str, manifest: SilverManifest | MonthsManifest) -> OpenBatch:
        """Write the manifest, then open the batch. A crash in between leaves a document that no job reads."""
        uri = f"s3://{self.settings.lake_bucket}/{batch_prefix(target.split('/', 1)[1], batch_id)}{MANIFEST}"
        write_document(uri, manifest)
        return self.control.batches.open(target, batch_id, uri, self.owner, self.settings.lease_seconds)


def new_batch_id(now: datetime) -> str:
    """An id that sorts by time."""
    return f"{batch_time(now)}-{uuid.uuid4().hex[:8]}"


def batch_time(moment: datetime) -> str:
    """The part of a batch id with its opening time: UTC, microseconds."""
    return f"{moment:%Y%m%dT%H%M%S%f}"
