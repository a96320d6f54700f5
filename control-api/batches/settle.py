"""Writes a run's outcome to the control table. Each step may be repeated. The batch is closed last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from batches.job_errors import failure_line
from batches.settings import BatchSettings
from lake.clients import s3
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.control.batches import BatchHeld
from lake.control.records import BRONZE, SILVER, ControlRecord, parse_timestamp
from lake.control.target_items import WHOLE, TargetState
from lake.generations import CREATED, newest
from lake.keys import SETTLED_TAG, split_uri
from lake.manifests import (
    OUTCOME,
    TOUCHED,
    BatchFile,
    MonthsManifest,
    SilverManifest,
    SilverOutcome,
    months_by_table,
    read_document,
    sibling,
)
from lake.telemetry import count, logger

TAGGERS = 16


@dataclass(frozen=True)
class Settler:
    """Settles the files of batches and closes the batches, for the execution that holds them."""

    settings: BatchSettings
    control: ControlTable
    owner: str

    @classmethod
    def of(cls, settings: BatchSettings, owner: str) -> Settler:
        """A settler on the stores of the settings."""
        return cls(settings, ControlTable(settings.control_table), owner)

    def silver(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Settle the files of a silver batch. Its months are requested before its files are marked, so that a crash loses neither.

        The answer holds counts only, because a state machine's state is limited to 256 KB. The reasons are on the files' records.
        """
        target = f"silver/{batch['table']}"
        if batch.get("error"):
            return self._released(target, batch)
        if not self._is_open(target, batch):
            return _answer(batch, "settled")
        manifest = SilverManifest.of(read_document(batch["manifest"]))
        outcome = SilverOutcome.of(read_document(sibling(batch["manifest"], OUTCOME)))
        touched = months_by_table(read_document(sibling(batch["manifest"], TOUCHED)))
        self._ask_for_months(manifest, touched, outcome.months)
        reasons = {f.file_id: f.reason for f in outcome.failed_files}
        for file_id, reason in reasons.items():
            self.control.files.reject(file_id, manifest.batch_id, "UnreadableBronze", reason)
        merged = [file for file in manifest.files if file.file_id not in reasons]
        for file in merged:
            self.control.files.settle(file.file_id, manifest.batch_id, outcome.snapshot_id)
        self._requeue_behind_new_fences(manifest)
        Tags().settle([record for file in merged if (record := self._settled(file, manifest.batch_id))], self.settings.lake_bucket)
        after = self._after(target, manifest, outcome)
        if manifest.retires:
            self.control.refusals.forget(manifest.table, after.retired_below)
        self.control.states.keep(target, after)
        self.control.batches.close(target, manifest.batch_id, self.owner)
        count("RowsMerged", outcome.rows_merged, table=manifest.table)
        count("RowsMissingValues", sum(sum(rows.values()) for rows in outcome.missing.values()), table=manifest.table)
        count("RowsWithoutMonth", outcome.without_month, table=manifest.table)
        for result in outcome.quality:
            count("QualityRowsFailed", result["rows_failed"], table=manifest.table, rule=result["rule"])
        left = next(iter(self.control.listing.files(table=manifest.table, status=BRONZE, page_size=1)), None)
        return _answer(batch, "settled") | {
            "rows_read": outcome.rows_read,
            "rows_merged": outcome.rows_merged,
            "failed_files": len(reasons),
            "more": left is not None or _may_complete(manifest, outcome, after),
        }

    def derived(self, layer: str, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Close a run of a derived table. The tables built from it get its months before these are ticked off."""
        target = f"{layer}/{batch['table']}"
        if batch.get("error"):
            return self._released(target, batch)
        if not self._is_open(target, batch):
            return _answer(batch, "settled")
        manifest = MonthsManifest.of(read_document(batch["manifest"]))
        outcome = read_document(sibling(batch["manifest"], OUTCOME))
        if layer == "silver":
            for reader in self._contracts().current().built_from(manifest.table):
                self.control.months.request(reader.target, outcome["months"], manifest.batch_id)
        self.control.months.tick_off(target, manifest.months)
        state = replace(self.control.states.get(target), definition=manifest.definition, settled_batch=manifest.batch_id)
        self.control.states.keep(target, state)
        self.control.batches.close(target, manifest.batch_id, self.owner)
        return _answer(batch, "settled") | {"months": len(outcome["months"])}

    def _ask_for_months(self, manifest: SilverManifest, *named: Mapping[str, Iterable[str]]) -> None:
        """Request the touched months of the derived tables in force. Request all months if the job knew another version of a table."""
        store = self._contracts()
        known = store.at(manifest.contract_version).derived
        for table in store.current().built_from(manifest.table):
            months = {month for months in named for month in months.get(table.name, ())}
            self.control.months.request(table.target, months if known.get(table.name) == table else (WHOLE,), manifest.batch_id)

    def _contracts(self) -> ContractStore:
        return ContractStore(self.settings.contracts_uri)

    def _is_open(self, target: str, batch: Mapping[str, Any]) -> bool:
        """Whether the batch is still open. Raises ``BatchHeld`` if another execution has taken it over."""
        held = self.control.batches.get(target)
        if held is None or held.batch_id != batch["batch_id"]:
            return False
        if held.owner != self.owner:
            raise BatchHeld(target, held.batch_id, held.owner, held.lease_expires_at)
        return True

    def _released(self, target: str, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Release the batch of a failed job with the reason, so that the next run may take it at once."""
        error = failure_line(batch["error"])
        count("JobsFailed", target=target)
        logger.error("a job failed", extra={"target": target, "error": batch["error"]})
        self.control.batches.release(target, batch["batch_id"], error, self.owner)
        return _answer(batch, "released") | {"error": error}

    def _settled(self, file: BatchFile, batch_id: str) -> ControlRecord | None:
        record = self.control.files.get(file.file_id)
        return record if record.status == SILVER and record.batch_id == batch_id else None

    def _requeue_behind_new_fences(self, manifest: SilverManifest) -> None:
        """Put files back to bronze if a fence arrived after the batch was opened, since it gives newer records another generation.

        The fences are read after the files are marked. A later fence finds them as silver files itself.
        """
        late = [fence for fence in self.control.fences.of(manifest.table) if fence not in manifest.fences]
        if not late:
            return
        first = min(late).at
        for file in manifest.files:
            record = self._settled(file, manifest.batch_id)
            if record and record.built_at_max and parse_timestamp(record.built_at_max) >= first:
                self.control.files.back_to_bronze(file.file_id)

    def _after(self, target: str, manifest: SilverManifest, outcome: SilverOutcome) -> TargetState:
        state = self.control.states.get(target)
        loads = {**state.loads, **outcome.loads}
        read_until = {**state.read_until, **outcome.read_until}
        below = max(manifest.retired_below, state.retired_below)
        kept = {} if WHOLE in outcome.missing else state.missing
        missing = {month: rows for month, rows in {**kept, **outcome.missing}.items() if rows}
        return replace(state, loads=loads, read_until=read_until, retired_below=below, settled_batch=manifest.batch_id, missing=missing)


class Tags:
    """Tags settled objects. Lifecycle rules expire only objects with the tag."""

    def settle(self, records: Iterable[ControlRecord], lake_bucket: str) -> None:
        """Tag each file's bronze parts and then its raw object's version. The tag of the raw object means that all are tagged."""
        with ThreadPoolExecutor(TAGGERS) as pool:
            list(pool.map(lambda record: self._tag(record, lake_bucket), records))

    def _tag(self, record: ControlRecord, lake_bucket: str) -> None:
        version = {} if record.version_id in ("", "null") else {"VersionId": record.version_id}
        for key in record.bronze_keys:
            bucket, name = split_uri(key) if key.startswith("s3://") else (lake_bucket, key)
            self._put(bucket, name, {})
        self._put(record.bucket, record.object_key, version)

    def _put(self, bucket: str, key: str, version: Mapping[str, str]) -> None:
        tags = {"TagSet": [{"Key": name, "Value": value} for name, value in SETTLED_TAG.items()]}
        try:
            s3().put_object_tagging(Bucket=bucket, Key=key, Tagging=tags, **version)
        except s3().exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchVersion"):  # expired or deleted since
                raise


def _may_complete(manifest: SilverManifest, outcome: SilverOutcome, after: TargetState) -> bool:
    """Whether the batch brought rows of the newest load, so that the next plan may find it complete and retire older rows.

    A table's first load has no older rows, so it can wait for the next batch.
    """
    last = newest(manifest.fences)
    if last is None or last.generation <= after.retired_below or str(last.generation) not in outcome.loads:
        return False
    return any(fence.kind == CREATED and fence.generation < last.generation for fence in manifest.fences)


def _answer(batch: Mapping[str, Any], status: str) -> dict[str, Any]:
    return {"table": batch["table"], "batch_id": batch["batch_id"], "status": status, "more": False}
