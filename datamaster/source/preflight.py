"""Check whether a user's database can be replicated, with the next step if not. Also remove all traces of a replication.

https://www.postgresql.org/docs/current/logical-replication-config.html, and for RDS and Aurora
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.Replication.Logical-Configure.html
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from datamaster.source.connection import SourceRefused, SourceUnreachable, connect, connected
from datamaster.source.pg_catalog import PUBLICATION, SLOT, lock_number, primary_key, quoted, session_name, split_name
from lake.errors import TerminalError
from lake.source_session import SESSION_OPTIONS

OLDEST_VERSION = 13
FIRST_OF_ONE_NUMBER = 100_000  # earlier releases had two numbers: 9.6
ALONE = ("server version", "kind of server")
SESSION_ENDS_SECONDS = 10.0
TASK_TABLES = ("task", "table_statistics", "task_command", "apply_exceptions", "table_events")

Cursor: TypeAlias = psycopg2.extensions.cursor


class SlotInUse(TerminalError):
    """A replicator still reads the slot to be dropped."""


@dataclass(frozen=True)
class Finding:
    """A requirement that the database does not meet.

    ``subject`` names a setting, right or table, ``problem`` its state, ``remedy`` the SQL or setting that cures it. If ``blocking`` is
    false, replication works without it.
    """

    subject: str
    problem: str
    remedy: str
    blocking: bool = True


def check(dsn: str, tables: Sequence[str], slot: str = SLOT, publication: str = PUBLICATION) -> list[Finding]:
    """Findings that prevent or affect the replication of ``tables`` (each schema.table) from the database at ``dsn``.

    Only reads the catalog. Raises ``SourceUnreachable``, ``SourceRefused``.
    """
    with connected(dsn, SESSION_OPTIONS) as connection, connection.cursor() as cursor:
        found = server_findings(dsn, cursor, slot)
        if any(finding.subject in ALONE for finding in found):
            return found
        tables_found = table_findings(cursor, tables, publication)
        return found + [finding for table in tables for finding in tables_found[table]]


def server_findings(dsn: str, cursor: Cursor, slot: str) -> list[Finding]:
    """Findings about the database and its user. If one is of ``ALONE``, it is the only one."""
    source = _Source(cursor)
    for alone in source.kind():
        return [alone]
    found = [*source.server(slot), *source.rights()]
    return found if any(finding.blocking for finding in found) else [*found, *_replication(dsn)]


def table_findings(cursor: Cursor, tables: Iterable[str], publication: str) -> dict[str, list[Finding]]:
    """Findings about each table (schema.table), if all are to be published together."""
    source, wanted = _Source(cursor), list(tables)
    publishes = source.published(publication) != set(wanted)
    return {table: [*(source.ownership(table) if publishes else ()), *source.table(table)] for table in wanted}


def _replication(dsn: str) -> Iterator[Finding]:
    """A finding if a replication connection fails. Poolers and pg_hba.conf may reject it and accept a plain one."""
    try:
        connect(dsn, SESSION_OPTIONS, psycopg2.extras.LogicalReplicationConnection).close()
    except (SourceRefused, SourceUnreachable) as error:
        _, _, problem = str(error).partition(": ")
        problem, _, remedy = problem.partition("; ")
        yield Finding("replication connection", problem, remedy or "let this user replicate from here, by a line of pg_hba.conf")


def forget(dsn: str, slot: str = SLOT, publication: str = PUBLICATION) -> list[str]:
    """Remove everything that replication left in the database: slot, publication, the task's rows in the schema awsdms.

    The last task's removal also drops the tables of awsdms, and then the schema if it is empty. Returns descriptions of the removed
    objects. Raises ``SlotInUse`` if a replicator still runs.
    """
    removed = []
    connection = connect(dsn, SESSION_OPTIONS)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (slot,))
            row = cursor.fetchone()
            if row is not None and row[0]:
                _end_own_session(cursor, slot)
            cursor.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (slot,))
            if cursor.rowcount:
                removed.append(f"replication slot {slot}")
            cursor.execute("SELECT FROM pg_publication WHERE pubname = %s", (publication,))
            if cursor.fetchone() is not None:
                cursor.execute(f"DROP PUBLICATION {quoted(publication)}")
                removed.append(f"publication {publication}")
            removed += _forget_state(cursor, slot)
    finally:
        connection.close()
    return removed


def _end_own_session(cursor: Cursor, slot: str) -> None:
    """End the slot's session if the replicator that opened it is gone. Raises ``SlotInUse``."""
    cursor.execute(
        "SELECT s.active_pid, a.application_name, pg_try_advisory_lock(%s) FROM pg_replication_slots s"
        " LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = %s AND s.active",
        (lock_number(slot), slot),
    )
    row = cursor.fetchone()
    if row is None:
        return
    pid, name, nobody_runs = row
    if not nobody_runs or name != session_name(slot):
        raise SlotInUse(f'replication slot "{slot}" is read by session {pid} ("{name}"); stop the replicator first')
    cursor.execute("SELECT pg_advisory_unlock(%s), pg_terminate_backend(%s)", (lock_number(slot), pid))
    deadline = time.monotonic() + SESSION_ENDS_SECONDS
    while time.monotonic() < deadline:
        cursor.execute("SELECT FROM pg_replication_slots WHERE slot_name = %s AND active", (slot,))
        if cursor.fetchone() is None:
            return
        time.sleep(0.1)
    raise SlotInUse(f'replication slot "{slot}": session {pid} does not end; SELECT pg_terminate_backend({pid});')


def _forget_state(cursor: Cursor, slot: str) -> list[str]:
    cursor.execute("SELECT to_regclass('awsdms.task') IS NOT NULL")
    if cursor.fetchone() != (True,):
        return []
    cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = 'awsdms'::regnamespace AND relname = ANY (%s)", (list(TASK_TABLES),))
    found = [name for (name,) in cursor.fetchall()]
    for table in found:
        cursor.execute(f"DELETE FROM awsdms.{table} WHERE slot = %s", (slot,))
    cursor.execute("SELECT count(*) FROM awsdms.task")
    if cursor.fetchone() != (0,):
        return [f"the rows of {slot} in schema awsdms"]
    cursor.execute("DROP TABLE " + ", ".join(f"awsdms.{table}" for table in found))
    cursor.execute("SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'awsdms'")
    if cursor.fetchone() is not None:
        return ["the replicator's tables in schema awsdms"]
    cursor.execute("DROP SCHEMA awsdms")
    return ["schema awsdms"]


class _Source:
    """A database and the user of one connection."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.user, self.database = self.row("SELECT current_user, current_database()")
        self.superuser, self.replicates = self.row("SELECT rolsuper, rolreplication FROM pg_roles WHERE rolname = current_user")
        self.rds = self.row("SELECT count(*) FROM pg_roles WHERE rolname = 'rds_replication'")[0] > 0

    def row(self, statement: str, *values: object) -> tuple[Any, ...]:
        self.cursor.execute(statement, values or None)
        row: tuple[Any, ...] | None = self.cursor.fetchone()
        return row or ()

    def kind(self) -> Iterator[Finding]:
        """A server that can never be a source."""
        number = self.cursor.connection.server_version
        if number // 10_000 < OLDEST_VERSION:
            shown = f"{number // 10_000}.{number // 100 % 100}" if number < FIRST_OF_ONE_NUMBER else str(number // 10_000)
            yield Finding("server version", f"PostgreSQL {shown}", f"upgrade to PostgreSQL {OLDEST_VERSION} or newer")
        elif self.row("SELECT pg_is_in_recovery()")[0]:
            yield Finding("kind of server", "a replica (standby), which takes no publication", "give the primary's address")

    def server(self, slot: str) -> Iterator[Finding]:
        """Log level, free slots and senders, and a slot in use."""
        level = self.row("SHOW wal_level")[0]
        if level != "logical":
            own = "ALTER SYSTEM SET wal_level = 'logical';  -- then restart the server"
            managed = "set rds.logical_replication = 1 in the cluster's parameter group, then reboot the writer"
            yield Finding("wal_level", f'"{level}", needed "logical"', managed if self.rds else own)
        slots, used = self.row(
            "SELECT current_setting('max_replication_slots')::int, count(*) FROM pg_replication_slots WHERE slot_name <> %s", slot
        )
        if used >= slots:
            remedy = f"ALTER SYSTEM SET max_replication_slots = {used + 4};  -- then restart; or drop one of pg_replication_slots"
            yield Finding("max_replication_slots", f"all {slots} are taken", remedy)
        senders, sending = self.row("SELECT current_setting('max_wal_senders')::int, count(*) FROM pg_stat_replication")
        if sending >= senders:
            remedy = f"ALTER SYSTEM SET max_wal_senders = {sending + 4};  -- then restart"
            yield Finding("max_wal_senders", f"all {senders} are taken", remedy)
        reader = self.row(
            "SELECT a.pid, a.backend_start::timestamptz(0)::text, coalesce(host(a.client_addr), 'the server itself')"
            " FROM pg_replication_slots s JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = %s"
            " AND (a.application_name <> %s OR EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = %s))",
            *(slot, session_name(slot), lock_number(slot)),
        )
        if reader:  # forget ends a session that a replicator left behind
            pid, since, where = reader
            problem = f'slot "{slot}" is read by process {pid} of the server, since {since}, from {where}'
            yield Finding("replication slot", problem, f"dm down where that platform runs; or SELECT pg_terminate_backend({pid});")
        yield from self._abandoned(slot)
        if (encoding := self.row("SHOW server_encoding")[0]) == "SQL_ASCII":
            problem = f"{encoding}: the server does not know what its bytes mean; rows whose text is no UTF-8 are left out, each by name"
            yield Finding("server encoding", problem, "convert the database to UTF8 where such rows matter", blocking=False)
        if self.row("SHOW max_slot_wal_keep_size")[0] == "-1":
            problem = "no limit: a replicator that stays away lets the log fill the disk"
            remedy = "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf();"
            yield Finding("max_slot_wal_keep_size", problem, remedy, blocking=False)

    def published(self, publication: str) -> set[str]:
        """The tables (schema.table) of a publication."""
        self.cursor.execute("SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = %s", (publication,))
        return {row[0] for row in self.cursor.fetchall()}

    def _abandoned(self, slot: str) -> Iterator[Finding]:
        """Other inactive slots. Each makes the server keep its log, until the disk is full."""
        self.cursor.execute(
            "SELECT slot_name, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots"
            " WHERE NOT active AND slot_name <> %s AND restart_lsn IS NOT NULL AND NOT pg_is_in_recovery()",
            (slot,),
        )
        for name, kept in self.cursor.fetchall():
            problem = f"nobody reads it, and it keeps {kept} of the log"
            yield Finding(f"replication slot {name}", problem, f"SELECT pg_drop_replication_slot('{name}');", blocking=False)

    def rights(self) -> Iterator[Finding]:
        """The user's rights on the whole database."""
        if self.superuser:
            return
        member = self.rds and self.row("SELECT pg_has_role(current_user, 'rds_replication', 'USAGE')")[0]
        if not (self.replicates or member):
            remedy = f"GRANT rds_replication TO {quoted(self.user)};" if self.rds else f"ALTER ROLE {quoted(self.user)} REPLICATION;"
            yield Finding("right to replicate", f'user "{self.user}" has none', remedy)
        if not self.row("SELECT has_database_privilege(current_database(), 'CREATE')")[0]:
            problem = f'user "{self.user}" may not make the schema awsdms and the publication'
            yield Finding("right to create", problem, f"GRANT CREATE ON DATABASE {quoted(self.database)} TO {quoted(self.user)};")

    def ownership(self, table: str) -> Iterator[Finding]:
        """A finding if the user does not own the table. Only an owner may publish it."""
        found = self.row(
            "SELECT pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'USAGE') FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            *split_name(table),
        )
        if found and not found[1] and not self.superuser:
            problem = f'owned by "{found[0]}", so user "{self.user}" may not publish it'
            yield Finding(f"table {table}", problem, f"GRANT {quoted(found[0])} TO {quoted(self.user)};")

    def table(self, table: str) -> Iterator[Finding]:
        """Findings about one table."""
        schema, name = split_name(table)
        found = self.row(
            "SELECT c.oid, c.relkind, c.relpersistence, c.relreplident, row_security_active(c.oid)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            schema,
            name,
        )
        subject, identifier = f"table {table}", f"{quoted(schema)}.{quoted(name)}"
        if not found or found[1] not in ("r", "p"):
            yield Finding(subject, "there is no such table", "name tables as schema.table; views cannot be replicated")
            return
        oid, _, persistence, identity, filtered = found
        if not self.row("SELECT has_schema_privilege(%s, 'USAGE')", schema)[0]:
            yield Finding(
                subject, f'user "{self.user}" may not use the schema', f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(self.user)};"
            )
        if not self.row("SELECT has_table_privilege(%s::oid, 'SELECT')", oid)[0]:
            yield Finding(subject, f'user "{self.user}" may not read it', f"GRANT SELECT ON {identifier} TO {quoted(self.user)};")
        if not primary_key(self.cursor, oid):
            yield self._without_key(subject, identifier, oid, identity)
        if persistence != "p":
            yield Finding(subject, "unlogged, so its changes are not in the log", f"ALTER TABLE {identifier} SET LOGGED;")
        if filtered:
            problem = f'row-level security hides rows from user "{self.user}"'
            yield Finding(subject, problem, f"ALTER ROLE {quoted(self.user)} BYPASSRLS;")

    def _without_key(self, subject: str, identifier: str, oid: int, identity: str) -> Finding:
        """The finding for a table whose rows the log cannot identify: no key, or an unsuitable replica identity."""
        if self.row("SELECT count(*) FROM pg_index WHERE indrelid = %s AND indisprimary", oid)[0]:
            return Finding(subject, "its replica identity is not its primary key", f"ALTER TABLE {identifier} REPLICA IDENTITY DEFAULT;")
        unique = self.row(
            "SELECT i.indexrelid::regclass::text FROM pg_index i WHERE i.indrelid = %s AND i.indisunique AND i.indimmediate"
            " AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid"
            " AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull) ORDER BY 1",
            oid,
        )
        if unique:
            cure = f"ALTER TABLE {identifier} REPLICA IDENTITY USING INDEX {unique[0].rsplit('.', 1)[-1]};"
        else:
            cure = f'ALTER TABLE {identifier} ADD PRIMARY KEY (…); or take it by exports, see docs/source.md, "Tables without a key"'
        return Finding(subject, "no primary key, so its rows cannot be told apart", cure)
