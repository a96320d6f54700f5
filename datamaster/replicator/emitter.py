"""From rows and changes to records in the stream, counted per table."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from datamaster.replicator.messages import Record, Transaction, change_record, control_record, key_text, load_record, unwritable, with_key
from datamaster.replicator.outbox import Outbox, RecordTooLarge
from datamaster.replicator.pgoutput import Change, Value
from datamaster.replicator.task_state import TaskState
from datamaster.source.pg_catalog import Table

log = logging.getLogger(__name__)


class Emitter:
    """Writes messages to the outbox and keeps the statistics.

    A row that cannot be written, or is too large for Kinesis, holds up no other: its table, key, column and the reason go
    to awsdms.apply_exceptions.
    """

    def __init__(self, task: str, outbox: Outbox, state: TaskState) -> None:
        self.task = task
        self.outbox = outbox
        self.state = state

    def control(self, operation: str, table: Table) -> None:
        """Announce something about a table, with its definition."""
        self.outbox.add(control_record(self.task, operation, table.schema, table.name, table.definition))

    def task_begins(self) -> None:
        """The control record that DMS writes when a task starts from nothing."""
        self.outbox.add(control_record(self.task, "create-table", "", "awsdms_apply_exceptions"))

    def fence(self, table: Table) -> None:
        """Tell that the table is loaded from its beginning: older rows belong to an earlier load."""
        self.dropped(table.schema, table.name)
        self.control("create-table", table)

    def dropped(self, schema: str, table: str) -> None:
        """Announce that a table was dropped, as a load does before it begins."""
        self.outbox.add(control_record(self.task, "drop-table", schema, table))

    def row(self, table: Table, values: Sequence[bytes | None]) -> None:
        """Send a row that a full load read."""
        statistics = self.state.statistics(table.schema, table.name)
        try:
            record = load_record(table, values)
        except Exception as error:  # whatever one row's values raise concerns that row alone
            sent = self._leave_out(table, values, error)
        else:
            sent = self._add(table, values, record)
        if sent:
            statistics.load_rows += 1
        else:
            statistics.load_error_rows += 1

    def change(self, table: Table, change: Change, transaction: Transaction, number: int, lsn: int) -> None:
        """Send a change, the ``number``-th of its transaction."""
        if transaction.begin.commit_lsn > self.state.counted_lsn:
            self.state.statistics(table.schema, table.name).count(change.kind)
        change = with_key(table, change)
        values = change.old or [] if change.new is None else change.new
        try:
            record = change_record(table, change, transaction, number, lsn)
        except Exception as error:  # as in ``row``
            self._leave_out(table, values, error)
        else:
            self._add(table, values, record)

    def _add(self, table: Table, values: Sequence[Value], record: Record) -> bool:
        try:
            self.outbox.add(record)
        except RecordTooLarge as error:
            return self._leave_out(table, values, error)
        return True

    def _leave_out(self, table: Table, values: Sequence[Value], error: Exception) -> bool:
        """Record why a row is not in the stream; returns False, for "not sent"."""
        column = None
        if not isinstance(error, RecordTooLarge):
            column, error = unwritable(table, values, error)
        key = key_text(table, values)
        where = f'table "{table.schema}.{table.name}", {key}' + (f', column "{column}"' if column else "")
        log.error("%s: %s; left out, see awsdms.apply_exceptions", where, error)
        self.state.record_exception(table, key, column, str(error))
        return False
