"""A replication task: a full load, then changes, across restarts of the task and the database."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from datamaster.replicator.change_reader import ChangeReader
from datamaster.replicator.emitter import Emitter
from datamaster.replicator.full_load import load_tables
from datamaster.replicator.outbox import Outbox, PutRecords, Stopped
from datamaster.replicator.slot_creation import create_slot
from datamaster.replicator.table_watch import TableWatch
from datamaster.replicator.task_state import CHANGES, Command, TaskState
from datamaster.source.pg_catalog import (
    PUBLICATION,
    SLOT,
    UTF8,
    TableWithoutKey,
    UnknownSourceTable,
    read_table,
    server_encoding,
    session_name,
    split_name,
)
from lake.errors import TerminalError, TransientError
from lake.source_session import SESSION_OPTIONS, session_options

TASK = "dm-replicator"
RECONNECT_SECONDS = 0.5
UNDEFINED_OBJECT = "42704"
NO_EQUIVALENT = ("22021", "22P05")  # character_not_in_repertoire, untranslatable_character

log = logging.getLogger(__name__)


class SlotBusy(TransientError):
    """A server session still reads the slot."""


@dataclass(frozen=True)
class TaskSettings:
    """A task's settings: ``tables`` (each schema.table) of the database at ``dsn``, and the Kinesis ``stream`` to write to.

    Without ``large_integers`` those of more than 16 digits are rounded.
    """

    dsn: str
    stream: str
    tables: tuple[str, ...]
    slot: str = SLOT
    publication: str = PUBLICATION
    task: str = TASK
    large_integers: bool = True


class ReplicationTask:
    """Runs until it is stopped, and reconnects if the database goes away.

    ``state`` belongs to the current connection and serves the statistics endpoint. ``connected`` is set once there is one.
    """

    def __init__(self, settings: TaskSettings, client: PutRecords, stop: threading.Event) -> None:
        self.settings = settings
        self.state: TaskState | None = None
        self.connected = threading.Event()
        self._client = client
        self._stop = stop
        self._encoding, self._codec = "UTF8", UTF8
        self._begins_anew = False

    def run(self) -> None:
        """Replicate until ``stop`` is set. Raises ``TerminalError`` if a retry cannot help."""
        while not self._stop.is_set():
            try:
                self._run_connected()
            except Stopped as stopped:
                log.info("%s", stopped)
            except (psycopg2.Error, TransientError) as error:
                if isinstance(error, psycopg2.Error) and not self._curable(error):
                    raise TerminalError(f"the source refuses: {str(error).strip()}") from error
                log.warning("%s; connecting again", str(error).strip())
                self._stop.wait(RECONNECT_SECONDS)

    def _curable(self, error: psycopg2.Error) -> bool:
        """Whether a new connection may help, after changes made here. Raises ``UnknownEncoding``."""
        if error.pgcode == UNDEFINED_OBJECT and "publication" in str(error):
            # Before PostgreSQL 18, a change made while the publication was missing can never be read.
            log.warning('publication "%s" was dropped and changes were made meanwhile', self.settings.publication)
            anew, self._begins_anew = not self._begins_anew, True
            return anew
        return _connection_lost(error) or self._other_encoding(error)

    def _other_encoding(self, error: psycopg2.Error) -> bool:
        """Switch to the server's own encoding, because the server cannot write a value as UTF-8."""
        if error.pgcode not in NO_EQUIVALENT:
            return False
        before = self._encoding
        with contextlib.closing(psycopg2.connect(self.settings.dsn, options=SESSION_OPTIONS)) as connection, connection.cursor() as cursor:
            self._encoding, self._codec = server_encoding(cursor)
        return self._encoding != before

    def _run_connected(self) -> None:
        settings = self.settings
        with contextlib.ExitStack() as stack:
            state = self.state = stack.enter_context(contextlib.closing(TaskState(settings.dsn, settings.slot, settings.publication)))
            self.connected.set()
            outbox = stack.enter_context(contextlib.closing(Outbox(self._client, settings.stream, self._stop)))
            replication = stack.enter_context(contextlib.closing(self._replication_connection()))
            emitter = Emitter(settings.task, outbox, state, settings.large_integers)
            watch = TableWatch(settings.dsn, settings.tables, settings.publication, emitter)
            if self._slot_usable(state) and state.phase == CHANGES and not self._begins_anew:
                watch.look()
            else:
                self._load(replication, emitter, watch)
            self._begins_anew = False
            self._follow(replication.cursor(), emitter, watch)

    def _replication_connection(self) -> Any:
        return psycopg2.connect(
            self.settings.dsn,
            connection_factory=psycopg2.extras.LogicalReplicationConnection,
            options=session_options(self._encoding),
            application_name=session_name(self.settings.slot),
        )

    def _slot_usable(self, state: TaskState) -> bool:
        """Whether the slot exists and still has its log. Raises ``SlotBusy`` if a killed task's session still reads it."""
        state.cursor.execute("SELECT active, wal_status FROM pg_replication_slots WHERE slot_name = %s", (self.settings.slot,))
        row = state.cursor.fetchone()
        if row is not None and row[0]:
            raise SlotBusy(f'replication slot "{self.settings.slot}" is still read by another session')
        return row is not None and row[1] != "lost"

    def _load(self, replication: Any, emitter: Emitter, watch: TableWatch) -> None:
        """Load every table in the snapshot of a new slot, so that load and changes meet without gap or overlap."""
        state, slot = emitter.state, self.settings.slot
        if state.phase == CHANGES:
            log.warning('replication slot "%s" is gone or of no use any more: everything is loaded anew', slot)
        state.cursor.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (slot,))
        state.forget_progress()
        names = watch.begin()
        tables = [read_table(state.cursor, *split_name(name), self._codec) for name in names]
        snapshot = create_slot(replication, slot, self.settings.dsn, self._stop)
        emitter.task_begins()
        started = time.monotonic()
        for table, error in load_tables(self.settings.dsn, snapshot, tables, emitter, self._stop, encoding=self._encoding):
            watch.failed(f"{table.schema}.{table.name}", error)
        state.set_phase(CHANGES)
        rows = sum(table.load_rows for table in state.tables.values())
        log.info("full load: %d rows of %d tables in %.1f s", rows, len(tables), time.monotonic() - started)

    def _follow(self, replication: Any, emitter: Emitter, watch: TableWatch) -> None:
        def commands() -> None:
            watch.look()
            if watch.ready():
                for command in emitter.state.commands():
                    self._reload(command, emitter, watch, reader.stay_alive)

        reader = ChangeReader(replication, emitter, self._stop, self.settings.tables, commands, watch.truncated, self._codec)
        reader.follow(self.settings.slot, self.settings.publication)

    def _reload(self, command: Command, emitter: Emitter, watch: TableWatch, alive: Callable[[], None]) -> None:
        state, error = emitter.state, None
        name = f"{command.schema}.{command.table}"
        if name not in self.settings.tables:
            state.command_done(command, f'table "{name}" is not replicated; one of {", ".join(self.settings.tables)}')
            return
        try:
            watch.remember(name)
            table = read_table(state.cursor, command.schema, command.table, self._codec)
            failures = load_tables(self.settings.dsn, None, [table], emitter, self._stop, alive, self._encoding)
            error = next((failure for _, failure in failures), None)
        except (UnknownSourceTable, TableWithoutKey) as failure:
            error = failure
        if error is not None:
            watch.failed(name, error)
            state.save()
        state.command_done(command, None if error is None else str(error).strip())


def _connection_lost(error: psycopg2.Error) -> bool:
    """Whether a new connection may help. Errors without a code come from the client's side of a broken connection."""
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or error.pgcode is None
