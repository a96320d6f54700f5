"""One consistent snapshot of the source, read by one connection or several.

A temporary logical slot exports the snapshot of a table with changes, so its rows have a place in the order of changes. The slot's
restart_lsn is above every change that was complete before, and below every change that the snapshot cannot see.
https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-CREATE-REPLICATION-SLOT
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg2
import psycopg2.extras

from lake.cdc import ZERO_POSITION, Position
from lake.source_session import SESSION_OPTIONS


@dataclass(frozen=True)
class Snapshot:
    """A read-only transaction on the source's snapshot, and its place in the order of changes."""

    dsn: str
    connection: Any
    position: str
    taken_at: datetime

    @contextmanager
    def readers(self, count: int) -> Iterator[list[Any]]:
        """``count`` connections that read in the snapshot, the snapshot's own among them."""
        with ExitStack() as stack:
            connections = [self.connection]
            if count > 1:
                with self.connection.cursor() as cursor:
                    cursor.execute("SELECT pg_export_snapshot()")
                    (name,) = cursor.fetchone()
                for _ in range(count - 1):
                    reader = stack.enter_context(closing(_reader(self.dsn)))
                    _join(reader, name)
                    connections.append(reader)
            yield connections


@contextmanager
def take_snapshot(dsn: str, has_changes: bool) -> Iterator[Snapshot]:
    """A repeatable-read transaction. For a table with changes it uses the snapshot of a temporary slot.

    The time is taken first, so that a load that starts meanwhile is the newer generation.
    """
    taken_at = datetime.now(UTC)
    with closing(_reader(dsn)) as reader:
        if not has_changes:
            yield Snapshot(dsn, reader, ZERO_POSITION, taken_at)
            return
        with closing(
            psycopg2.connect(dsn, connection_factory=psycopg2.extras.LogicalReplicationConnection, options=SESSION_OPTIONS)
        ) as replication:
            position = import_snapshot(reader, replication)
        yield Snapshot(dsn, reader, position, taken_at)


def import_snapshot(reader: Any, replication: Any) -> str:
    """Set the reader to the snapshot of a temporary slot and return the slot's position. The slot may be dropped afterwards."""
    name = f"dm_export_{secrets.token_hex(6)}"
    with replication.cursor() as slot, reader.cursor() as cursor:
        slot.execute(f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT")
        _, _, snapshot_name, _ = slot.fetchone()
        _join(reader, snapshot_name)
        cursor.execute("SELECT restart_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = %s", (name,))
        (lsn,) = cursor.fetchone()
    return str(Position(int(lsn), 0))


def _reader(dsn: str) -> Any:
    reader = psycopg2.connect(dsn, options=SESSION_OPTIONS)
    reader.set_session(isolation_level="REPEATABLE READ", readonly=True)
    if reader.info.parameter_status("server_encoding") == "SQL_ASCII":
        reader.set_client_encoding("SQL_ASCII")  # unchanged bytes: the converter then refuses only the rows that are not UTF-8
    return reader


def _join(reader: Any, snapshot: str) -> None:
    with reader.cursor() as cursor:
        cursor.execute("SET TRANSACTION SNAPSHOT %s", (snapshot,))
