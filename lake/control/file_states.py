"""The states of a file: ``pending → running → bronze → silver``, and ``failed``. The condition of each write is the rule."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lake.control.items import Items, attribute, file_key, is_new, time_in
from lake.control.listing import FileListing
from lake.control.records import BRONZE, FAILED, PENDING, RUNNING, SILVER, ControlRecord, NewFile, Outcome, now, timestamp
from lake.errors import TerminalError
from lake.keys import file_id as identity
from lake.keys import is_file_id

MESSAGE_LIMIT = 2_000
NO_LEASE = {"lease_token": None, "lease_expires_at": None}


class UnknownFile(TerminalError):
    """The control table has no record of this file id."""

    def __init__(self, file_id: str) -> None:
        shown = file_id if len(file_id) <= 80 else f"{file_id[:80]}… ({len(file_id):,} characters)"
        super().__init__(f'no file "{shown}"; list them with dm files ls')


class WrongStatus(TerminalError):
    """The file's status does not allow this change."""

    def __init__(self, record: ControlRecord, wanted: str) -> None:
        super().__init__(f"file {record.file_id} is {record.status}; {wanted}")
        self.status = record.status


class AlreadyTaken(TerminalError):
    """Another execution holds the file's lease."""


class LeaseLost(TerminalError):
    """The lease expired and another execution took the file. This attempt must not publish anything."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"file {file_id}: the lease is held by another execution or was given back; this attempt publishes nothing")


@dataclass(frozen=True)
class FileStates:
    """Registers, converts, settles, fails and retries files."""

    items: Items
    listing: FileListing

    def get(self, file_id: str) -> ControlRecord:
        """One file's record. Raises ``UnknownFile``."""
        # DynamoDB refuses a key beyond 2,048 bytes
        item = self.items.get(file_key(file_id)) if is_file_id(file_id) else None
        if item is None:
            raise UnknownFile(file_id)
        return ControlRecord.of_item(item)

    def held(self, file_id: str, token: str) -> ControlRecord:
        """A running file's record. Raises ``LeaseLost`` if the lease is not held."""
        record = self.get(file_id)
        if record.lease_token != token or record.status != RUNNING:
            raise LeaseLost(file_id)
        return record

    def change(self, file_id: str, status: str | None, changes: Mapping[str, Any], condition: Any) -> ControlRecord | None:
        """Make one conditional update. A change to None removes the attribute. Returns None if the condition does not hold."""
        keys = _status_keys(status, self.get(file_id).table_name) if status is not None else {}
        changed = {**changes, "updated_at": now(), **keys}
        item = self.items.update(file_key(file_id), changed, attribute("pk").exists() & condition)
        return ControlRecord.of_item(item) if item else None

    def _change_held(self, file_id: str, token: str, status: str | None, changes: Mapping[str, Any]) -> ControlRecord:
        changed = self.change(file_id, status, changes, _is(RUNNING) & attribute("lease_token").eq(token))
        if changed is None:
            raise LeaseLost(file_id)
        return changed

    def register(self, file: NewFile) -> bool:
        """Create the record of a new file as pending. Returns False if this version of the object is already known."""
        return self._create(file, PENDING, {})

    def register_failed(self, file: NewFile, error_type: str, message: str) -> bool:
        """Create a failed record for an object that cannot be converted. Returns False if it is already known."""
        return self._create(file, FAILED, _reason(error_type, message) | {"finished_at": now()})

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
            **_status_keys(status, file.table_name),
        }
        return self.items.put(item, is_new())

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
            "reject_reasons": None,
            "error_type": None,
            "error_message": None,
        }
        is_free = attribute("execution_arn").eq(execution_arn) | attribute("lease_expires_at").lt(moment)
        started = self.change(file_id, RUNNING, changes, _is(PENDING) | (_is(RUNNING) & is_free))
        if started is not None:
            return started
        record = self.get(file_id)
        if record.status == RUNNING:
            raise AlreadyTaken(f"file {file_id} is held by {record.execution_arn} until {record.lease_expires_at}")
        raise WrongStatus(record, "only pending files are converted")

    def pin(self, record: ControlRecord, contract_version: str, pii_decision: Mapping[str, Any]) -> ControlRecord:
        """Fix contract version and privacy decision on the record, so that every attempt writes the same bytes.

        The first attempt's values stay, and later attempts receive them. Raises ``LeaseLost``.
        """
        if record.contract_version is not None:
            return record
        changes = {"contract_version": contract_version, "pii_decision": dict(pii_decision)}
        condition = attribute("lease_token").eq(record.lease_token) & attribute("contract_version").not_exists()
        pinned = self.change(record.file_id, None, changes, condition) or self.get(record.file_id)
        if pinned.lease_token != record.lease_token or pinned.contract_version is None:
            raise LeaseLost(record.file_id)
        return pinned

    def renew(self, file_id: str, token: str, lease_seconds: int) -> None:
        """Extend the lease. Raises ``LeaseLost``."""
        self._change_held(file_id, token, None, {"lease_expires_at": time_in(lease_seconds)})

    def release(self, file_id: str, token: str, error_type: str, message: str) -> None:
        """Give the lease back with the reason, so that the next attempt can start at once. Raises ``LeaseLost``."""
        self._change_held(file_id, token, None, _reason(error_type, message) | {"lease_expires_at": now()})

    def complete(self, file_id: str, token: str, outcome: Outcome) -> ControlRecord:
        """running → bronze, with the outcome's keys and counts. Raises ``LeaseLost``.

        ``ControlTable.complete`` keeps the outcome's fences and refusals first.
        """
        changes = {
            "records_read": outcome.records_read,
            "records_written": outcome.records_written,
            "records_rejected": outcome.records_rejected,
            "bronze_keys": list(outcome.bronze_keys),
            "records_cleared": None,
            "quarantine_key": outcome.quarantine_key,
            "built_at_min": timestamp(outcome.built_at_min) if outcome.built_at_min else None,
            "built_at_max": timestamp(outcome.built_at_max) if outcome.built_at_max else None,
            "operations": dict(outcome.operations),
            "unknown_columns": dict(outcome.unknown_columns),
            "reject_reasons": dict(outcome.reject_reasons),
            **NO_LEASE,
            "finished_at": now(),
        }
        return self._change_held(file_id, token, BRONZE, changes)

    def fail(
        self,
        file_id: str,
        error_type: str,
        message: str,
        token: str | None = None,
        attempt: int | None = None,
        reject_reasons: Mapping[str, int] | None = None,
    ) -> ControlRecord:
        """End the file as failed, with a reason, and the counts of its rejects if they are it. A settled file does not change.

        With ``token``, the change needs that lease and raises ``LeaseLost`` without it. With ``attempt``, only a file on that
        attempt changes.
        """
        changes = _failure(error_type, message) | {"reject_reasons": dict(reject_reasons or {})}
        if token is not None:
            return self._change_held(file_id, token, FAILED, changes)
        condition = attribute("status").is_in([PENDING, RUNNING])
        if attempt is not None:
            condition &= attribute("attempt_count").eq(attempt)
        return self.change(file_id, FAILED, changes, condition) or self.get(file_id)

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
        again = self._again(record, {"contract_version": None, "retry_key": key})
        if again is None:
            raise WrongStatus(self.get(file_id), f"it was {record.status} a moment ago; look again")
        return again

    def restart(self, record: ControlRecord) -> ControlRecord | None:
        """Put a file back to pending for its next attempt. Returns None if it changed meanwhile."""
        return self._again(record, {})

    def take_over(self, record: ControlRecord, max_attempts: int) -> ControlRecord | None:
        """Restart a running file with an expired lease, or fail it after its last attempt. Returns None if it changed meanwhile.

        The reason of the failure is the one that the last attempt gave, if it gave any.
        """
        if record.real_attempts < max_attempts:
            return self.restart(record)
        said = record.error_message or "the lease ran out, and its worker ended without a word"
        reason = _failure(record.error_type or "LeaseExpired", f"attempt {record.real_attempts} of {max_attempts}: {said}")
        return self.change(record.file_id, FAILED, reason, _is_as_seen(record))

    def _again(self, record: ControlRecord, also: Mapping[str, Any]) -> ControlRecord | None:
        cleared = {**NO_LEASE, "execution_arn": None, "not_before": None, "batch_id": None, "finished_at": None}
        changes = {**also, **cleared, "attempt_count": record.attempt_count + 1}
        return self.change(record.file_id, PENDING, changes, _is_as_seen(record))

    def postpone(self, file_id: str, token: str, wait_seconds: int) -> ControlRecord:
        """Put a running file back to wait for a privacy decision. It starts after ``wait_seconds`` or on ``wake``.

        Raises ``LeaseLost``.
        """
        record = self.get(file_id)
        counts = {"attempt_count": record.attempt_count + 1, "wait_count": record.wait_count + 1}
        return self._change_held(file_id, token, PENDING, {**counts, **NO_LEASE, "not_before": time_in(wait_seconds)})

    def wake(self, table: str) -> int:
        """Let a table's postponed files start now. Returns their number."""
        postponed = [record for record in self.listing.files(table=table, status=PENDING) if record.not_before is not None]
        return sum(self.change(record.file_id, PENDING, {"not_before": None}, _is(PENDING)) is not None for record in postponed)

    def assign(self, file_id: str, batch_id: str) -> bool:
        """Add a bronze file to a batch. Returns False if it is no longer bronze or belongs to another batch."""
        batch = attribute("batch_id")
        condition = _is(BRONZE) & (batch.not_exists() | batch.eq(batch_id))
        return self.change(file_id, None, {"batch_id": batch_id}, condition) is not None

    def settle(self, file_id: str, batch_id: str, snapshot_id: str | None) -> bool:
        """bronze → silver for one file of a batch. Returns False if the file no longer belongs to the batch."""
        return self.change(file_id, SILVER, {"silver_snapshot_id": snapshot_id}, _is_in(batch_id)) is not None

    def reject(self, file_id: str, batch_id: str, error_type: str, message: str) -> bool:
        """bronze → failed for a file that the silver job could not read. Returns False if it no longer belongs to the batch."""
        changes = _reason(error_type, message) | {"finished_at": now()}
        return self.change(file_id, FAILED, changes, _is_in(batch_id)) is not None

    def clear_rejects(self, record: ControlRecord, cleared: int) -> None:
        """Note how many rejected records of the file's last attempt were released or dropped since."""
        self.change(record.file_id, None, {"records_cleared": cleared}, attribute("attempt_count").eq(record.attempt_count))

    def back_to_bronze(self, file_id: str) -> bool:
        """silver → bronze, for a file whose records belong to another generation than the one they were merged into."""
        return self.change(file_id, BRONZE, {"batch_id": None, "silver_snapshot_id": None}, _is(SILVER)) is not None


def _reason(error_type: str, message: str) -> dict[str, Any]:
    return {"error_type": error_type, "error_message": message[:MESSAGE_LIMIT]}


def _failure(error_type: str, message: str) -> dict[str, Any]:
    return {**_reason(error_type, message), **NO_LEASE, "finished_at": now()}


def _status_keys(status: str, table: str) -> dict[str, str]:
    """The status, and the index key that contains it."""
    return {"status": status, "table_status": f"{table}#{status}"}


def _is(status: str) -> Any:
    return attribute("status").eq(status)


def _is_in(batch_id: str) -> Any:
    return _is(BRONZE) & attribute("batch_id").eq(batch_id)


def _is_as_seen(record: ControlRecord) -> Any:
    """The condition that the file is unchanged since it was read."""
    seen = attribute("attempt_count").eq(record.attempt_count) & attribute("updated_at").eq(record.updated_at)
    return _is(record.status) & seen
