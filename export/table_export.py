"""Exports a table of the source in one consistent snapshot, as gzipped CSV under the raw prefix.

``export.task`` is the command for a scheduled task.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import boto3
import psycopg2
from psycopg2 import sql

from export.load import ExportLoad
from export.objects import ExportObject, ObjectStore, ObjectWriter
from export.parallel_copy import Pace, copy_all
from export.snapshot import Snapshot, take_snapshot
from export.statements import copies, header, source
from export.statements import watermark as highest_watermark
from lake import keys
from lake.contract import Contract
from lake.control import ControlTable, Fence, UnknownFile
from lake.control.records import timestamp
from lake.errors import TransientError
from lake.source_session import SESSION_OPTIONS

OBJECT_BYTES = 16 << 20
READERS = 2
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
    contract_version: str

    @property
    def prefix(self) -> str:
        """The prefix of its objects."""
        return keys.export_prefix(self.table, self.export_id, self.contract_version)

    @property
    def manifest_key(self) -> str:
        """The key of the manifest that closes the export."""
        return self.prefix + keys.MANIFEST_NAME


def export_table(
    dsn: str,
    bucket: str,
    contract: Contract,
    control: ControlTable,
    *,
    whole: bool = False,
    only: Sequence[Sequence[str]] | None = None,
    load_beside: str | None = None,
    object_bytes: int = OBJECT_BYTES,
    register_seconds: float = REGISTER_SECONDS,
    progress: Progress = lambda _: None,
) -> Export:
    """Export a table, whole or from its watermark minus the contract's lateness, and move the watermark.

    ``only`` holds the keys of the rows to export, as texts; then the watermark stays.
    ``load_beside`` names the replication slot that captures the table's changes. The export is then a load: it is whole, and rows that
    it does not bring end once it is complete.
    ``object_bytes`` limits the compressed size of an object. The watermark moves once every object is registered. The function
    waits up to ``register_seconds`` for that. A table without changes (``cdc: false``) is exported whole, and a fence makes the
    export a generation. A table without an export watermark is always exported whole.
    Raises ``ExportFailed``, ``NotCaptured``, ``NotRegistered``, ``Rewritten``.
    """
    since = (
        None if whole or load_beside or not contract.cdc or contract.export_watermark is None else control.watermarks.get(contract.table)
    )
    export_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    store = ObjectStore(bucket, keys.export_prefix(contract.table, export_id, contract.set_version))
    try:
        load = ExportLoad.beside(load_beside, dsn, control, contract.table, export_id) if load_beside and contract.cdc else None
        with take_snapshot(dsn, contract.cdc) as snapshot:
            built_at = load.fence.at if load else snapshot.taken_at
            watermark = None if only else highest_watermark(snapshot.connection, contract)
            statements = copies(snapshot, contract, built_at, since, only)
            if load:
                load.begin()
            pace = _copy(snapshot, contract, statements, store, object_bytes, progress)
    except psycopg2.Error as error:
        raise _failed(contract, error) from error
    read_at, objects = timestamp(built_at), store.in_order()
    export = Export(export_id, contract.table, since, watermark, snapshot.position, read_at, pace.rows, objects, contract.set_version)
    _close(export, bucket)
    progress(f"{export.rows:,} rows in {len(export.objects)} objects; waiting for their registration")
    _wait_until_registered(export, bucket, control, register_seconds)
    if not contract.cdc:
        # The fence comes last. Older generations are retired once no file of a known fence waits, and an unregistered file
        # would be overlooked. Files that were merged before are merged again.
        control.fences.add(contract.table, Fence(snapshot.taken_at))
    if load:
        load.end(export.rows)
    if watermark is not None:
        control.watermarks.set(contract.table, watermark, export_id)
    return export


def estimated_rows(dsn: str, contract: Contract) -> int:
    """The source's estimate of a table's rows, from its statistics and its size. Raises ``ExportFailed``."""
    try:
        with closing(psycopg2.connect(dsn, options=SESSION_OPTIONS)) as connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM {}").format(source(connection, contract)))
            ((plans,),) = cursor.fetchall()
    except psycopg2.Error as error:
        raise _failed(contract, error) from error
    return int(plans[0]["Plan"]["Plan Rows"])


def _failed(contract: Contract, error: psycopg2.Error) -> ExportFailed:
    return ExportFailed(f"{contract.source_schema}.{contract.source_table}: {' '.join(str(error).split())}")


def _copy(snapshot: Snapshot, contract: Contract, statements: list[str], store: ObjectStore, object_bytes: int, say: Progress) -> Pace:
    """Store the rows of the statements. An export without rows has one object with the header alone."""
    pace = Pace(say, len(statements))
    first_line = (",".join(header(contract)) + "\n").encode()

    def new_writer() -> ObjectWriter:
        return ObjectWriter(store.put, first_line, object_bytes, pace.count)

    with snapshot.readers(min(READERS, len(statements))) as connections:
        copy_all(connections, statements, new_writer, pace)
    if not store.objects:
        new_writer().finish()
    return pace


def _close(export: Export, bucket: str) -> None:
    """Write the manifest, which completes the export."""
    boto3.client("s3").put_object(Bucket=bucket, Key=export.manifest_key, Body=json.dumps(asdict(export), indent=1).encode())


def _wait_until_registered(export: Export, bucket: str, control: ControlTable, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    place = f"s3://{bucket}/{export.prefix}"
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
