"""From rows and changes to records in the stream, counted per table."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from datamaster.replicator.messages import Record, Transaction, change_record, control_record, load_record
from datamaster.replicator.outbox import Outbox, RecordTooLarge
from datamaster.replicator.pgoutput import Change
from datamaster.replicator.task_state import TaskState
from datamaster.source.pg_catalog import Table

log = logging.getLogger(__name__)


class Emitter:
    """Writes messages to the outbox and keeps the statistics.

    A row too large for Kinesis does not hold up the rest: its key and the reason go to awsdms.apply_exceptions.
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
        self.state.statistics(table.schema, table.name).load_rows += 1
        self._add(table, load_record(table, values))

    def change(self, table: Table, change: Change, transaction: Transaction, number: int, lsn: int) -> None:
        """Send a change, the ``number``-th of its transaction."""
        if transaction.begin.commit_lsn > self.state.counted_lsn:
            self.state.statistics(table.schema, table.name).count(change.kind)
        self._add(table, change_record(table, change, transaction, number, lsn))

    def _add(self, table: Table, record: Record) -> None:
        try:
            self.outbox.add(record)
        except RecordTooLarge as error:
            log.error("%s; left out, see awsdms.apply_exceptions", error)
            self.state.record_exception(table, record.partition_key, str(error))
