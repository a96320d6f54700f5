"""The current state of a lake table from its Iceberg metadata: snapshots, partitions, files and sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from lake.errors import TerminalError

DATABASES = ("dm_silver", "dm_gold")


class NotInLake(TerminalError):
    """No database of the lake holds a table of this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f'no table "{name}" in the lake; {"known: " + ", ".join(known) if known else "it has none yet: dm run silver"}')


@dataclass(frozen=True)
class SnapshotLine:
    """One commit: its time, its kind, and the rows and files that it added and removed."""

    snapshot_id: int
    committed_at: datetime
    operation: str
    rows_added: int
    rows_removed: int
    files_added: int
    files_removed: int


@dataclass(frozen=True)
class PartitionLine:
    """One partition. ``partition`` is empty for an unpartitioned table. Rows exclude position deletes. Sizes are in bytes."""

    partition: str
    rows: int
    files: int
    delete_files: int
    bytes: int
    last_changed_at: datetime | None


@dataclass(frozen=True)
class TableDescription:
    """A table with its snapshots, newest first, and its partitions, in their order."""

    name: str
    location: str
    format_version: int
    columns: tuple[tuple[str, str], ...]
    snapshots: tuple[SnapshotLine, ...]
    partitions: tuple[PartitionLine, ...]

    @property
    def totals(self) -> dict[str, Any]:
        """Rows, files and bytes of the current snapshot, the number of snapshots, and the time of the last change."""
        return {
            "rows": sum(line.rows for line in self.partitions),
            "files": sum(line.files for line in self.partitions),
            "delete_files": sum(line.delete_files for line in self.partitions),
            "bytes": sum(line.bytes for line in self.partitions),
            "partitions": len(self.partitions),
            "snapshots": len(self.snapshots),
            "last_changed_at": self.snapshots[0].committed_at if self.snapshots else None,
        }

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self) | {"totals": self.totals}


def describe(name: str) -> TableDescription:
    """The table called ``review`` or ``dm_gold.top_drinkers``. Raises ``NotInLake``."""
    catalog = _catalog()
    database, _, table = name.rpartition(".")
    for candidate in (database,) if database else DATABASES:
        try:
            return _description(catalog.load_table((candidate, table)))
        except NoSuchTableError:
            continue
    raise NotInLake(name, names())


def names() -> list[str]:
    """Every Iceberg table of the lake as ``database.table``, sorted."""
    glue = boto3.client("glue")
    found = []
    for database in DATABASES:
        try:
            for page in glue.get_paginator("get_tables").paginate(DatabaseName=database):
                found += [
                    f"{database}.{table['Name']}" for table in page["TableList"] if "metadata_location" in table.get("Parameters", {})
                ]
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityNotFoundException":
                raise
    return sorted(found)


def _catalog() -> Catalog:
    s3, glue = boto3.client("s3").meta, boto3.client("glue").meta
    places = {"s3.endpoint": s3.endpoint_url, "s3.region": s3.region_name, "glue.endpoint": glue.endpoint_url}
    return load_catalog("lake", type="glue", **places)


def _description(table: Table) -> TableDescription:
    return TableDescription(
        name=".".join(table.name()),
        location=table.location(),
        format_version=table.format_version,
        columns=tuple((field.name, str(field.field_type)) for field in table.schema().fields),
        snapshots=_snapshots(table),
        partitions=_partitions(table),
    )


def _snapshots(table: Table) -> tuple[SnapshotLine, ...]:
    lines = []
    for snapshot in sorted(table.metadata.snapshots, key=lambda snapshot: (snapshot.timestamp_ms, snapshot.sequence_number), reverse=True):
        summary = snapshot.summary
        told = dict(summary.additional_properties) if summary else {}
        lines.append(
            SnapshotLine(
                snapshot.snapshot_id,
                datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
                summary.operation.value if summary else "",
                *(int(told.get(name, 0)) for name in ("added-records", "deleted-records", "added-data-files", "deleted-data-files")),
            )
        )
    return tuple(lines)


def _partitions(table: Table) -> tuple[PartitionLine, ...]:
    if table.current_snapshot() is None:
        return ()
    lines = [
        PartitionLine(
            partition="/".join(f"{name}={value}" for name, value in (row.get("partition") or {}).items()),
            rows=row["record_count"] - row["position_delete_record_count"],
            files=row["file_count"],
            delete_files=row["position_delete_file_count"] + row["equality_delete_file_count"],
            bytes=row["total_data_file_size_in_bytes"],
            last_changed_at=row["last_updated_at"].replace(tzinfo=UTC) if row["last_updated_at"] else None,
        )
        for row in sorted(table.inspect.partitions().to_pylist(), key=lambda row: tuple((row.get("partition") or {}).values()))
    ]
    return tuple(lines)
