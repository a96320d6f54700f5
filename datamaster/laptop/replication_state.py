"""The state of a database's replication, from its catalog and the schema awsdms, for ``dm up``, ``dm run`` and ``dm status``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from datamaster.replicator.task_state import CHANGES
from datamaster.source.connection import connected
from lake.source_session import SESSION_OPTIONS

LONG_SECONDS = 60
BLOCKING = """
    SELECT b.pid, coalesce(b.usename, ''), coalesce(b.application_name, ''), b.state, b.xact_start
    FROM pg_stat_activity w, LATERAL unnest(pg_blocking_pids(w.pid)) AS blocker(pid) JOIN pg_stat_activity b ON b.pid = blocker.pid
    WHERE w.application_name = %s OR w.backend_type = 'walsender' AND position(%s IN w.query) > 0 AND w.datname = current_database()
"""
SLOT = """
    SELECT active, wal_status, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint,
        pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint
    FROM pg_replication_slots WHERE slot_name = %s
"""


@dataclass(frozen=True)
class Session:
    """A session of the source that something of ours waits for."""

    pid: int
    user: str
    application: str
    state: str
    since: datetime

    @property
    def text(self) -> str:
        """The session's user, process, state and start."""
        who = " ".join(filter(None, (f'user "{self.user}"', f"({self.application})" if self.application else "")))
        return f"process {self.pid} of the source, {who}, {self.state} since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

    @property
    def seconds(self) -> float:
        """How long its transaction has been open."""
        return (datetime.now(UTC) - self.since).total_seconds()


@dataclass(frozen=True)
class TableLoad:
    """How far the load of one table is, and how many changes came; ``name`` is schema.table."""

    name: str
    state: str
    rows: int
    ended: bool
    started: datetime | None = None
    inserts: int = 0
    updates: int = 0
    deletes: int = 0


@dataclass(frozen=True)
class ReplicationState:
    """A task's phase (None if it never ran), its slot, and the sessions that it waits for. Lag and retained log are bytes."""

    phase: str | None
    slot_active: bool
    slot_lost: bool
    lag_bytes: int | None
    retained_bytes: int | None
    loads: tuple[TableLoad, ...]
    waits_for: tuple[Session, ...]

    @property
    def streams(self) -> bool:
        """Whether every table was loaded once and changes follow."""
        return self.phase == CHANGES and self.slot_active

    @property
    def text(self) -> str:
        """Its current activity, in one line."""
        if self.waits_for:
            return f"it waits for {self.waits_for[0].text}; it goes on once that transaction ends"
        if self.phase is None:
            return "it connects to the source"
        waiting = [load for load in self.loads if not load.ended]
        loading = next((load for load in waiting if load.rows), None)
        if loading is not None:
            return f"it loads {loading.name}, {loading.rows:,} rows so far; tables to be loaded: {len(waiting)}"
        if self.phase != CHANGES or waiting:
            return f"tables to be loaded: {len(waiting)}" if waiting else "it makes the replication slot"
        if not self.slot_active:
            return "nothing reads the replication slot"
        return f"{(self.lag_bytes or 0) / 1000:,.0f} kB of the source's log are to be read"


def replication_state(dsn: str, slot: str) -> ReplicationState:
    """Ask the source. Raises ``SourceRefused``, ``SourceUnreachable``."""
    with connected(dsn, SESSION_OPTIONS) as connection, connection.cursor() as cursor:

        def rows(statement: str, *values: object) -> list[tuple[Any, ...]]:
            cursor.execute(statement, values)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

        waits_for = tuple(Session(*row) for row in rows(BLOCKING, f"awsdms {slot}", slot) if row[4] is not None)
        active, status, lag, retained = next(iter(rows(SLOT, slot)), (False, None, None, None))
        phase: str | None = None
        loads: tuple[TableLoad, ...] = ()
        if rows("SELECT to_regclass('awsdms.task') IS NOT NULL")[0][0]:
            phase = next((row[0] for row in rows("SELECT phase FROM awsdms.task WHERE slot = %s", slot)), None)
            loads = tuple(
                TableLoad(*row)
                for row in rows(
                    "SELECT schema_name || '.' || table_name, table_state, load_rows, load_ended IS NOT NULL, load_started, inserts,"
                    " updates, deletes FROM awsdms.table_statistics WHERE slot = %s ORDER BY 1",
                    slot,
                )
            )
    return ReplicationState(phase, bool(active), status == "lost", lag, retained, loads, waits_for)
