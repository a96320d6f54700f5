"""Create the replication slot. The server waits for all running transactions, and the log names them."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

import psycopg2
import psycopg2.errors

from datamaster.replicator.outbox import Stopped
from datamaster.source.pg_catalog import quoted
from datamaster.source.publication import open_transactions
from lake.source_session import SESSION_OPTIONS

SILENT_SECONDS = 5.0
AGAIN_SECONDS = 60.0
LOOK_SECONDS = 0.5

log = logging.getLogger(__name__)


def create_slot(replication: Any, slot: str, dsn: str, stop: threading.Event) -> str:
    """Create the slot and return its exported snapshot. Setting ``stop`` also ends the server's wait. Raises ``Stopped``."""
    log.info('making replication slot "%s"; this waits for the transactions that run now', slot)
    with contextlib.suppress(psycopg2.Error), replication.cursor() as cursor:  # from PostgreSQL 14 on, and only on some systems
        cursor.execute("SET client_connection_check_interval = '2s'")  # so the server notices that a killed task is gone
    with _waiting(replication.info.backend_pid, dsn, stop), replication.cursor() as cursor:
        try:
            cursor.execute(f"CREATE_REPLICATION_SLOT {quoted(slot)} LOGICAL pgoutput EXPORT_SNAPSHOT")
        except psycopg2.errors.QueryCanceled as error:
            if stop.is_set():
                raise Stopped(f'replication slot "{slot}" was not made: the task was stopped') from error
            raise
        return str(cursor.fetchone()[2])


@contextlib.contextmanager
def _waiting(pid: int, dsn: str, stop: threading.Event) -> Iterator[None]:
    """A thread logs the transactions that the server waits for, and cancels the statement of session ``pid`` on ``stop``."""
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(pid, dsn, stop, done), name="slot", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _watch(pid: int, dsn: str, stop: threading.Event, done: threading.Event) -> None:
    next_word = SILENT_SECONDS
    waited = 0.0
    while not done.wait(LOOK_SECONDS):
        waited += LOOK_SECONDS
        if not stop.is_set() and waited < next_word:
            continue
        with contextlib.suppress(psycopg2.Error), contextlib.closing(psycopg2.connect(dsn, options=SESSION_OPTIONS)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                if stop.is_set():
                    cursor.execute("SELECT pg_cancel_backend(%s)", (pid,))
                else:
                    log.warning("the slot waits for older transactions: %s", "; ".join(open_transactions(cursor)))
                    next_word = waited + AGAIN_SECONDS
