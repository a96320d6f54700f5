"""The replicator's reports for people: left-out rows, and events of tables at their source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datamaster.source.connection import connected
from ingest.refused_records import REPLICATOR, Refused
from lake.source_session import SESSION_OPTIONS


@dataclass(frozen=True)
class TableEvent:
    """An event of a table (schema.table) outside its rows, and its cure."""

    table: str
    event: str
    detail: str
    cure: str
    at: datetime


@dataclass(frozen=True)
class TaskReports:
    """``loaded_at`` is the start of each table's newest load, which repaired everything older."""

    left_out: tuple[Refused, ...]
    events: tuple[TableEvent, ...]
    loaded_at: Mapping[str, datetime]

    @property
    def open_events(self) -> tuple[TableEvent, ...]:
        """The events that no later load of their table has made good."""
        return tuple(event for event in self.events if event.table not in self.loaded_at or event.at >= self.loaded_at[event.table])


def task_reports(dsn: str, slot: str) -> TaskReports:
    """Read them from the schema awsdms. Raises ``SourceRefused``, ``SourceUnreachable``."""
    with connected(dsn, SESSION_OPTIONS) as connection, connection.cursor() as cursor:

        def rows(table: str, columns: str) -> list[tuple[Any, ...]]:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"awsdms.{table}",))
            if cursor.fetchone() != (True,):
                return []
            cursor.execute(f"SELECT schema_name || '.' || table_name, {columns} FROM awsdms.{table} WHERE slot = %s", (slot,))
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

        left_out = tuple(
            Refused(REPLICATOR, table, f'column "{column}": {error}' if column else error, at, row={"key": key}, row_sent=row_sent)
            for table, key, column, error, at, row_sent in rows("apply_exceptions", "row_key, column_name, error, error_time, row_sent")
        )
        events = tuple(TableEvent(*row) for row in rows("table_events", "event, detail, cure, event_time"))
        loaded = {name: at for name, at in rows("table_statistics", "load_started") if at is not None}
    return TaskReports(left_out, events, loaded)
