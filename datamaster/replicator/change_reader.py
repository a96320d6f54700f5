"""Follow the log: read changes in commit order, and acknowledge them only after they are in the stream."""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from datamaster.replicator.emitter import Emitter
from datamaster.replicator.messages import Transaction
from datamaster.replicator.pgoutput import Begin, Commit, Relation, RowChange, Truncate, decode
from datamaster.source.pg_catalog import SourceColumn, Table, primary_key, resolve_form

PUSH_SECONDS = 0.1
OPEN_SECONDS = 1.0  # how long sending waits for the transaction's end
ACKNOWLEDGE_SECONDS = 0.5
COMMAND_SECONDS = 1.0
IDLE_SECONDS = 0.2
BUSY_SECONDS = 0.005
ALIVE_SECONDS = 10.0

log = logging.getLogger(__name__)


class ChangeReader:
    """Turns the messages of one replication connection into records.

    It skips changes of tables outside ``names`` (each schema.table), because a publication may carry others. ``commands`` is called about
    every second between transactions, and may read whole tables. ``truncated`` is called with the name of each emptied table.
    """

    def __init__(
        self,
        replication: Any,
        emitter: Emitter,
        stop: threading.Event,
        names: Collection[str],
        commands: Callable[[], None],
        truncated: Callable[[str], None],
        codec: str,
    ) -> None:
        self._codec = codec
        self._replication = replication
        self._truncated = truncated
        self._catalog = emitter.state.cursor
        self._names = frozenset(names)
        self._emitter = emitter
        self._state = emitter.state
        self._outbox = emitter.outbox
        self._stop = stop
        self._commands = commands
        self._tables: dict[int, Table] = {}
        self._transaction = Transaction(Begin(0, 0, 0))
        self._open = False
        self._number = 0
        self._complete = 0  # end of the last transaction that was read
        self._complete_commit = 0
        self._pushed_at = self._acknowledged_at = self._alive_at = self._asked_at = time.monotonic()
        self._saved = self._acknowledged = 0

    def follow(self, slot: str, publication: str) -> None:
        """Read until ``stop`` is set. Raises psycopg2's errors if the connection breaks, and the errors of delivery."""
        options = {"proto_version": "1", "publication_names": publication}
        self._replication.start_replication(slot_name=slot, decode=False, options=options)
        while not self._stop.is_set():
            message = self._replication.read_message()
            if message is not None:
                self.read(message.payload, message.data_start)
                waited = time.monotonic() - self._pushed_at
                if waited > PUSH_SECONDS and (not self._open or waited > OPEN_SECONDS):
                    self._between()
                continue
            waits = self._between()
            select.select([self._replication.connection], [], [], BUSY_SECONDS if waits else IDLE_SECONDS)
        self._outbox.push(self._complete)
        self._outbox.flush()
        if not self._open:
            self._acknowledge()

    def stay_alive(self) -> None:
        """Send the server a sign of life."""
        self._replication.send_feedback(reply=False, force=True)
        self._alive_at = time.monotonic()

    def read(self, payload: bytes, lsn: int) -> None:
        """Process one message of the log at ``lsn``."""
        message = decode(payload, self._codec)
        if isinstance(message, RowChange):
            if table := self._tables.get(message.relation_id):
                self._number += 1
                self._emitter.change(table, message, self._transaction, self._number, lsn)
        elif isinstance(message, Begin):
            self._transaction, self._number, self._open = Transaction(message, self._state.previous), 0, True
        elif isinstance(message, Commit):
            self._commit(message)
        elif isinstance(message, Relation):
            self._define(message)
        elif isinstance(message, Truncate):
            for table in filter(None, map(self._tables.get, message.relation_ids)):
                self._truncated(f"{table.schema}.{table.name}")

    def _commit(self, message: Commit) -> None:
        begin = self._transaction.begin
        if self._number:
            self._state.previous = (begin.transaction_id, self._number)
            self._complete_commit = begin.commit_lsn
            self._state.counted_lsn = max(self._state.counted_lsn, begin.commit_lsn)
        self._complete = message.end_lsn
        self._open = False

    def _define(self, relation: Relation) -> None:
        if f"{relation.schema}.{relation.name}" not in self._names:
            if self._tables.pop(relation.relation_id, None) is None:
                log.info('changes of table "%s.%s" are not asked for', relation.schema, relation.name)
            return
        # The log may describe a table under a name that the catalog no longer has.
        key = self._key(relation)
        known = self._tables.get(relation.relation_id)
        columns = tuple(
            SourceColumn(
                column.name,
                resolve_form(self._catalog, column.type_id, column.modifier, self._codec),
                column.name not in key,
                column.type_id,
            )
            for column in relation.columns
        )
        table = Table(relation.schema, relation.name, columns, key, self._codec)
        self._tables[relation.relation_id] = table
        if known is not None and (known.schema, known.name) != (table.schema, table.name):
            self._emitter.control("rename-table", table)
        statistics = self._state.statistics(table.schema, table.name)
        if statistics.signature is not None and statistics.signature != table.signature:
            statistics.ddls += 1
            self._emitter.control(alteration(statistics.signature, table.signature), table)
        statistics.signature = table.signature

    def _key(self, relation: Relation) -> tuple[str, ...]:
        """The key of the relation itself. Its name may be free or another table's by now."""
        seen = self._state.statistics(relation.schema, relation.name).identity
        if seen is not None and seen.oid == relation.relation_id:
            return tuple(seen.key)
        return primary_key(self._catalog, relation.relation_id) or tuple(c.name for c in relation.columns if c.identity)

    def _between(self) -> bool:
        """Send the changes that were read. Periodically acknowledge, send a sign of life and process commands.

        Returns whether changes wait for a batch that is being sent.
        """
        waits = self._outbox.push(self._complete)
        now = self._pushed_at = time.monotonic()
        if not self._open and now - self._acknowledged_at > ACKNOWLEDGE_SECONDS:
            self._acknowledge()
        if now - self._alive_at > ALIVE_SECONDS:
            self.stay_alive()
        if not self._open and now - self._asked_at > COMMAND_SECONDS:
            self._commands()
            self._asked_at = time.monotonic()
        return waits

    def _acknowledge(self) -> None:
        """Allow the server to discard its log up to the delivered changes. Statistics are saved first, so that they count each change.

        Once everything is delivered, ``wal_end`` counts too: the server has no earlier commit left to send.
        """
        delivered = self._outbox.delivered
        if self._complete_commit > self._saved:
            self._state.save()
            self._saved = self._complete_commit
        reached = delivered if delivered < self._complete else max(delivered, self._replication.wal_end)
        if reached > self._acknowledged:
            self._replication.send_feedback(flush_lsn=reached, apply_lsn=reached, force=True)
            self._acknowledged, self._alive_at = reached, time.monotonic()
        self._acknowledged_at = time.monotonic()


def alteration(old: list[list[object]], new: list[list[object]]) -> str:
    """The control operation for the step from one definition (name and type of each column) to another."""
    before, after = {str(name): kind for name, kind in old}, {str(name): kind for name, kind in new}
    if before.keys() == after.keys():
        return "column-type-change" if before != after else "change-columns"
    if before.keys() < after.keys():
        return "add-column"
    if after.keys() < before.keys():
        return "drop-column"
    if len(before) == len(after) and [kind for _, kind in old] == [kind for _, kind in new]:
        return "rename-column"
    return "change-columns"
