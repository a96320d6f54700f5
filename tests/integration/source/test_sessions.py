"""The task and other sessions of its source: whom it waits for, and that it leaves no session and no slot behind."""

from __future__ import annotations

import psycopg2
import pytest

from datamaster.source.preflight import check, forget
from tests.integration.source.conftest import Database

pytestmark = pytest.mark.integration
WALSENDERS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database()"


@pytest.fixture
def idle(database):
    """A session that holds a transaction open."""
    database.run("CREATE TABLE t (id int PRIMARY KEY)")
    session = Database(database.dsn)
    session.run("BEGIN; INSERT INTO t VALUES (60)")
    yield session
    session.connection.close()


def test_a_start_behind_an_open_transaction_names_it_and_stops_when_asked_to(database, replication, idle, wait):
    pid = idle.connection.info.backend_pid
    replication.start("public.t")
    wait(
        lambda: (
            f"the slot waits for older transactions: session {pid} of user postgres, idle in transaction" in replication.log.read_text()
        ),
        "name",
    )

    assert replication.stop() == 0
    assert database.run(WALSENDERS) == []
    assert database.run("SELECT slot_name FROM pg_replication_slots WHERE active AND database = current_database()") == []

    idle.run("COMMIT")
    replication.start()
    replication.settle()
    assert [m["data"] for m in replication.data("t")] == [{"id": 60}]


def test_what_a_killed_start_left_at_the_server_is_ended_by_forget(database, replication, idle, wait):
    replication.start("public.t")
    wait(lambda: database.run("SELECT 1 FROM pg_replication_slots WHERE active AND slot_name = %s", replication.slot), "slot begun")
    replication.kill()

    assert [f for f in check(database.dsn, ["public.t"], replication.slot) if f.blocking] == []
    forget(database.dsn, replication.slot)

    assert database.run(WALSENDERS) == []
    assert database.run("SELECT 1 FROM pg_replication_slots WHERE database = current_database()") == []


def test_an_idle_database_keeps_no_log_while_another_is_written(database, replication, server, wait):
    database.run("CREATE TABLE t (id int PRIMARY KEY)")
    replication.start("public.t")
    replication.settle()
    main = psycopg2.connect(server.dsn)
    main.autocommit = True
    cursor = main.cursor()
    cursor.execute("CREATE TABLE IF NOT EXISTS elsewhere AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    cursor.execute("SELECT pg_current_wal_lsn()")
    ((written,),) = cursor.fetchall()

    def kept():
        cursor.execute("CHECKPOINT")
        return database.run("SELECT restart_lsn >= %s FROM pg_replication_slots WHERE slot_name = %s", written, replication.slot) == [
            (True,)
        ]

    wait(kept, "log let go")
    cursor.execute("DROP TABLE elsewhere")
    main.close()


def test_an_idle_task_writes_nothing_to_its_source(database, replication, wait):
    database.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    replication.start("public.t")
    replication.settle()
    wait(lambda: quiet(database), "a task that writes nothing")


def quiet(database):
    count = "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE schemaname = 'awsdms' ORDER BY relname"
    before = database.run(count)
    database.run("SELECT pg_sleep(3)")
    return database.run(count) == before


def test_an_abandoned_slot_is_named(database, server):
    database.run("SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')")

    (found,) = [f for f in check(database.dsn, []) if f.subject == "replication slot left_behind"]

    assert "nobody reads it, and it keeps" in found.problem
    assert found.remedy == "SELECT pg_drop_replication_slot('left_behind');"
    assert not found.blocking


def test_a_unique_index_that_is_the_replica_identity_is_the_key(database, replication):
    database.run("CREATE TABLE t (a int NOT NULL, b text NOT NULL, v int); CREATE UNIQUE INDEX t_ab ON t (b, a)")
    (missing,) = [f for f in check(database.dsn, ["public.t"]) if f.blocking]
    assert missing.remedy == 'ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX t_ab;'
    database.run(missing.remedy)
    assert [f for f in check(database.dsn, ["public.t"]) if f.blocking] == []

    database.run("INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)")
    replication.start("public.t")
    replication.settle()
    database.run("UPDATE t SET b = 'z' WHERE a = 1; DELETE FROM t WHERE a = 2")
    replication.settle()

    (moved,), (deleted,) = replication.data("t", "update"), replication.data("t", "delete")
    assert (moved["before-image"], moved["key"]) == ({"a": 1, "b": "x"}, "public.t.z.1")
    assert deleted["data"] == {"a": 2, "b": "y", "v": None}
