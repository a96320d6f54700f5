"""Exports a table of the source in one consistent snapshot, as gzipped CSV under the raw prefix.

A temporary logical slot exports the snapshot, so its rows have a place in the order of changes. The slot's restart_lsn is
above every change that was complete before, and below every change that the snapshot cannot see.
https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-CREATE-REPLICATION-SLOT

``export.task`` is the command for a scheduled task.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import psycopg2
import psycopg2.extras
from psycopg2 import sql

from export.objects import ExportObject, ObjectWriter
from lake import keys
from lake.cdc import BUILT_AT, LOAD, OPERATION, POSITION, ZERO_POSITION, Position
from lake.contract import Contract
from lake.contract.names import ROW
from lake.control import ControlTable, Fence, UnknownFile
from lake.control.records import timestamp
from lake.errors import TransientError
from lake.source_session import SESSION_OPTIONS

OBJECT_BYTES = 64 << 20
REGISTER_SECONDS = 300
POLL_SECONDS = 0.5

Progress = Callable[[str], None]


class ExportFailed(TransientError):
    """The source could not be exported. There is no manifest, and the watermark has not moved."""


class NotRegistered(TransientError):
    """The export's objects are in the stage bucket, but not all were registered in time. The watermark has not moved."""


@dataclass(frozen=True)
class Export:
    """One export, as in its manifest. ``since`` is None for a whole export, ``watermark`` for a table without one."""

    export_id: str
    table: str
    since: str | None
    watermark: str | None
    cdc_position: str
    cdc_built_at: str
    rows: int
    objects: tuple[ExportObject, ...]

    @property
    def manifest_key(self) -> str:
        """The key of the manifest that closes the export."""
        return keys.export_prefix(self.table, self.export_id) + keys.MANIFEST_NAME


@dataclass(frozen=True)
class _Snapshot:
    """A read-only transaction on the source's snapshot, and its place in the order of changes."""

    connection: Any
    position: str
    taken_at: datetime


def export_table(
    dsn: str,
    bucket: str,
    contract: Contract,
    control: ControlTable,
    *,
    whole: bool = False,
    only: Sequence[Sequence[str]] | None = None,
    object_bytes: int = OBJECT_BYTES,
    register_seconds: float = REGISTER_SECONDS,
    progress: Progress = lambda _: None,
) -> Export:
    """Export a table, whole or from its watermark minus the contract's lateness, and move the watermark.

    ``only`` holds the keys of the rows to export, as texts; then the watermark stays.
    ``object_bytes`` limits the compressed size of an object. The watermark moves once every object is registered. The function
    waits up to ``register_seconds`` for that. A table without changes (``cdc: false``) is exported whole, and a fence makes the
    export a generation. A table without an export watermark is always exported whole.
    Raises ``ExportFailed``, ``NotRegistered``.
    """
    since = None if whole or not contract.cdc or contract.export_watermark is None else control.watermarks.get(contract.table)
    export_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    try:
        with _snapshot(dsn, contract.cdc) as snapshot:
            watermark = None if only else _watermark(snapshot.connection, contract)
            writer = ObjectWriter(bucket, keys.export_prefix(contract.table, export_id), _header(contract), object_bytes, progress)
            with closing(writer), snapshot.connection.cursor() as cursor:
                cursor.copy_expert(_copy(snapshot, contract, since, only), writer)
                writer.finish()
    except psycopg2.Error as error:
        raise ExportFailed(f"{contract.source_schema}.{contract.source_table}: {' '.join(str(error).split())}") from error
    export = Export(
        export_id, contract.table, since, watermark, snapshot.position, timestamp(snapshot.taken_at), writer.rows, tuple(writer.objects)
    )
    _close(export, bucket)
    progress(f"{export.rows:,} rows in {len(export.objects)} objects; waiting for their registration")
    _wait_until_registered(export, bucket, control, register_seconds)
    if not contract.cdc:
        # The fence comes last. Older generations are retired once no file of a known fence waits, and an unregistered file
        # would be overlooked. Files that were merged before are merged again.
        control.fences.add(contract.table, Fence(snapshot.taken_at))
    if watermark is not None:
        control.watermarks.set(contract.table, watermark, export_id)
    return export


@contextmanager
def _snapshot(dsn: str, has_changes: bool) -> Iterator[_Snapshot]:
    """A repeatable-read transaction. For a table with changes it uses the snapshot of a temporary slot.

    The time is taken first, so that a load that starts meanwhile is the newer generation.
    """
    taken_at = datetime.now(UTC)
    with closing(psycopg2.connect(dsn, options=SESSION_OPTIONS)) as reader:
        reader.set_session(isolation_level="REPEATABLE READ", readonly=True)
        if reader.info.parameter_status("server_encoding") == "SQL_ASCII":
            reader.set_client_encoding("SQL_ASCII")  # unchanged bytes: the converter then refuses only the rows that are not UTF-8
        if not has_changes:
            yield _Snapshot(reader, ZERO_POSITION, taken_at)
            return
        with closing(
            psycopg2.connect(dsn, connection_factory=psycopg2.extras.LogicalReplicationConnection, options=SESSION_OPTIONS)
        ) as replication:
            position = _import_snapshot(reader, replication)
        yield _Snapshot(reader, position, taken_at)


def _import_snapshot(reader: Any, replication: Any) -> str:
    """Set the reader to the snapshot of a temporary slot and return the slot's position. The slot may be dropped afterwards."""
    name = f"dm_export_{secrets.token_hex(6)}"
    with replication.cursor() as slot, reader.cursor() as cursor:
        slot.execute(f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT")
        _, _, snapshot_name, _ = slot.fetchone()
        cursor.execute("SET TRANSACTION SNAPSHOT %s", (snapshot_name,))
        cursor.execute("SELECT restart_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = %s", (name,))
        (lsn,) = cursor.fetchone()
    return str(Position(int(lsn), 0))


def _watermark(connection: Any, contract: Contract) -> str | None:
    """The highest value of the watermark column in the snapshot."""
    if contract.export_watermark is None:
        return None
    statement = sql.SQL("SELECT max({})::text FROM {}").format(
        sql.Identifier(contract.by_name[contract.export_watermark].source_name), _source(connection, contract)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        (value,) = cursor.fetchone()
    return None if value is None else str(value)


def _source(connection: Any, contract: Contract) -> sql.Composable:
    """The table without the tables that inherit from it. A partitioned table includes its partitions."""
    table = sql.Identifier(contract.source_schema, contract.source_table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", (table.as_string(connection),))
        only = cursor.fetchone() != (True,)
    return sql.SQL("ONLY {}").format(table) if only else table


def _header(contract: Contract) -> list[str]:
    return [*(column.name for column in contract.columns), OPERATION, POSITION, BUILT_AT]


def _copy(snapshot: _Snapshot, contract: Contract, since: str | None, only: Sequence[Sequence[str]] | None = None) -> str:
    """The COPY statement: the contract's columns, then operation, position and time of the snapshot."""
    columns: list[sql.Composable] = [
        sql.SQL("row_number() OVER ()") if column.name == ROW else sql.Identifier(column.source_name) for column in contract.columns
    ]
    columns += [sql.Literal(LOAD), sql.Literal(snapshot.position), sql.Literal(timestamp(snapshot.taken_at))]
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(columns), _source(snapshot.connection, contract))
    if only:
        query = sql.SQL("{} WHERE ({}) IN ({})").format(
            query,
            sql.SQL(", ").join(sql.Identifier(column.source_name) for column in contract.key),
            sql.SQL(", ").join(sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, key))) for key in only),
        )
    elif since is not None and contract.export_watermark is not None:
        query = sql.SQL("{} WHERE {}").format(query, _newer(contract, contract.export_watermark, since))
    return str(sql.SQL("COPY ({}) TO STDOUT WITH (FORMAT csv)").format(query).as_string(snapshot.connection))


def _newer(contract: Contract, watermark: str, since: str) -> sql.Composable:
    """The condition for rows from the watermark minus the lateness. Rows without a value may be new, so they are read again."""
    numeric = contract.by_name[watermark].type.is_number
    late = sql.SQL("{}") if numeric else sql.SQL("make_interval(secs => {})")
    bound = sql.SQL("{}::{} - " + late.string).format(
        sql.Literal(since), sql.SQL("numeric" if numeric else "timestamptz"), sql.Literal(contract.export_lateness)
    )
    return sql.SQL("({column} >= {bound} OR {column} IS NULL)").format(
        column=sql.Identifier(contract.by_name[watermark].source_name), bound=bound
    )


def _close(export: Export, bucket: str) -> None:
    """Write the manifest, which completes the export."""
    body = {**asdict(export), "objects": [asdict(written) for written in export.objects]}
    boto3.client("s3").put_object(Bucket=bucket, Key=export.manifest_key, Body=json.dumps(body, indent=1).encode())


def _wait_until_registered(export: Export, bucket: str, control: ControlTable, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    place = f"s3://{bucket}/{keys.export_prefix(export.table, export.export_id)}"
    waiting = [written.file_id for written in export.objects]
    while waiting:
        waiting = [file_id for file_id in waiting if not _is_registered(control, file_id)]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise NotRegistered(
                f"{len(waiting)} of {len(export.objects)} objects of {place} were not registered within {seconds:.0f} s; "
                "dm files sweep registers them"
            )
        time.sleep(POLL_SECONDS)


def _is_registered(control: ControlTable, file_id: str) -> bool:
    try:
        control.files.get(file_id)
    except UnknownFile:
        return False
    return True
