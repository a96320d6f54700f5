"""The documents that a batch's plan and its job exchange: three JSON objects under ``batches/<table>/<batch_id>/``.

Plan writes ``manifest.json``. The job writes ``touched.json`` before it changes a table and ``outcome.json`` afterwards.
docs/batches.md describes their fields in one table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import msgspec

from lake.clients import s3
from lake.errors import TransientError
from lake.generations import Fence
from lake.keys import split_uri

MANIFEST, TOUCHED, OUTCOME = "manifest.json", "touched.json", "outcome.json"


class MissingDocument(TransientError):
    """A batch's document does not exist (yet)."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri} does not exist; its job has not come that far")


class _Document:
    """A dataclass, which msgspec reads and writes as JSON by its annotations."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Parse the JSON form. Raises ``msgspec.ValidationError``, which names the field."""
        return msgspec.convert(document, cls)


@dataclass(frozen=True)
class BatchFile:
    """One file of a silver batch: its parts as ``s3://`` URIs."""

    file_id: str
    contract_version: str
    bronze_keys: tuple[str, ...]


@dataclass(frozen=True)
class FailedFile:
    """A file that the job could not read, with the reason."""

    file_id: str
    reason: str


@dataclass(frozen=True)
class SilverManifest(_Document):
    """The files of one silver run, and the rules in force when plan chose them.

    ``retired_below`` (microseconds since 1970, 0 for none) is the newest generation whose load is complete. The run
    retires (soft-deletes) rows of older generations. ``retires`` is True if the table's present rows still need this pass.
    ``opened_at`` is the time that the run writes into created_at, updated_at and deleted_at, so that a repeated run
    writes the same rows.
    """

    batch_id: str
    table: str
    contract_version: str
    contracts_uri: str
    files: tuple[BatchFile, ...]
    fences: tuple[Fence, ...]
    retired_below: int
    retires: bool
    opened_at: datetime
    read_until: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Parse the JSON form, also one with the names before 0.2.0."""
        before = {"retired_below": document.get("swept_generation", 0), "retires": document.get("sweep", False)}
        return super().of(before | dict(document))


@dataclass(frozen=True)
class SilverOutcome(_Document):
    """The result of a silver run.

    ``loads`` counts the keys that each load has brought, by generation. ``months`` lists the touched months of each derived
    table. ``quality`` lists the broken rules. ``read_until`` is as in ``TargetState``. ``missing`` counts the rows in which the
    value of some column is not certain, by month and by those columns, for each month that the batch may have changed
    (``WHOLE`` for all). ``without_month`` counts the images whose partition column names no month of the years 1 to 9999.
    """

    snapshot_id: str | None
    rows_read: int
    rows_merged: int
    failed_files: tuple[FailedFile, ...] = ()
    quarantined: int = 0
    loads: Mapping[str, int] = field(default_factory=dict)
    read_until: Mapping[str, int] = field(default_factory=dict)
    months: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quality: tuple[Mapping[str, Any], ...] = ()
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    without_month: int = 0

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Parse the JSON form. In one of a job before 0.2.0 ``missing`` is a number without months, which is left to the next batch."""
        missing = document.get("missing")
        return super().of(document if isinstance(missing, Mapping) else {**document, "missing": {}})


@dataclass(frozen=True)
class MonthsManifest(_Document):
    """The months that one run of a derived table rebuilds, and the contracts to build them by.

    ``months`` maps each month to the token with which it is ticked off. If ``whole`` is True, the run builds every month,
    because the table is new or its definition changed.
    """

    batch_id: str
    table: str
    contract_version: str
    contracts_uri: str
    definition: str
    months: Mapping[str, str]
    whole: bool
    opened_at: datetime


@dataclass(frozen=True)
class MaintenanceManifest(_Document):
    """The table that one maintenance run works on, and the tables that its writer keeps beside it.

    The run expires snapshots older than ``snapshots_before``. It removes objects that no snapshot names and that are older
    than ``orphans_before``. ``key`` lists the key columns of a contract's table, ``beside`` the tables that its writer may
    keep. Both are empty for a derived table.
    """

    batch_id: str
    database: str
    table: str
    snapshots_before: datetime
    orphans_before: datetime
    key: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def months_by_table(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The months of each derived table, from the touched.json or outcome.json of a silver batch."""
    return {table: tuple(months) for table, months in document.get("months", {}).items()}


def month_text(year: int, month: int) -> str:
    """``YYYY-MM``, the text form of months in documents and items."""
    return f"{year:04d}-{month:02d}"


def month_pair(text: str) -> tuple[int, int]:
    """Year and month of ``YYYY-MM``."""
    year, month = text.rsplit("-", 1)
    return int(year), int(month)


def month_texts(months: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    """Months as text, sorted, without the partition of tombstones (year 0)."""
    return tuple(sorted(month_text(*pair) for pair in set(months) if pair[0] != 0))


def sibling(uri: str, name: str) -> str:
    """The URI of another document of the same batch."""
    return f"{uri.rsplit('/', 1)[0]}/{name}"


def read_document(uri: str) -> dict[str, Any]:
    """Read one JSON object from S3. Raises ``MissingDocument``."""
    bucket, key = split_uri(uri)
    try:
        document: dict[str, Any] = msgspec.json.decode(s3().get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3().exceptions.NoSuchKey:
        raise MissingDocument(uri) from None
    return document


def write_document(uri: str, document: Any) -> None:
    """Write a dataclass or a mapping to S3 as one JSON object."""
    bucket, key = split_uri(uri)
    s3().put_object(Bucket=bucket, Key=key, Body=msgspec.json.encode(document), ContentType="application/json")


def utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)
