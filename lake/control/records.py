"""The values of the control table: a file's record, its statuses, and the outcome of a conversion."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from lake.generations import Fence

PENDING, RUNNING, BRONZE, SILVER, FAILED = "pending", "running", "bronze", "silver", "failed"
STATUSES = (PENDING, RUNNING, BRONZE, SILVER, FAILED)
LAMBDA, CONTAINER = "lambda", "container"
JSON_LINES, CSV = "json", "csv"


def now() -> str:
    """The current time as the control table writes it: UTC, microseconds, sortable."""
    return timestamp(datetime.now(UTC))


def timestamp(moment: datetime) -> str:
    """ISO 8601, UTC, microseconds, ``Z``. Years have four digits, so that text sorts as time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_timestamp(text: str) -> datetime:
    """Parse the text of ``timestamp``."""
    return datetime.fromisoformat(text)


def counts_text(counts: Mapping[str, int]) -> str:
    """``3 x ragged; 1 x nul``, the commonest first."""
    return "; ".join(f"{count:,} x {name}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


class Refusal(NamedTuple):
    """A load's row that was refused before silver: its digest, and the time its message was built (microseconds since 1970)."""

    digest: bytes
    built_at: int

    @classmethod
    def of(cls, data: bytes, built_at: datetime) -> Refusal:
        """The refusal of ``data``."""
        return cls(hashlib.sha256(data).digest()[:8], Fence(built_at).generation)


@dataclass(frozen=True)
class NewFile:
    """A raw object that just arrived. ``size_bytes`` is its compressed size, ``records_estimated`` counts lines."""

    bucket: str
    object_key: str
    version_id: str
    etag: str
    table_name: str
    file_format: str
    size_bytes: int
    records_estimated: int = 0
    compute_target: str = LAMBDA


@dataclass(frozen=True)
class Outcome:
    """The result of a conversion. ``records_read`` is ``records_written + records_rejected``.

    ``rejects`` holds one text per kind of reject: its count, the first line, and the problem. ``lines_without_record`` counts
    the lines of a CSV file that begin no record: blank lines, and lines within a quoted text.
    ``reject_reasons`` counts the rejects by kind. ``refusals`` are the rejected rows of loads.
    """

    records_read: int
    records_written: int
    records_rejected: int
    bronze_keys: tuple[str, ...]
    quarantine_key: str | None = None
    built_at_min: datetime | None = None
    built_at_max: datetime | None = None
    operations: Mapping[str, int] = field(default_factory=dict)
    fences: tuple[Fence, ...] = ()
    unknown_columns: Mapping[str, int] = field(default_factory=dict)
    rejects: tuple[str, ...] = ()
    reject_reasons: Mapping[str, int] = field(default_factory=dict)
    lines_without_record: int = 0
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class ControlRecord:
    """One file's record. Times are ISO 8601 text in UTC."""

    file_id: str
    bucket: str
    object_key: str
    version_id: str
    table_name: str
    file_format: str
    size_bytes: int
    status: str
    attempt_count: int
    compute_target: str
    created_at: str
    updated_at: str
    etag: str = ""
    records_estimated: int = 0
    records_read: int | None = None
    records_written: int | None = None
    records_rejected: int | None = None
    records_cleared: int | None = None
    wait_count: int = 0
    retry_key: str | None = None
    not_before: str | None = None
    contract_version: str | None = None
    pii_decision: Mapping[str, Any] | None = None
    checksum: str | None = None
    execution_arn: str | None = None
    lease_token: str | None = None
    lease_expires_at: str | None = None
    bronze_keys: tuple[str, ...] = ()
    quarantine_key: str | None = None
    built_at_min: str | None = None
    built_at_max: str | None = None
    operations: Mapping[str, int] = field(default_factory=dict)
    unknown_columns: Mapping[str, int] = field(default_factory=dict)
    reject_reasons: Mapping[str, int] = field(default_factory=dict)
    batch_id: str | None = None
    silver_snapshot_id: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def ingest_date(self) -> str:
        """The UTC date on which the file was registered. Its bronze parts lie under this date."""
        return self.created_at[:10]

    @property
    def rejects_left(self) -> int:
        """Rejected records that were neither released nor dropped."""
        return (self.records_rejected or 0) - (self.records_cleared or 0)

    @property
    def real_attempts(self) -> int:
        """Attempts to convert. Attempts that only waited for a decision do not count."""
        return self.attempt_count - self.wait_count

    @classmethod
    def of_item(cls, item: Mapping[str, Any]) -> ControlRecord:
        """Read a DynamoDB item (resource form)."""
        values = {name: plain(item[name]) for name in _FIELDS if name in item}
        values["bronze_keys"] = tuple(values.get("bronze_keys") or ())
        return cls(**values)


_FIELDS = tuple(f.name for f in fields(ControlRecord))


def plain(value: Any) -> Any:
    """Turn DynamoDB's Decimals into int or float. The control table holds only whole numbers and scores."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value


@dataclass(frozen=True)
class Page:
    """One page of a listing. ``cursor`` is None on the last one."""

    items: tuple[ControlRecord, ...]
    cursor: str | None = None
