"""What happens to a table outside the log is seen, reported and cured by a load that starts by itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from datamaster.laptop import postgres
from datamaster.replicator.positions import caught_up
from tests.conftest import require
from tests.integration.source.conftest import Database

pytestmark = pytest.mark.integration

SWAP = (
    "CREATE TABLE t_new (LIKE t INCLUDING ALL); INSERT INTO t_new VALUES (7, 7), (8, 8);"
    "ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t"
)
MADE_ANEW = "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (20, 1)"
ONCE_MORE = "ALTER TABLE t DROP v; ALTER TABLE t ADD v int DEFAULT 5"


def events(database, table="t"):
    return [kind for (kind,) in database.run("SELECT event FROM awsdms.table_events WHERE table_name = %s ORDER BY event_id", table)]


def live(replication, table="t"):
    """The rows that a reader ends with, by key ``id``: those of the newest load and the changes behind it."""
    messages = sorted((m for m in replication.messages() if m["metadata"]["table-name"] == table), key=lambda m: m["metadata"]["timestamp"])
    rows = {}
    for message in messages:
        operation = message["metadata"]["operation"]
        if operation == "drop-table":
            rows.clear()
        elif operation == "delete":
            rows.pop(message["data"]["id"], None)
        elif "data" in message:
            for old in message.get("before-image", {}).values():
                rows.pop(old, None)
            rows[message["data"]["id"]] = message["data"]
    return rows


def source(database, table="t"):
    """The rows of the source, by key ``id``, as messages write them."""
    only = "ONLY" if table == "base" else ""
    return {row["id"]: row for (row,) in database.run(f"SELECT to_json(r) FROM {only} {table} r")}


@pytest.fixture
def replicated(database, replication):
    """A loaded table t beside another one, whose changes must go on."""
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2); CREATE TABLE beside (id int PRIMARY KEY)"
    )
    replication.start("public.t", "public.beside")
    replication.settle()
    return replication


@pytest.mark.parametrize(
    ("statements", "kind"),
    [
        (f"BEGIN; {SWAP}; COMMIT", "replaced"),
        (f"BEGIN; {MADE_ANEW}; COMMIT", "replaced"),
        ("TRUNCATE t; INSERT INTO t VALUES (3, 3)", "truncated"),
        ("ALTER TABLE t ALTER v TYPE bigint USING v * 1000000000000", "rewritten"),
        ("ALTER TABLE t ALTER v TYPE int USING -v", "rewritten"),
        (f"BEGIN; {ONCE_MORE}; COMMIT", "altered"),
        ("DROP PUBLICATION dm_replicator; INSERT INTO t VALUES (50, 1)", "publication changed"),
        ("ALTER PUBLICATION dm_replicator DROP TABLE t; INSERT INTO t VALUES (51, 1)", "publication changed"),
        (
            "ALTER PUBLICATION dm_replicator SET (publish = 'insert'); UPDATE t SET v = 99; DELETE FROM t WHERE id = 1",
            "publication changed",
        ),
        ("ALTER PUBLICATION dm_replicator SET TABLE t WHERE (id > 1), beside; UPDATE t SET v = 9", "publication changed"),
        ("ALTER PUBLICATION dm_replicator SET TABLE t (id), beside; UPDATE t SET v = 9", "publication changed"),
    ],
    ids=lambda value: value.split(";")[0][:40] if ";" in value or "ALTER" in value else value,
)
def test_rows_that_changed_unseen_are_loaded_anew_by_themselves(database, replicated, wait, statements, kind):
    for statement in statements.split("; ") if not statements.startswith("BEGIN") else [statements]:
        database.run(statement)
    wait(lambda: kind in events(database), "event")
    replicated.settle()
    database.run("INSERT INTO t (id) VALUES (90); INSERT INTO beside VALUES (1)")
    replicated.settle()

    assert live(replicated) == source(database)
    assert kind in replicated.log.read_text()
    assert [m["data"] for m in replicated.data("beside")] == [{"id": 1}]
    if not kind.startswith("publication"):
        assert events(database, "beside") == []
        assert len(replicated.control("beside")) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "VACUUM FULL t",
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "ALTER PUBLICATION dm_replicator ADD TABLE beside_2",
        "ALTER TABLE t ALTER v SET STATISTICS 10",
    ],
)
def test_what_changes_no_row_is_no_cause_for_a_load(database, replicated, statement):
    database.run("CREATE TABLE beside_2 (id int PRIMARY KEY)")
    database.run(statement)
    time.sleep(2.5)

    assert events(database) == []
    assert len(replicated.control("t")) == 2


def test_the_user_s_own_changes_never_fail_because_of_the_publication(database, replication, wait):
    database.run(
        "CREATE TABLE base (id int PRIMARY KEY, v int); CREATE TABLE child () INHERITS (base); CREATE TABLE s (id int PRIMARY KEY)"
    )
    database.run("INSERT INTO base VALUES (1, 1); INSERT INTO child VALUES (2, 2), (1, 9)")
    replication.start("public.base", "public.s")
    replication.settle()

    database.run("UPDATE child SET v = 3 WHERE id = 2; INSERT INTO child VALUES (5, 5); UPDATE base SET v = 7 WHERE id = 1")
    replication.settle()
    assert live(replication, "base") == source(database, "base") == {1: {"id": 1, "v": 7}}

    database.run("ALTER TABLE s DROP CONSTRAINT s_pkey; INSERT INTO s VALUES (1)")
    wait(lambda: events(database, "s") == ["cannot be replicated"], "event")
    database.run("UPDATE s SET id = 2")
    database.run("ALTER TABLE s ADD PRIMARY KEY (id)")
    wait(lambda: events(database, "s") == ["cannot be replicated", "there again"], "event")
    replication.settle()
    assert live(replication, "s") == {2: {"id": 2}}


def test_an_open_transaction_elsewhere_holds_up_no_change_of_another_table(database, replicated, wait):
    other = postgres_session(database)
    other.run("BEGIN; CREATE TABLE unrelated (id int); INSERT INTO unrelated VALUES (1)")
    database.run("ALTER PUBLICATION dm_replicator DROP TABLE t; INSERT INTO t VALUES (51, 1)")
    wait(lambda: "publication changed" in events(database), "event")
    database.run("INSERT INTO beside VALUES (1)")
    wait(lambda: replicated.data("beside"), "the other table's row")
    assert "loads wait for older transactions: session" in replicated.log.read_text()
    other.run("COMMIT")
    replicated.settle()

    assert live(replicated) == source(database)
    other.connection.close()


def postgres_session(database):
    return Database(database.dsn)


def test_partitions_that_come_and_go_are_seen(database, replication, wait):
    database.run("CREATE TABLE ev (id int, day date, v int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)")
    database.run("CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')")
    database.run("INSERT INTO ev VALUES (1, '2024-01-05', 1), (2, '2024-01-06', 2)")
    replication.start("public.ev")
    replication.settle()

    def after(statements, *kinds):
        database.run(statements)
        wait(lambda: events(database, "ev") == list(kinds), str(kinds))
        replication.settle()
        assert live(replication, "ev") == source(database, "ev"), statements

    seen = ["partition attached"]
    after(
        "CREATE TABLE ev_2 (LIKE ev INCLUDING ALL); INSERT INTO ev_2 VALUES (10, '2024-02-05', 1);"
        "ALTER TABLE ev ATTACH PARTITION ev_2 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');"
        "INSERT INTO ev VALUES (11, '2024-02-06', 1); UPDATE ev SET day = '2024-02-07' WHERE id = 2",
        *seen,
    )
    seen.append("partition gone")
    after("ALTER TABLE ev DETACH PARTITION ev_1; UPDATE ev_1 SET v = 0", *seen)
    database.run("CREATE TABLE ev_3 PARTITION OF ev FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')")
    time.sleep(2.5)  # a new partition without rows is no cause for a load
    after("INSERT INTO ev VALUES (12, '2024-03-06', 1)", *seen)
    seen.append("truncated")
    after("TRUNCATE ev_2", *seen)


def test_what_happened_while_the_replicator_was_away_is_seen_when_it_is_back(database, replicated, wait):
    assert replicated.stop() == 0
    database.run(f"BEGIN; {SWAP}; COMMIT")
    database.run("ALTER PUBLICATION dm_replicator DROP TABLE beside; INSERT INTO beside VALUES (5)")

    replicated.start()
    wait(lambda: events(database) == ["replaced"] and events(database, "beside") == ["publication changed"], "events")
    replicated.settle()

    assert live(replicated) == source(database)
    assert live(replicated, "beside") == {5: {"id": 5}}


def test_a_table_dropped_behind_its_changes_keeps_their_key_even_without_the_catalog(database, replication, wait):
    database.run(
        "CREATE TABLE u (id int PRIMARY KEY, v int, w text); ALTER TABLE u REPLICA IDENTITY FULL; CREATE TABLE t (id int PRIMARY KEY)"
    )
    database.run("INSERT INTO u SELECT n, n, 'x' FROM generate_series(1, 3) n")
    replication.start("public.u", "public.t")
    replication.settle()
    database.run("BEGIN; UPDATE u SET v = 5 WHERE id = 1; DELETE FROM u WHERE id = 2; DROP TABLE u; COMMIT")
    database.run("INSERT INTO t VALUES (21)")
    wait(lambda: replication.data("t"), "the other table's row")
    wait(lambda: events(database, "u") == ["dropped"], "event")

    (updated,), (deleted,) = replication.data("u", "update"), replication.data("u", "delete")
    assert (updated["key"], updated["before-image"], updated["data"]["v"]) == ("public.u.1", {}, 5)
    assert deleted["key"] == "public.u.2"


def test_before_postgresql_18_a_dropped_publication_leads_to_a_new_load_and_not_to_endless_restarts(tmp_path, replicate, wait, monkeypatch):
    older = Path("/usr/lib/postgresql/15/bin")
    require(os.access(older / "initdb", os.X_OK), "PostgreSQL 15 (Debian's postgresql-15)")
    monkeypatch.setattr(postgres, "programs", lambda: older)
    with postgres.start(tmp_path / "data") as server:
        database = Database(server.dsn)
        database.run("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)")
        replication = replicate(server.dsn)
        replication.start("public.t")
        replication.settle()
        database.run("DROP PUBLICATION dm_replicator")
        database.run("INSERT INTO t VALUES (50, 1)")
        wait(lambda: len(replication.control("t")) == 4, "a new load")
        database.run("INSERT INTO t VALUES (51, 1)")
        wait(lambda: caught_up(server.dsn, replication.slot, tables=["public.t"]), "caught up")

        assert live(replication) == source(database)
        assert replication.process.poll() is None
        assert 'publication "dm_replicator" was dropped' in replication.log.read_text()
        database.connection.close()
    postgres.forget_data(tmp_path / "data")
