"""Turn rows and changes into records of the stream, with counts for each table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from datamaster.replicator.endpoint_settings import with_rounded_integers
from datamaster.replicator.messages import (
    StreamRecord,
    Transaction,
    change_record,
    control_record,
    key_text,
    largest,
    load_record,
    unwritable,
    with_key,
)
from datamaster.replicator.outbox import RECORD_BYTES, Outbox, RecordTooLarge
from datamaster.replicator.pgoutput import UNCHANGED, RowChange, Value
from datamaster.replicator.task_state import TaskState
from datamaster.source.pg_catalog import Table

log = logging.getLogger(__name__)


class Emitter:
    """Writes messages to the outbox and keeps the statistics.

    A row that cannot be written, or is too large for Kinesis, delays no other row. It is sent without its large optional values if that
    helps, else it is left out. awsdms.apply_exceptions gets table, key, column and reason.
    """

    def __init__(self, task: str, outbox: Outbox, state: TaskState, large_integers: bool = True) -> None:
        self.task = task
        self.outbox = outbox
        self.state = state
        self._as_sent: Callable[[Table], Table] = (lambda table: table) if large_integers else with_rounded_integers

    def control(self, operation: str, table: Table) -> None:
        """Announce a change of a table, with its definition."""
        self.outbox.add(control_record(self.task, operation, table.schema, table.name, table.definition))

    def task_begins(self) -> None:
        """Write the control record of a task's first start, as DMS does."""
        self.outbox.add(control_record(self.task, "create-table", "", "awsdms_apply_exceptions"))

    def fence(self, table: Table) -> None:
        """Announce that the table is loaded from its beginning. Older rows belong to an earlier load."""
        self.dropped(table.schema, table.name)
        self.control("create-table", table)

    def dropped(self, schema: str, table: str) -> None:
        """Announce that a table was dropped. A load begins with this record too."""
        self.outbox.add(control_record(self.task, "drop-table", schema, table))

    def row(self, table: Table, values: Sequence[bytes | None]) -> None:
        """Send a row of a full load."""
        statistics, table = self.state.statistics(table.schema, table.name), self._as_sent(table)
        if self._send(table, values, partial(load_record, table)):
            statistics.load_rows += 1
        else:
            statistics.load_error_rows += 1

    def change(self, table: Table, change: RowChange, transaction: Transaction, number: int, lsn: int) -> None:
        """Send a change, the ``number``-th of its transaction."""
        if transaction.begin.commit_lsn > self.state.counted_lsn:
            self.state.statistics(table.schema, table.name).count(change.kind)
        table = self._as_sent(table)
        change = with_key(table, change)

        def record(values: Sequence[Value], left_out: Sequence[str]) -> StreamRecord:
            image = change
            if left_out:
                image = replace(change, old=list(values)) if change.new is None else replace(change, new=list(values))
            return change_record(table, image, transaction, number, lsn, left_out)

        self._send(table, change.old or [] if change.new is None else change.new, record)

    def _send(self, table: Table, values: Sequence[Value], record: Callable[[Sequence[Value], Sequence[str]], StreamRecord]) -> bool:
        """Send a row, without its values that cannot travel, if it can do without them. Returns whether it was sent."""
        left_out: dict[str, Exception] = {}
        while True:
            try:
                written = record(values, list(left_out))
            except Exception as error:  # an error in one row's values concerns that row only
                column, reason = unwritable(table, values, error)
                may_go = column is not None and column.form.large and column.name not in table.key
            else:
                if written.size <= RECORD_BYTES:
                    self.outbox.add(written)
                    break
                column, reason = largest(table, values), RecordTooLarge(written)
                may_go = column is not None
            if column is None or not may_go:
                self._report(table, values, None if column is None else column.name, reason, row_sent=False)
                return False
            left_out[column.name] = reason
            values = [UNCHANGED if other is column else value for other, value in zip(table.columns, values, strict=True)]
        for name, reason in left_out.items():
            self._report(table, values, name, reason, row_sent=True)
        return True

    def _report(self, table: Table, values: Sequence[Value], column: str | None, reason: Exception, row_sent: bool) -> None:
        """Record a value or row that is not in the stream, with the reason."""
        key = key_text(table, values)
        where = f'table "{table.schema}.{table.name}", {key}' + (f', column "{column}"' if column else "")
        what = "its row is sent without it" if row_sent else "left out"
        log.error("%s: %s; %s, see awsdms.apply_exceptions", where, reason, what)
        self.state.record_exception(table, key, column, str(reason), row_sent)
