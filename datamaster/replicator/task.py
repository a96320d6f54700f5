"""A replication task: a full load, then changes, across restarts of task and database."""

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
from datamaster.replicator.task_state import CHANGES, COMPLETED, ERROR, GONE, Command, TaskState, ask_reload
from datamaster.source.pg_catalog import (
    PUBLICATION,
    SLOT,
    UTF8,
    Table,
    TableWithoutKey,
    UnknownSourceTable,
    ensure_publication,
    existing_tables,
    published_tables,
    quoted,
    read_table,
    server_encoding,
    split_name,
)
from lake.errors import TerminalError, TransientError
from lake.source_session import SESSION_OPTIONS, session_options

TASK = "dm-replicator"
RECONNECT_SECONDS = 0.5
NO_EQUIVALENT = ("22021", "22P05")  # character_not_in_repertoire, untranslatable_character

log = logging.getLogger(__name__)


class SlotBusy(TransientError):
    """A session of the server still reads the slot."""


@dataclass(frozen=True)
class TaskSettings:
    """What a task replicates: ``tables`` (each schema.table) of the database at ``dsn`` into the Kinesis stream ``stream``."""

    dsn: str
    stream: str
    tables: tuple[str, ...]
    slot: str = SLOT
    publication: str = PUBLICATION
    task: str = TASK


class ReplicationTask:
    """Runs until told to stop, and connects again where the database went away.

    ``state`` is that of the current connection, for whoever answers for the statistics; ``connected`` is set once there is one.
    """

    def __init__(self, settings: TaskSettings, client: PutRecords, stop: threading.Event) -> None:
        self.settings = settings
        self.state: TaskState | None = None
        self.connected = threading.Event()
        self._client = client
        self._stop = stop
        self._encoding, self._codec = "UTF8", UTF8

    def run(self) -> None:
        """Replicate until ``stop`` is set. Raises ``TerminalError`` where trying again cannot help."""
        while not self._stop.is_set():
            try:
                self._run_connected()
            except Stopped as stopped:
                log.info("%s", stopped)
            except (psycopg2.Error, TransientError) as error:
                if isinstance(error, psycopg2.Error) and not _connection_lost(error) and not self._other_encoding(error):
                    raise TerminalError(f"the source refuses: {str(error).strip()}") from error
                log.warning("%s; connecting again", str(error).strip())
                self._stop.wait(RECONNECT_SECONDS)

    def _other_encoding(self, error: psycopg2.Error) -> bool:
        """Where the server cannot write a value as UTF-8, read its own encoding from now on, each value by itself.

        Returns whether that is new. Raises ``UnknownEncoding``.
        """
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
            replication = stack.enter_context(contextlib.closing(_replication_connection(settings.dsn, self._encoding))).cursor()
            emitter = Emitter(settings.task, outbox, state)
            if self._slot_usable(state) and state.phase == CHANGES:
                self._watch_tables(emitter)
            else:
                self._load(replication, emitter)
            self._follow(replication, emitter)

    def _watch_tables(self, emitter: Emitter) -> None:
        """Announce tables that were dropped; publish those that are there, and have read what no load has completed.

        The latter are tables new to the task, made again, or whose reload was interrupted.
        """
        state, settings = emitter.state, self.settings
        asked_for = [name for name in settings.tables if state.statistics(*split_name(name)).state != ERROR]
        existing = existing_tables(state.cursor, asked_for)
        for name in asked_for:
            statistics = state.statistics(*split_name(name))
            if name not in existing and statistics.state != GONE:
                log.warning('table "%s" was dropped; its rows stay as they are', name)
                emitter.dropped(*split_name(name))
                statistics.state = GONE
                state.save()
        if existing and set(existing) != published_tables(state.cursor, settings.publication):
            ensure_publication(state.cursor, settings.publication, existing)
        asked = {(command.schema, command.table) for command in state.commands()}
        unloaded = [name for name in existing if state.statistics(*split_name(name)).state != COMPLETED]
        if missing := [name for name in unloaded if split_name(name) not in asked]:
            ask_reload(settings.dsn, settings.slot, missing)

    def _tables(self, state: TaskState) -> list[Table]:
        """The tables that can be read; of the others the state says why. Raises the first reason where there is none."""
        tables: list[Table] = []
        reasons: list[TerminalError] = []
        for name in self.settings.tables:
            try:
                tables.append(read_table(state.cursor, *split_name(name), self._codec))
            except (UnknownSourceTable, TableWithoutKey) as error:
                log.error("%s; the other tables go on", error)
                reasons.append(error)
                state.statistics(*split_name(name)).state = GONE if isinstance(error, UnknownSourceTable) else ERROR
        if not tables:
            raise reasons[0]
        return tables

    def _slot_usable(self, state: TaskState) -> bool:
        """Whether the slot is there and still has its log. Raises ``SlotBusy`` where a killed task's session still reads it."""
        state.cursor.execute("SELECT active, wal_status FROM pg_replication_slots WHERE slot_name = %s", (self.settings.slot,))
        row = state.cursor.fetchone()
        if row is not None and row[0]:
            raise SlotBusy(f'replication slot "{self.settings.slot}" is still read by another session')
        return row is not None and row[1] != "lost"

    def _load(self, replication: Any, emitter: Emitter) -> None:
        """Load every table in the snapshot at which a new slot begins, so that load and changes meet without gap or overlap."""
        state, slot = emitter.state, self.settings.slot
        if state.phase == CHANGES:
            log.warning('replication slot "%s" is gone or has lost its log: everything is loaded anew', slot)
        state.cursor.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (slot,))
        state.forget_progress()
        tables = self._tables(state)
        ensure_publication(state.cursor, self.settings.publication, [f"{table.schema}.{table.name}" for table in tables])
        log.info('making replication slot "%s"; this waits for the transactions that run now', slot)
        replication.execute(f"CREATE_REPLICATION_SLOT {quoted(slot)} LOGICAL pgoutput EXPORT_SNAPSHOT")
        snapshot = replication.fetchone()[2]
        emitter.task_begins()
        started = time.monotonic()
        load_tables(self.settings.dsn, snapshot, tables, emitter, self._stop, encoding=self._encoding)
        state.set_phase(CHANGES)
        rows = sum(table.load_rows for table in state.tables.values())
        log.info("full load: %d rows of %d tables in %.1f s", rows, len(tables), time.monotonic() - started)

    def _follow(self, replication: Any, emitter: Emitter) -> None:
        def commands() -> None:
            self._watch_tables(emitter)
            for command in emitter.state.commands():
                self._reload(command, emitter, reader.stay_alive)

        reader = ChangeReader(replication, emitter.state.cursor, emitter, self._stop, self.settings.tables, commands, self._codec)
        reader.follow(self.settings.slot, self.settings.publication)

    def _reload(self, command: Command, emitter: Emitter, alive: Callable[[], None]) -> None:
        error = None
        name = f"{command.schema}.{command.table}"
        if name not in self.settings.tables:
            emitter.state.command_done(command, f'table "{name}" is not replicated; one of {", ".join(self.settings.tables)}')
            return
        try:
            table = read_table(emitter.state.cursor, command.schema, command.table, self._codec)
            load_tables(self.settings.dsn, None, [table], emitter, self._stop, alive, self._encoding)
        except (UnknownSourceTable, TableWithoutKey, psycopg2.ProgrammingError) as failure:
            error = str(failure).strip()
            log.error("reload: %s", error)
            emitter.state.statistics(command.schema, command.table).state = ERROR
            emitter.state.save()
        emitter.state.command_done(command, error)


def _replication_connection(dsn: str, encoding: str) -> Any:
    options = session_options(encoding)
    return psycopg2.connect(dsn, connection_factory=psycopg2.extras.LogicalReplicationConnection, options=options)


def _connection_lost(error: psycopg2.Error) -> bool:
    """Whether another connection may do better; errors without a code come from the client's side of a broken one."""
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or error.pgcode is None
