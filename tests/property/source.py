"""The source: a database of the real PostgreSQL, the real replicator in a thread, and a sink that keeps what it sends."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest

from datamaster.replicator import change_reader, replication_task
from datamaster.replicator.emitter import Emitter
from datamaster.replicator.positions import caught_up
from datamaster.replicator.task_state import TableStatistics, ask_reload
from tests.property.oracle import WIDTH
from tests.property.scenarios import MONTHS, Change, Transaction

TABLE = "app.note"
SPARE = 9
SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.note (note_id bigint PRIMARY KEY, title varchar(50), written bigint, body text, extra text);
ALTER TABLE app.note ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN extra SET STORAGE EXTERNAL
"""
LONG = "x" * 2_100
"""Longer than what PostgreSQL keeps in a row (TOAST_TUPLE_THRESHOLD, about 2 kB): an update that does not write it leaves it out."""
PATIENCE = 60.0
NUMBERS = itertools.count(1)


class Sink:
    """Stands where Kinesis does: takes everything, in order."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    def put_records(self, *, StreamName: str, Records: Any) -> dict[str, Any]:  # noqa: N803
        self.records += [record["Data"] for record in Records]
        return {"FailedRecordCount": 0, "Records": [{} for _ in Records]}


class Load:
    """What happens beside the next load: ``before_fence``, ``behind_fence`` and ``while_read`` are called once each."""

    def __init__(self) -> None:
        self.moments: list[Callable[[], None]] = []
        self.stop: Callable[[Emitter], None] | None = None

    def reach(self, moment: int) -> None:
        """Let everything up to a moment happen that has not yet."""
        while len(self.moments) > MOMENTS_OF_LOAD - moment:
            self.moments.pop(0)()


MOMENTS_OF_LOAD = 3


class Source:
    """A database with one table, replicated."""

    def __init__(self, server_dsn: str) -> None:
        self.name = f"group_{next(NUMBERS)}"
        self.slot = self.name
        self._main = psycopg2.connect(server_dsn)
        self._main.autocommit = True
        self._main.cursor().execute(f"CREATE DATABASE {self.name}")
        self.dsn = server_dsn.rsplit("/", 1)[0] + f"/{self.name}"
        self._connection = psycopg2.connect(self.dsn)
        self._connection.autocommit = True
        self.run(SCHEMA)
        self.sink = Sink()
        self.load = Load()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._task: replication_task.ReplicationTask | None = None
        self._failure: BaseException | None = None
        self._labels = itertools.count(1)

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def commit(self, base: int, transaction: Transaction) -> None:
        """Run a transaction on the keys from ``base`` on."""
        with self._connection.cursor() as cursor:
            text = b";".join(cursor.mogrify(*statement) for change in transaction.changes for statement in self._statements(base, change))
        self.run(f"BEGIN;{text.decode()};{'COMMIT' if transaction.commits else 'ROLLBACK'}")

    def rows(self, at: int | None = None) -> dict[int, dict[str, Any]]:
        """The table's rows by key; those of the scenario at ``at`` alone, where it is named."""
        names = ("note_id", "title", "written", "body", "extra")
        condition = "true" if at is None else f"note_id BETWEEN {at} AND {at + WIDTH - 1}"
        return {row[0]: dict(zip(names, row, strict=True)) for row in self.run(f"SELECT {', '.join(names)} FROM {TABLE} WHERE {condition}")}

    def start(self) -> None:
        """Start the replicator."""
        self._stop.clear()
        settings = replication_task.TaskSettings(self.dsn, "stream", (TABLE,), self.slot, self.name)
        self._task = replication_task.ReplicationTask(settings, self.sink, self._stop)
        self._thread = threading.Thread(target=self._replicate, name="replicator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop it, and wait for its end."""
        self._stop.set()
        self.ended()

    def ended(self) -> None:
        if self._thread is not None:
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive(), "the replicator does not stop"
            self._thread = None
        self._raise()

    def abort(self, emitter: Emitter) -> None:
        """Stop in the middle of a load, with what was read in the stream."""
        emitter.outbox.flush()
        self._stop.set()

    def settle(self) -> list[bytes]:
        """Wait until everything committed so far is sent; the records since the last time."""
        self.catch_up()
        records, self.sink.records = self.sink.records, []
        return records

    def catch_up(self) -> None:
        """Wait until everything committed so far is sent and no load runs. A replicator that was stopped in a load starts again."""
        self._wait(lambda: self._caught_up() or not self._runs(), "caught up")
        if not self._runs():
            self.ended()
            self.start()
            self._wait(self._caught_up, "caught up")

    def _caught_up(self) -> bool:
        return caught_up(self.dsn, self.slot, tables=(TABLE,)) and not self._commands()

    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def ask_reload(self) -> None:
        ask_reload(self.dsn, self.slot, [TABLE])

    def lose_slot(self) -> None:
        """Drop the slot of a stopped replicator."""
        self._wait(lambda: not self.run("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active", self.slot), "slot free")
        self.run("SELECT pg_drop_replication_slot(%s)", self.slot)

    @contextmanager
    def a_slot_that_waits(self, meanwhile: Callable[[], None]) -> Iterator[None]:
        """Let ``meanwhile`` run while the next temporary slot waits for a transaction that was open when it began."""
        open_before = psycopg2.connect(self.dsn)
        open_before.cursor().execute("SELECT pg_current_xact_id()")
        failures: list[BaseException] = []
        begun = "SELECT 1 FROM pg_replication_slots WHERE temporary AND database = %s AND restart_lsn IS NOT NULL"

        def run() -> None:
            try:
                self._wait(lambda: self.run(begun, self.name), "slot begun")
                meanwhile()
            except BaseException as failure:  # raised again below
                failures.append(failure)
            finally:
                open_before.close()

        thread = threading.Thread(target=run, name="meanwhile")
        thread.start()
        yield
        thread.join()
        for failure in failures:
            raise failure

    def statistics(self) -> list[TableStatistics]:
        """What the replicator counts."""
        return list(self._task.state.tables.values()) if self._task and self._task.state else []

    def close(self) -> None:
        self.load = Load()
        self.stop()
        self._connection.close()
        cursor = self._main.cursor()
        cursor.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", (self.name,))
        for (slot,) in cursor.fetchall():
            cursor.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s", (slot,))
            self._wait(lambda slot=slot: self._free(cursor, slot), "slot free")
            cursor.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
        cursor.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        self._main.close()

    def _free(self, cursor: Any, slot: str) -> bool:
        cursor.execute("SELECT NOT active FROM pg_replication_slots WHERE slot_name = %s", (slot,))
        return bool(cursor.fetchone()[0])

    def _commands(self) -> bool:
        return bool(self.run("SELECT 1 FROM awsdms.task_command WHERE slot = %s AND done_at IS NULL", self.slot))

    def _replicate(self) -> None:
        try:
            assert self._task is not None
            self._task.run()
        except BaseException as error:  # raised again where the test waits
            self._failure = error

    def _wait(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self._raise()
            assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s"
            time.sleep(0.03)

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _statements(self, base: int, change: Change) -> Iterator[tuple[str, tuple[object, ...]]]:
        key, other = base + change.key, base + change.other
        label = f"{base}.{next(self._labels)}"
        title, body, extra, written = f"title {label}", f"body {label} {LONG}", f"extra {label} {LONG}", MONTHS[change.month]
        write = (
            f"INSERT INTO {TABLE} VALUES (%s, %s, %s, %s, %s) ON CONFLICT (note_id) DO UPDATE SET"
            " title = excluded.title, written = excluded.written, body = excluded.body, extra = excluded.extra"
        )
        free = f"NOT EXISTS (SELECT FROM {TABLE} WHERE note_id = %s)"
        move = f"UPDATE {TABLE} SET note_id = %s, title = %s WHERE note_id = %s AND {free}"
        simple: dict[str, tuple[str, tuple[object, ...]]] = {
            "write": (write, (key, title, written, body, extra)),
            "short": (write, (key, title, written, f"short {label}", extra)),
            "retitle": (f"UPDATE {TABLE} SET title = %s WHERE note_id = %s", (title, key)),
            "body": (f"UPDATE {TABLE} SET body = %s WHERE note_id = %s", (body, key)),
            "extra": (f"UPDATE {TABLE} SET extra = %s WHERE note_id = %s", (extra, key)),
            "nobody": (f"UPDATE {TABLE} SET body = NULL WHERE note_id = %s", (key,)),
            "shift": (f"UPDATE {TABLE} SET written = %s WHERE note_id = %s", (written, key)),
            "move": (move, (other, title, key, other)),
            "bring": (f"UPDATE {TABLE} SET note_id = %s, body = %s WHERE note_id = %s AND {free}", (other, body, key, other)),
            "drop": (f"DELETE FROM {TABLE} WHERE note_id = %s", (key,)),
        }
        if change.kind == "swap":
            spare = base + SPARE
            yield from ((move, (new, f"{title} {new}", old, new)) for old, new in ((key, spare), (other, key), (spare, other)))
        elif change.kind == "renew":
            yield from (simple["drop"], simple["write"])
        else:
            yield simple[change.kind]


@contextmanager
def loads_with_moments(sources: Callable[[], Source | None]) -> Iterator[None]:
    """Let the replicator's loads tell the current source where they are, and look for work ten times as often."""
    fence, row = Emitter.fence, Emitter.row

    def fenced(emitter: Emitter, table: Any) -> None:
        source = sources()
        if source:
            source.load.reach(1)
        fence(emitter, table)
        if source:
            source.load.reach(2)

    def sent(emitter: Emitter, table: Any, values: Any) -> None:
        row(emitter, table, values)
        source = sources()
        if source:
            source.load.reach(3)
            if source.load.stop is not None:
                stop, source.load.stop = source.load.stop, None
                stop(emitter)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Emitter, "fence", fenced)
        patch.setattr(Emitter, "row", sent)
        for name in ("PUSH_SECONDS", "ACKNOWLEDGE_SECONDS", "COMMAND_SECONDS", "IDLE_SECONDS"):
            patch.setattr(change_reader, name, getattr(change_reader, name) / 10)
        yield


def keys_of(bases: Iterable[int]) -> set[int]:
    """Every key that the scenarios at ``bases`` may use."""
    return {base + key for base in bases for key in range(WIDTH)}
