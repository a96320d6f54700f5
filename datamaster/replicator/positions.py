"""How far a task is, as the source's own tables tell it: for whoever waits for it."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg2

from datamaster.replicator.task_state import CHANGES


def current_lsn(dsn: str) -> str:
    """Where the source's log ends now, e.g. ``0/423F748``: every transaction committed so far lies before it."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn()::text")
        lsn = str(cursor.fetchone()[0])
    connection.close()
    return lsn


def caught_up(dsn: str, slot: str, upto_lsn: str | None = None, tables: Sequence[str] = ()) -> bool:
    """Whether every load is complete and everything committed before ``upto_lsn`` (now, where None) is in the stream.

    ``tables`` (each schema.table) are those that must be loaded, beside those that the task knows of already. False where
    the task has never run.
    """
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('awsdms.task') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return False
        cursor.execute(
            "SELECT s.confirmed_flush_lsn >= coalesce(%(upto)s::pg_lsn, pg_current_wal_lsn())"
            " AND NOT EXISTS (SELECT FROM awsdms.table_statistics c WHERE c.slot = t.slot AND c.load_ended IS NULL)"
            " AND %(tables)s::text[] <@ ARRAY("
            "SELECT c.schema_name || '.' || c.table_name FROM awsdms.table_statistics c WHERE c.slot = t.slot)"
            " AND NOT EXISTS (SELECT FROM awsdms.task_command c WHERE c.slot = t.slot AND c.done_at IS NULL)"
            " FROM awsdms.task t JOIN pg_replication_slots s ON s.slot_name = t.slot WHERE t.slot = %(slot)s AND t.phase = %(phase)s",
            {"upto": upto_lsn, "slot": slot, "phase": CHANGES, "tables": list(tables)},
        )
        reached = bool(cursor.fetchone() == (True,))
    connection.close()
    return reached
