"""Watch the source's catalog for events that the log does not show, and request a reload if rows changed.

A table's identity is its object id and definition, not its name. Each event is a warning in the log and a row in awsdms.table_events. The
reload is requested here and starts by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence, Set

import psycopg2

from datamaster.replicator.emitter import Emitter
from datamaster.replicator.task_state import COMPLETED, ERROR, GONE, ask_reload
from datamaster.source.pg_catalog import quoted, split_name
from datamaster.source.publication import OlderTransactions, open_transactions, publish, published_oids
from datamaster.source.table_identity import TRUNCATED, Identity, TableChange, changes, read_identities
from lake.errors import TerminalError

WAITS_SECONDS = 60.0
BY_ITSELF = "loaded anew by itself"
UNREADABLE, DROPPED, MADE_AGAIN = "cannot be replicated", "dropped", "there again"

log = logging.getLogger(__name__)


class NothingToReplicate(TerminalError):
    """None of a task's tables exists with a key."""


class TableWatch:
    """Watches the tables of one task (each schema.table) through its state's connection."""

    def __init__(self, dsn: str, names: Sequence[str], publication: str, emitter: Emitter) -> None:
        self._dsn = dsn
        self._names = names
        self._publication = publication
        self._emitter = emitter
        self._state = emitter.state
        self._older: OlderTransactions | None = None
        self._said_at = 0.0
        self._away = True

    def begin(self) -> list[str]:
        """Publish the tables that can be replicated before the first load, and return them. The state gives the reason for others.

        Raises ``NothingToReplicate``.
        """
        found = read_identities(self._state.cursor, self._names, self._publication)
        readable = [name for name in self._names if self._usable(name, found.get(name))]
        if not readable:
            raise NothingToReplicate("; ".join(f'table "{name}" {_problem(found.get(name))[0]}' for name in self._names))
        publish(self._state.cursor, self._publication, readable)
        found = read_identities(self._state.cursor, readable, self._publication)
        for name in readable:
            self._state.statistics(*split_name(name)).identity = found.get(name)
        self._away = False
        return readable

    def look(self) -> None:
        """Record the events since the last look, and request the reloads that they need."""
        found = read_identities(self._state.cursor, self._names, self._publication)
        usable = {name: found[name] for name in self._names if self._usable(name, found.get(name))}
        if usable and self._publish(usable):
            found = read_identities(self._state.cursor, self._names, self._publication)
        asked = {f"{command.schema}.{command.table}" for command in self._state.commands()}
        wanted = [name for name in usable if name in found and self._changed(name, found[name], name in asked)]
        ask_reload(self._dsn, self._state.slot, [name for name in wanted if name not in asked])
        self._state.save()
        self._away = False

    def remember(self, name: str) -> None:
        """Record a table's current identity, because a load of it begins."""
        found = read_identities(self._state.cursor, [name], self._publication)
        self._state.statistics(*split_name(name)).identity = found.get(name)

    def truncated(self, name: str) -> None:
        """Handle a truncated table. The log shows it, but DMS sends no message for it."""
        self._record(name, TableChange(TRUNCATED, "TRUNCATE is not sent, as DMS sends none", True))
        if split_name(name) not in {(command.schema, command.table) for command in self._state.commands()}:
            ask_reload(self._dsn, self._state.slot, [name])

    def failed(self, name: str, error: Exception) -> None:
        """Record that a table's load failed. Other loads go on, and this table waits for a person."""
        self._state.statistics(*split_name(name)).state = ERROR
        self._record(name, TableChange(UNREADABLE, str(error).strip(), False), "remove the cause, then load it anew")

    def ready(self) -> bool:
        """Whether tables may be read: all transactions older than the publication have ended. Logs those that have not."""
        if self._older is None:
            return True
        if self._older.ended():
            self._older = None
            return True
        now = time.monotonic()
        if now - self._said_at > WAITS_SECONDS:
            self._said_at = now
            log.warning("loads wait for older transactions: %s", "; ".join(open_transactions(self._state.cursor)))
        return False

    def _publish(self, usable: dict[str, Identity]) -> bool:
        """Repair the publication if it lacks a table or part of one. Tables added by others stay. Returns whether it was repaired."""
        carried = published_oids(self._state.cursor, self._publication)
        if carried is not None and {identity.oid for identity in usable.values()} <= carried:
            return False
        if carried is None:
            log.warning('publication "%s" was dropped or does not carry every change: it is made right', self._publication)
        publish(self._state.cursor, self._publication, list(usable))
        self._older, self._said_at = OlderTransactions(self._state.cursor), 0.0
        return True

    def _usable(self, name: str, identity: Identity | None) -> bool:
        """Whether a table exists and can be replicated. If it newly cannot, the state and the log give the reason."""
        if identity is not None and identity.problem is None:
            return True
        statistics = self._state.statistics(*split_name(name))
        state = GONE if identity is None else ERROR
        if statistics.state != state:
            if identity is None and statistics.identity is not None:
                self._emitter.dropped(*split_name(name))
            if identity is not None and identity.published is not None:
                self._unpublish(name)
            detail, cure = _problem(identity)
            self._record(name, TableChange(DROPPED if identity is None else UNREADABLE, detail, False), cure)
            statistics.state = state
        return False

    def _unpublish(self, name: str) -> None:
        """Remove a table without a key from the publication. PostgreSQL would refuse the table's updates otherwise."""
        identifier = ".".join(quoted(part) for part in split_name(name))
        self._state.cursor.execute(f"ALTER PUBLICATION {quoted(self._publication)} DROP TABLE ONLY {identifier}")

    def _changed(self, name: str, identity: Identity, asked: bool) -> bool:
        """Whether a table needs a reload. Records all its events."""
        statistics = self._state.statistics(*split_name(name))
        before, statistics.identity = statistics.identity, identity
        if statistics.state in (GONE, ERROR):
            if before == identity:  # its load failed, and there is no change since
                return False
            if not asked:
                self._record(name, TableChange(MADE_AGAIN, "it can be replicated again", True))
            return True
        if statistics.state != COMPLETED:
            return True
        if before is None or asked:
            return False
        happened = list(
            changes(before.with_files(self._empty_among(identity.files.keys() - before.files.keys(), identity)), identity, self._away)
        )
        for change in happened:
            self._record(name, change)
        return any(change.reload for change in happened)

    def _empty_among(self, leaves: Set[str], identity: Identity) -> dict[str, int]:
        """The new partitions that hold no rows yet. Their later rows come through the log."""
        cursor = self._state.cursor
        cursor.execute("SET lock_timeout = '1s'")
        try:
            return {leaf: identity.files[leaf] for leaf in leaves if self._is_empty(leaf)}
        finally:
            cursor.execute("SET lock_timeout = 0")

    def _is_empty(self, leaf: str) -> bool:
        cursor = self._state.cursor
        try:
            cursor.execute("SELECT %s::oid::regclass::text", (leaf,))
            cursor.execute(f"SELECT NOT EXISTS (SELECT FROM ONLY {cursor.fetchone()[0]})")
            return bool(cursor.fetchone() == (True,))
        except psycopg2.Error:  # locked, or gone already: assume that it has rows
            return False

    def _record(self, name: str, change: TableChange, cure: str | None = None) -> None:
        cure = cure or (BY_ITSELF if change.reload else "dm contract diff")
        log.warning('table "%s": %s: %s; %s', name, change.kind, change.detail, cure)
        self._state.record_event(*split_name(name), change, cure)


def _problem(identity: Identity | None) -> tuple[str, str]:
    if identity is None:
        return "is not there; its rows in the lake stay as they are", "make the table, or take it out of the task"
    return identity.problem or ("", "")
