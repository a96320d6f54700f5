"""A task's progress, read from the source's own tables."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg2

from datamaster.replicator.task_state import CHANGES, ERROR, GONE
from lake.source_session import SESSION_OPTIONS


def current_lsn(dsn: str) -> str:
    """The current end of the source's log, for example ``0/423F748``. Every committed transaction lies before it."""
    with psycopg2.connect(dsn, options=SESSION_OPTIONS) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn()::text")
        lsn = str(cursor.fetchone()[0])
    connection.close()
    return lsn


def unread_bytes(dsn: str, slot: str) -> int:
    """Bytes of log that the source keeps for a slot, or 0 without such a slot."""
    with psycopg2.connect(dsn, options=SESSION_OPTIONS) as connection, connection.cursor() as cursor:
        kept = "SELECT pg_current_wal_lsn() - confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = %s"
        cursor.execute(kept, (slot,))
        found = cursor.fetchone()
    connection.close()
    return int(found[0] or 0) if found else 0


def caught_up(dsn: str, slot: str, upto_lsn: str | None = None, tables: Sequence[str] = ()) -> bool:
    """Whether every load is complete and everything committed before ``upto_lsn`` is in the stream.

    ``upto_lsn`` None means now. ``tables`` (each schema.table) are the loads to wait for, by default all that the task knows. A table that
    is gone or cannot be read is skipped. False if the task has never run.
    """
    with psycopg2.connect(dsn, options=SESSION_OPTIONS) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('awsdms.task') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return False
        cursor.execute(
            "WITH asked AS (SELECT c.schema_name || '.' || c.table_name AS name, c.load_ended IS NULL AND c.table_state <> ALL (%(ended)s)"
            " AS waits FROM awsdms.table_statistics c WHERE c.slot = %(slot)s"
            " UNION ALL SELECT c.schema_name || '.' || c.table_name, true FROM awsdms.task_command c"
            " WHERE c.slot = %(slot)s AND c.done_at IS NULL)"
            " SELECT s.confirmed_flush_lsn >= coalesce(%(upto)s::pg_lsn, pg_current_wal_lsn())"
            " AND NOT EXISTS (SELECT FROM asked WHERE waits AND (%(tables)s::text[] = '{}' OR name = ANY (%(tables)s)))"
            " AND %(tables)s::text[] <@ ARRAY(SELECT name FROM asked)"
            " FROM awsdms.task t JOIN pg_replication_slots s ON s.slot_name = t.slot WHERE t.slot = %(slot)s AND t.phase = %(phase)s",
            {"upto": upto_lsn, "slot": slot, "phase": CHANGES, "tables": list(tables), "ended": [GONE, ERROR]},
        )
        reached = bool(cursor.fetchone() == (True,))
    connection.close()
    return reached
