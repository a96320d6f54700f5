"""Read whole tables: in the snapshot of a new slot, or again while changes flow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import psycopg2.extensions
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from datamaster.replicator.emitter import Emitter
from datamaster.replicator.outbox import Stopped
from datamaster.source.pg_catalog import Cursor, Table, quoted
from lake.source_session import session_options

ALIVE_SECONDS = 5.0
ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def copy_values(line: bytes) -> list[bytes | None]:
    """Split a line of COPY's text format into values; ``line`` ends with a newline.

    https://www.postgresql.org/docs/current/sql-copy.html, "Text Format"
    """
    fields = line[:-1].split(b"\t")
    if b"\\" not in line:
        return list(fields)
    return [None if field == rb"\N" else _unescaped(field) for field in fields]


def _unescaped(field: bytes) -> bytes:
    first, *rest = field.split(b"\\")
    parts = [first]
    pieces = iter(rest)
    for piece in pieces:
        if piece:
            parts.append(ESCAPES.get(piece[:1], piece[:1]) + piece[1:])
        else:  # two backslashes are one, and the following text is plain
            parts.append(b"\\" + next(pieces, b""))
    return b"".join(parts)


class _Rows:
    """The target of COPY, which writes one line for each row. ``alive`` is called every few seconds."""

    def __init__(self, table: Table, emitter: Emitter, stop: threading.Event, alive: Callable[[], None]) -> None:
        self._table = table
        self.emitter = emitter
        self._stop = stop
        self._alive = alive
        self._last_alive = time.monotonic()

    def write(self, line: bytes) -> int:
        if self._stop.is_set():
            raise Stopped(f"the load of {self._table.identifier} was stopped; the next start begins it anew")
        self.emitter.row(self._table, copy_values(line))
        if time.monotonic() - self._last_alive > ALIVE_SECONDS:
            self._alive()
            self._last_alive = time.monotonic()
        return len(line)


def load_tables(
    dsn: str,
    snapshot: str | None,
    tables: Sequence[Table],
    emitter: Emitter,
    stop: threading.Event,
    alive: Callable[[], None] = lambda: None,
    encoding: str = "UTF8",
) -> list[tuple[Table, psycopg2.Error]]:
    """Send every row of ``tables`` as ``load``, each table after its fence, and wait for delivery.

    ``snapshot`` is the exported snapshot to read in. With None each table is read in a snapshot taken after its fence. So the snapshot
    contains every change sent before the fence, and a change sent after it outranks the loaded row. Values come in ``encoding``.

    Returns the tables that the source refused, each with its error. Raises ``Stopped``, and the errors of delivery.
    """
    failures: list[tuple[Table, psycopg2.Error]] = []
    connection = psycopg2.connect(dsn, options=session_options(encoding))
    try:
        connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with connection.cursor() as cursor:
            if snapshot is not None:
                cursor.execute("SET TRANSACTION SNAPSHOT %s", (snapshot,))
            for table in tables:
                cursor.execute("SAVEPOINT load")
                try:
                    _load(cursor, table, _Rows(table, emitter, stop, alive))
                except psycopg2.ProgrammingError as error:
                    failures.append((table, error))
                    cursor.execute("ROLLBACK TO SAVEPOINT load")
                if snapshot is None:
                    connection.rollback()
    finally:
        connection.close()
    return failures


def _load(cursor: Cursor, table: Table, rows: _Rows) -> None:
    emitter = rows.emitter
    statistics = emitter.state.statistics(table.schema, table.name)
    statistics.load_begins()
    statistics.signature = table.signature
    emitter.state.save()
    emitter.fence(table)
    columns = ", ".join(quoted(column.name) for column in table.columns)
    only = "" if statistics.identity is not None and statistics.identity.partitioned else "ONLY "
    cursor.copy_expert(f"COPY (SELECT {columns} FROM {only}{table.identifier}) TO STDOUT", rows)
    emitter.outbox.flush()
    statistics.load_completes()
    emitter.state.save()
