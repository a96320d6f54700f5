"""A task's persistent state in the source's schema awsdms: phase, table statistics, commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import psycopg2.extensions

from datamaster.source.pg_catalog import Table, lock_number, session_name, split_name
from datamaster.source.table_identity import Identity, TableChange
from lake.errors import TransientError
from lake.source_session import SESSION_OPTIONS

SCHEMA = Path(__file__).with_name("task_state.sql")
LOADING, CHANGES = "loading", "changes"
BEFORE_LOAD, FULL_LOAD, RELOADING, COMPLETED = "Before load", "Full load", "Table is being reloaded", "Table completed"
GONE, ERROR = "Table does not exist", "Table error"


class TaskRunning(TransientError):
    """Another process runs the task of this slot."""


@dataclass
class TableStatistics:
    """DMS's counts of one table. Times are UTC.

    ``signature`` is the definition last announced, ``identity`` the table's last known identity.
    """

    schema: str
    table: str
    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    ddls: int = 0
    load_rows: int = 0
    load_error_rows: int = 0
    state: str = BEFORE_LOAD
    load_started: datetime | None = None
    load_ended: datetime | None = None
    updated_at: datetime | None = None
    signature: list[list[object]] | None = None
    identity: Identity | None = None

    def load_begins(self) -> None:
        """Record that a full load of the table begins."""
        self.state = RELOADING if self.load_ended is not None else FULL_LOAD
        self.load_rows, self.load_error_rows, self.load_started, self.load_ended = 0, 0, datetime.now(UTC), None

    def load_completes(self) -> None:
        """Record that all rows of the load are in the stream."""
        self.state, self.load_ended = COMPLETED, datetime.now(UTC)
        self.updated_at = self.load_ended

    def count(self, kind: str) -> None:
        """Count a change: I, U or D."""
        if kind == "I":
            self.inserts += 1
        elif kind == "U":
            self.updates += 1
        else:
            self.deletes += 1
        self.updated_at = datetime.now(UTC)


@dataclass(frozen=True)
class Command:
    """A request to the task to reload a table."""

    command_id: int
    schema: str
    table: str


class TaskState:
    """The rows of one task. While open, it holds the lock that prevents a second task.

    The session of a killed task may hold the lock a moment longer, so retry on ``TaskRunning``.

    ``counted_lsn`` is the last commit in the statistics, so that a resent transaction is counted once. ``previous`` are transaction id and
    number of records of the last transaction sent.
    """

    def __init__(self, dsn: str, slot: str, publication: str) -> None:
        self.slot = slot
        self.publication = publication
        self.connection = psycopg2.connect(dsn, options=SESSION_OPTIONS, application_name=session_name(slot))
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self._lock()
        self.cursor.execute(SCHEMA.read_text())
        self.phase, self.counted_lsn, self.previous = self._read_task()
        self.tables = self._read_tables()
        self._written: dict[str, bytes] = {}

    def close(self) -> None:
        """Release the lock."""
        self.connection.close()

    def statistics(self, schema: str, table: str) -> TableStatistics:
        """The statistics of a table, created if missing."""
        return self.tables.setdefault((schema, table), TableStatistics(schema, table))

    def set_phase(self, phase: str) -> None:
        """Save whether the first load is running or changes follow it."""
        self.phase = phase
        self.save()

    def forget_progress(self) -> None:
        """Start over: a full load under a new slot, with new counts."""
        self.counted_lsn, self.previous = 0, None
        self.tables.clear()
        self._written.clear()
        self.cursor.execute("DELETE FROM awsdms.table_statistics WHERE slot = %s", (self.slot,))
        self.set_phase(LOADING)

    def save(self) -> None:
        """Write changes of task and statistics in one transaction. An idle task writes nothing."""
        transaction_id, count = self.previous or (None, None)
        statement = self.cursor.mogrify(
            "INSERT INTO awsdms.task VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (slot) DO UPDATE SET publication = excluded.publication,"
            " phase = excluded.phase, counted_lsn = excluded.counted_lsn, transaction_id = excluded.transaction_id,"
            " transaction_count = excluded.transaction_count",
            (self.slot, self.publication, self.phase, self.counted_lsn, transaction_id, count),
        )
        statements = {"": statement} | {f"{t.schema}.{t.table}": self._statement(t) for t in self.tables.values()}
        changed = {name: text for name, text in statements.items() if self._written.get(name) != text}
        if changed:
            self.cursor.execute(b";".join(changed.values()))  # several statements in one message are one transaction
            self._written |= changed

    def _statement(self, t: TableStatistics) -> bytes:
        statement: bytes = self.cursor.mogrify(
            "INSERT INTO awsdms.table_statistics (slot, schema_name, table_name, inserts, updates, deletes, ddls, load_rows,"
            " load_error_rows, table_state, load_started, load_ended, updated_at, signature, identity)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (slot, schema_name, table_name) DO UPDATE SET"
            " inserts = excluded.inserts, updates = excluded.updates, deletes = excluded.deletes,"
            " ddls = excluded.ddls, load_rows = excluded.load_rows,"
            " load_error_rows = excluded.load_error_rows, table_state = excluded.table_state,"
            " load_started = excluded.load_started, load_ended = excluded.load_ended, updated_at = excluded.updated_at,"
            " signature = excluded.signature, identity = excluded.identity",
            (
                *(self.slot, t.schema, t.table, t.inserts, t.updates, t.deletes, t.ddls, t.load_rows, t.load_error_rows, t.state),
                *(t.load_started, t.load_ended, t.updated_at, json.dumps(t.signature)),
                None if t.identity is None else json.dumps(t.identity.json()),
            ),
        )
        return statement

    def commands(self) -> list[Command]:
        """Pending commands, oldest first."""
        self.cursor.execute(
            "SELECT command_id, schema_name, table_name FROM awsdms.task_command WHERE slot = %s AND done_at IS NULL ORDER BY command_id",
            (self.slot,),
        )
        return [Command(*row) for row in self.cursor.fetchall()]

    def command_done(self, command: Command, error: str | None = None) -> None:
        """Mark a command as done, or as failed with ``error``."""
        self.cursor.execute("UPDATE awsdms.task_command SET done_at = now(), error = %s WHERE command_id = %s", (error, command.command_id))

    def record_exception(self, table: Table, row_key: str, column: str | None, error: str, row_sent: bool) -> None:
        """Record key, column and reason of a value that could not be sent. A repeated entry only gets a new time."""
        where = (self.slot, table.schema, table.name, row_key.replace("\0", ""), column, error.replace("\0", ""), row_sent)
        self.cursor.execute(
            "UPDATE awsdms.apply_exceptions SET error_time = now() WHERE (slot, schema_name, table_name, row_key) = (%s, %s, %s, %s)"
            " AND column_name IS NOT DISTINCT FROM %s AND error = %s AND row_sent = %s",
            where,
        )
        if self.cursor.rowcount == 0:
            self.cursor.execute(
                "INSERT INTO awsdms.apply_exceptions (slot, schema_name, table_name, row_key, column_name, error, row_sent)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                where,
            )

    def record_event(self, schema: str, table: str, event: TableChange, cure: str) -> None:
        """Record a table's event and its cure."""
        self.cursor.execute(
            "INSERT INTO awsdms.table_events (slot, schema_name, table_name, event, detail, cure) VALUES (%s, %s, %s, %s, %s, %s)",
            (self.slot, schema, table, event.kind, event.detail, cure),
        )

    def _lock(self) -> None:
        self.cursor.execute("SELECT pg_try_advisory_lock(%s)", (lock_number(self.slot),))
        if self.cursor.fetchone() != (True,):
            self.connection.close()
            raise TaskRunning(f'slot "{self.slot}": another replicator runs this task')

    def _read_task(self) -> tuple[str | None, int, tuple[int, int] | None]:
        self.cursor.execute("SELECT phase, counted_lsn, transaction_id, transaction_count FROM awsdms.task WHERE slot = %s", (self.slot,))
        row = self.cursor.fetchone()
        if row is None:
            return None, 0, None
        phase, counted, transaction_id, count = row
        return phase, counted, None if transaction_id is None else (transaction_id, count)

    def _read_tables(self) -> dict[tuple[str, str], TableStatistics]:
        self.cursor.execute(
            "SELECT schema_name, table_name, inserts, updates, deletes, ddls, load_rows, load_error_rows, table_state, load_started,"
            " load_ended, updated_at, signature, identity FROM awsdms.table_statistics WHERE slot = %s ORDER BY schema_name, table_name",
            (self.slot,),
        )
        rows = [(*row[:-1], row[-1] and Identity(**row[-1])) for row in self.cursor.fetchall()]
        return {(row[0], row[1]): TableStatistics(*row) for row in rows}


def ask_reload(dsn: str, slot: str, tables: Sequence[str]) -> None:
    """Request a reload of ``tables`` (each schema.table). The running task starts it within a second or two."""
    with psycopg2.connect(dsn, options=SESSION_OPTIONS) as connection, connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                "INSERT INTO awsdms.task_command (slot, command, schema_name, table_name) VALUES (%s, 'reload', %s, %s)",
                (slot, *split_name(table)),
            )
    connection.close()
