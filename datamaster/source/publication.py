"""The publication of a task's tables, without tables that the user did not choose.

It publishes a table itself, never the tables that inherit from it: an UPDATE of one without a key would fail.
https://www.postgresql.org/docs/current/sql-createpublication.html
"""

from __future__ import annotations

from collections.abc import Sequence

from datamaster.source.pg_catalog import Cursor, quoted, split_name

PUBLISHES = "insert, update, delete, truncate"
WHOLE = "pubinsert AND pubupdate AND pubdelete AND pubtruncate AND pubviaroot"


def published_oids(cursor: Cursor, publication: str) -> set[int] | None:
    """Object ids of the tables that a publication carries whole. None if no publication carries every kind of change.

    A row filter or a column list means that a table is not carried whole.
    """
    cursor.execute(f"SELECT oid::bigint FROM pg_publication WHERE pubname = %s AND {WHOLE} AND NOT puballtables", (publication,))
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute(
        "SELECT prrelid::bigint FROM pg_publication_rel r WHERE prpubid = %s"
        " AND to_jsonb(r) ->> 'prqual' IS NULL AND to_jsonb(r) ->> 'prattrs' IS NULL",
        (row[0],),
    )
    return {oid for (oid,) in cursor.fetchall()}


def publish(cursor: Cursor, publication: str, tables: Sequence[str]) -> None:
    """Make the publication carry exactly ``tables`` (each schema.table), whole and with every kind of change."""
    names = ", ".join("ONLY " + ".".join(quoted(part) for part in split_name(table)) for table in tables)
    options = f"publish = '{PUBLISHES}', publish_via_partition_root = true"
    name = quoted(publication)
    cursor.execute(f"SELECT puballtables, {WHOLE} FROM pg_publication WHERE pubname = %s", (publication,))
    all_tables, whole = cursor.fetchone() or (True, False)
    if all_tables:
        cursor.execute(f"DROP PUBLICATION IF EXISTS {name}; CREATE PUBLICATION {name} FOR TABLE {names} WITH ({options})")
        return
    if not whole:
        cursor.execute(f"ALTER PUBLICATION {name} SET ({options})")
    cursor.execute(f"ALTER PUBLICATION {name} SET TABLE {names}")


class OlderTransactions:
    """Transactions that may have written to a table before its publication, so only part of each is sent.

    A table is read after they have ended, so that no row is missed.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        cursor.execute("SELECT pg_current_xact_id()::text")
        (self._own,) = cursor.fetchone()

    def ended(self) -> bool:
        """Whether all of them have ended."""
        self._cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot()) > %s::xid8", (self._own,))
        return bool(self._cursor.fetchone() == (True,))


def open_transactions(cursor: Cursor) -> list[str]:
    """Sessions and prepared transactions with an open transaction, oldest first, each as a line for people."""
    cursor.execute(
        "SELECT format('session %s of user %s, %s since %s: %s', pid, usename, state, to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'),"
        " left(regexp_replace(query, '\\s+', ' ', 'g'), 100)) FROM pg_stat_activity"
        " WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start"
    )
    sessions = [line for (line,) in cursor.fetchall()]
    cursor.execute(
        "SELECT format('prepared transaction %L of user %s since %s', gid, owner, to_char(prepared, 'YYYY-MM-DD HH24:MI:SS TZ'))"
        " FROM pg_prepared_xacts ORDER BY prepared"
    )
    return sessions + [line for (line,) in cursor.fetchall()]
