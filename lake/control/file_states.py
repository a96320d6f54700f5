"""The states of a file: ``pending → running → bronze → silver``, and ``failed``. The condition of each write is the rule."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from lake.control.records import BRONZE, FAILED, PENDING, RUNNING, SILVER, ControlRecord, NewFile, Outcome, now, timestamp
from lake.control.refusals import Refusals
from lake.control.store import AlreadyTaken, WrongStatus, file_key, lease_lost, status_keys, time_in
from lake.control.table_items import TableItems
from lake.keys import file_id as identity

MESSAGE_LIMIT = 2_000


class FileRecords(Refusals, TableItems):
    """Registers, converts, settles, fails and retries files."""

    def register(self, file: NewFile) -> bool:
        """Create the record of a new file as pending. Returns False if this version of the object is already known."""
        return self._create(file, PENDING, {})

    def register_failed(self, file: NewFile, error_type: str, message: str) -> bool:
        """Create a failed record for an object that cannot be converted. Returns False if it is already known."""
        return self._create(file, FAILED, {"error_type": error_type, "error_message": message[:MESSAGE_LIMIT], "finished_at": now()})

    def _create(self, file: NewFile, status: str, extra: Mapping[str, Any]) -> bool:
        key = identity(file.bucket, file.object_key, file.version_id or file.etag)
        moment = now()
        item = {
            **vars(file),
            **extra,
            **file_key(key),
            "file_id": key,
            "attempt_count": 1,
            "wait_count": 0,
            "created_at": moment,
            "updated_at": moment,
            "listed_at": f"{moment}#{key}",
            **status_keys(status, file.table_name),
        }
        try:
            self.table.put_item(Item=item, ConditionExpression="attribute_not_exists(pk)")
        except self.condition_failed:
            return False
        return True

    def start(self, file_id: str, execution_arn: str, lease_seconds: int) -> ControlRecord:
        """Take the file for conversion if it is pending, running under the same execution, or running with an expired lease.

        Raises ``AlreadyTaken`` if another execution holds it, ``WrongStatus`` if it is done, ``UnknownFile``.
        """
        moment = now()
        changes = {
            "execution_arn": execution_arn,
            "lease_token": uuid.uuid4().hex,
            "lease_expires_at": time_in(lease_seconds),
            "started_at": moment,
            "not_before": None,
            "error_type": None,
            "error_message": None,
        }
        condition = "#status = :pending OR (#status = :running AND (execution_arn = :execution OR lease_expires_at < :now))"
        values = {":pending": PENDING, ":running": RUNNING, ":execution": execution_arn, ":now": moment}
        try:
            return self.change(file_id, RUNNING, changes, condition, values)
        except self.condition_failed:
            record = self.get(file_id)
            if record.status == RUNNING:
                raise AlreadyTaken(f"file {file_id} is held by {record.execution_arn} until {record.lease_expires_at}") from None
            raise WrongStatus(record, "only pending files are converted") from None

    def pin(self, record: ControlRecord, contract_version: str, pii_decision: Mapping[str, Any]) -> ControlRecord:
        """Fix contract version and privacy decision on the record, so that every attempt writes the same bytes.

        The first attempt's values stay, and later attempts receive them. Raises ``LeaseLost``.
        """
        if record.contract_version is not None:
            return record
        changes = {"contract_version": contract_version, "pii_decision": dict(pii_decision)}
        condition = "lease_token = :token AND attribute_not_exists(contract_version)"
        try:
            return self.change(record.file_id, None, changes, condition, {":token": record.lease_token})
        except self.condition_failed:
            current = self.get(record.file_id)
            if current.lease_token != record.lease_token or current.contract_version is None:
                raise lease_lost(record.file_id) from None
            return current

    def renew(self, file_id: str, token: str, lease_seconds: int) -> None:
        """Extend the lease. Raises ``LeaseLost``."""
        self.change_held(file_id, token, None, {"lease_expires_at": time_in(lease_seconds)})

    def release(self, file_id: str, token: str, error_type: str, message: str) -> None:
        """Give the lease back with the reason, so that the next attempt can start at once. Raises ``LeaseLost``."""
        reason = {"error_type": error_type, "error_message": message[:MESSAGE_LIMIT]}
        self.change_held(file_id, token, None, {"lease_expires_at": now(), **reason})

    def complete(self, file_id: str, token: str, outcome: Outcome) -> ControlRecord:
        """Publish a conversion: running → bronze, with its keys and counts. Raises ``LeaseLost``.

        Fences are written first, so that none is lost.
        """
        record = self.get(file_id)
        if record.lease_token != token or record.status != RUNNING:
            raise lease_lost(file_id)
        for fence in outcome.fences:
            self.add_fence(record.table_name, fence)
        if outcome.refusals or record.attempt_count > 1:
            self.note_refusals(record.table_name, outcome.refusals, f"file#{file_id}")
        changes = {
            "records_read": outcome.records_read,
            "records_written": outcome.records_written,
            "records_rejected": outcome.records_rejected,
            "bronze_keys": list(outcome.bronze_keys),
            "quarantine_key": outcome.quarantine_key,
            "built_at_min": timestamp(outcome.built_at_min) if outcome.built_at_min else None,
            "built_at_max": timestamp(outcome.built_at_max) if outcome.built_at_max else None,
            "operations": dict(outcome.operations),
            "unknown_columns": dict(outcome.unknown_columns),
            "lease_token": None,
            "lease_expires_at": None,
            "finished_at": now(),
        }
        return self.change_held(file_id, token, BRONZE, changes)

    def fail(self, file_id: str, error_type: str, message: str, token: str | None = None, attempt: int | None = None) -> ControlRecord:
        """End the file as failed, with a reason. A settled file does not change.

        With ``token``, the change needs that lease and raises ``LeaseLost`` without it. With ``attempt``, only a file on that
        attempt changes.
        """
        changes = _failure(error_type, message)
        if token is not None:
            return self.change_held(file_id, token, FAILED, changes)
        condition = "#status IN (:a, :b)"
        values: dict[str, Any] = {":a": PENDING, ":b": RUNNING}
        if attempt is not None:
            condition, values = f"{condition} AND attempt_count = :attempt", {**values, ":attempt": attempt}
        try:
            return self.change(file_id, FAILED, changes, condition, values)
        except self.condition_failed:
            return self.get(file_id)

    def retry(self, file_id: str, force: bool = False, key: str | None = None) -> ControlRecord:
        """Convert a file again if it is failed, or silver with rejected rows. ``force`` accepts any file.

        A repeated call with the same ``key`` changes nothing, because the caller may not have received the first answer.
        The current contract is pinned again, since the old one may have caused the failure. Privacy decisions stay.
        Raises ``WrongStatus``, ``UnknownFile``.
        """
        record = self.get(file_id)
        if key is not None and record.retry_key == key:
            return record
        allowed = record.status == FAILED or (record.status == SILVER and (record.records_rejected or 0) > 0)
        if not allowed and not force:
            raise WrongStatus(record, "retry takes failed files and silver files with rejected rows; force takes any")
        return self._again(record, {"contract_version": None, "retry_key": key})

    def restart(self, record: ControlRecord) -> ControlRecord | None:
        """Put a file back to pending for its next attempt. Returns None if it changed meanwhile."""
        try:
            return self._again(record)
        except WrongStatus:
            return None

    def take_over(self, record: ControlRecord, max_attempts: int) -> ControlRecord | None:
        """Restart a running file with an expired lease, or fail it after its last attempt. Returns None if it changed meanwhile.

        The reason of the failure is the one that the last attempt gave, if it gave any.
        """
        if record.real_attempts >= max_attempts:
            said = record.error_message or "the lease ran out, and its worker ended without a word"
            reason = _failure(record.error_type or "LeaseExpired", f"attempt {record.real_attempts} of {max_attempts}: {said}")
            try:
                return self.change(record.file_id, FAILED, reason, *_as_seen(record))
            except self.condition_failed:
                return None
        return self.restart(record)

    def _again(self, record: ControlRecord, also: Mapping[str, Any] | None = None) -> ControlRecord:
        changes = {
            **(also or {}),
            "attempt_count": record.attempt_count + 1,
            "execution_arn": None,
            "lease_token": None,
            "lease_expires_at": None,
            "not_before": None,
            "batch_id": None,
            "finished_at": None,
        }
        try:
            return self.change(record.file_id, PENDING, changes, *_as_seen(record))
        except self.condition_failed:
            raise WrongStatus(self.get(record.file_id), f"it was {record.status} a moment ago; look again") from None

    def postpone(self, file_id: str, token: str, wait_seconds: int) -> ControlRecord:
        """Put a running file back to wait for a privacy decision. It starts after ``wait_seconds`` or on ``wake``.

        Raises ``LeaseLost``.
        """
        record = self.get(file_id)
        changes = {
            "attempt_count": record.attempt_count + 1,
            "wait_count": record.wait_count + 1,
            "not_before": time_in(wait_seconds),
            "lease_token": None,
            "lease_expires_at": None,
        }
        return self.change_held(file_id, token, PENDING, changes)

    def wake(self, table: str) -> int:
        """Let a table's postponed files start now. Returns their number."""
        woken = 0
        for record in self.files(table=table, status=PENDING):
            if record.not_before is None:
                continue
            try:
                self.change(record.file_id, PENDING, {"not_before": None}, "#status = :pending", {":pending": PENDING})
                woken += 1
            except self.condition_failed:
                continue
        return woken

    def settle(self, file_id: str, batch_id: str, snapshot_id: str | None) -> bool:
        """bronze → silver for one file of a batch. Returns False if the file no longer belongs to the batch."""
        changes = {"silver_snapshot_id": snapshot_id}
        try:
            self.change(file_id, SILVER, changes, "#status = :bronze AND batch_id = :batch", {":bronze": BRONZE, ":batch": batch_id})
        except self.condition_failed:
            return False
        return True

    def reject(self, file_id: str, batch_id: str, error_type: str, message: str) -> bool:
        """bronze → failed for a file that the silver job could not read. Returns False if it no longer belongs to the batch."""
        changes = {"error_type": error_type, "error_message": message[:MESSAGE_LIMIT], "finished_at": now()}
        try:
            self.change(file_id, FAILED, changes, "#status = :bronze AND batch_id = :batch", {":bronze": BRONZE, ":batch": batch_id})
        except self.condition_failed:
            return False
        return True

    def assign(self, file_id: str, batch_id: str) -> bool:
        """Add a bronze file to a batch. Returns False if it is no longer bronze or belongs to another batch."""
        condition = "#status = :bronze AND (attribute_not_exists(batch_id) OR batch_id = :batch)"
        try:
            self.change(file_id, None, {"batch_id": batch_id}, condition, {":bronze": BRONZE, ":batch": batch_id})
        except self.condition_failed:
            return False
        return True


def _failure(error_type: str, message: str) -> dict[str, Any]:
    return {
        "error_type": error_type,
        "error_message": message[:MESSAGE_LIMIT],
        "lease_token": None,
        "lease_expires_at": None,
        "finished_at": now(),
    }


def _as_seen(record: ControlRecord) -> tuple[str, dict[str, Any]]:
    """The condition that the file is unchanged since it was read, and its values."""
    condition = "#status = :was AND attempt_count = :count AND updated_at = :seen"
    return condition, {":was": record.status, ":count": record.attempt_count, ":seen": record.updated_at}
