"""The replicator between a real PostgreSQL and the emulator's Kinesis."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from beer import churn, generate
from datamaster.laptop import postgres
from datamaster.replicator.positions import caught_up
from datamaster.replicator.task_state import ask_reload

pytestmark = pytest.mark.integration
CHANGES = ("Inserts", "Updates", "Deletes")
DM_CORE = tuple(f"dm_core.{table}" for table in generate.TABLES)


def source_rows(database, table):
    """Rows of dm_core by key, as the messages write them."""
    names = [
        row[0]
        for row in database.run("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", table)
    ]
    return {row[0]: dict(zip(names, row, strict=True)) for row in database.run(f"SELECT * FROM {table}")}


def write_until(enough, dsn):
    for seed in itertools.count():
        if enough.is_set():
            return
        churn.run(dsn, 200, rate=1_000, seed=seed)


def is_control(message, table):
    return message["metadata"]["record-type"] == "control" and message["metadata"]["table-name"] == table


def assert_stream_folds_to_source(database, messages, fold):
    for table in generate.TABLES:
        assert fold(messages, table) == source_rows(database, f"dm_core.{table}"), table


def assert_order_per_key_is_kept(messages, placed):
    """Of the last copies of a key's changes, in the order of its shard, each lies after the one before."""
    seen: dict[tuple[str, str], list[str]] = {}
    for message in messages:
        if message["metadata"]["operation"] != "load":
            seen.setdefault((message["shard"], message["key"]), []).append(placed(message))
    for key, positions in seen.items():
        last = {position: at for at, position in enumerate(positions)}
        assert sorted(last, key=last.__getitem__) == sorted(last), key


def test_load_and_changes_meet_without_gap_or_overlap_while_the_source_is_written(database, replication, fold, placed, wait):
    generate.create_schema(database.dsn)
    generate.load_generated(database.dsn, 5_000)
    enough = threading.Event()
    writer = threading.Thread(target=write_until, args=(enough, database.dsn))
    writer.start()

    replication.start(*DM_CORE)
    wait(lambda: replication.counted(*CHANGES) > 500, "load and changes")
    enough.set()
    writer.join()
    replication.settle()

    messages = replication.messages()
    changes = [m for m in messages if m["metadata"]["table-name"] == "review" and "stream-position" in m["metadata"]]
    first = {}
    for change in sorted(changes, key=placed):
        first.setdefault((change.get("before-image") or {}).get("review_id"), "key given up")
        first.setdefault(change["data"]["review_id"], change["metadata"]["operation"])
    loaded = {m["data"]["review_id"] for m in messages if m["metadata"]["table-name"] == "review" and m["metadata"]["operation"] == "load"}
    assert "insert" in first.values()
    assert [key for key in loaded if first.get(key) == "insert"] == []
    assert_stream_folds_to_source(database, messages, fold)


def test_a_replicator_killed_in_the_stream_loses_nothing_and_keeps_the_order_of_each_key(database, replication, fold, placed, wait):
    generate.create_schema(database.dsn)
    generate.load_generated(database.dsn, 1_000)
    replication.start(*DM_CORE)
    replication.settle()
    writer = threading.Thread(target=churn.run, args=(database.dsn, 12_000), kwargs={"rate": 1_500})
    writer.start()

    for _ in range(3):
        before = replication.counted(*CHANGES)
        wait(lambda before=before: replication.counted(*CHANGES) > before + 1_500, "more changes")
        replication.kill()
        assert writer.is_alive()
        replication.start()
    writer.join()
    replication.settle()

    messages = replication.messages()
    changes = [m for m in messages if "stream-position" in m["metadata"]]
    assert len(changes) > 12_000
    assert len({m["metadata"]["stream-position"] for m in changes}) == 12_000
    assert_order_per_key_is_kept(changes, placed)
    assert_stream_folds_to_source(database, messages, fold)
    assert replication.counted(*CHANGES) == 12_000


def test_a_full_load_killed_half_way_begins_anew_behind_a_new_fence(database, replication, fold, wait):
    generate.create_schema(database.dsn)
    generate.load_generated(database.dsn, 60_000)  # enough that the kill comes before its end, on a busy machine too
    replication.start(*DM_CORE)
    wait(lambda: replication.counted("FullLoadRows") > 5_000, "some loaded reviews")
    replication.kill()
    assert 0 < len(replication.data("review", "load")) < 60_000
    database.run("DELETE FROM dm_core.review WHERE review_id <= 500")

    replication.start()
    replication.settle()

    messages = replication.messages()
    assert [m["metadata"]["operation"] for m in messages if is_control(m, "review")] == ["drop-table", "create-table"] * 2
    assert_stream_folds_to_source(database, messages, fold)


def test_a_killed_database_is_followed_again_when_it_is_back(tmp_path, replicate, wait):
    server = postgres.start(tmp_path / "postgres" / "data")
    try:
        generate.create_schema(server.dsn)
        generate.load_generated(server.dsn, 1_000)
        replication = replicate(server.dsn)
        replication.start(*DM_CORE)
        replication.settle()
        churn.run(server.dsn, 2_000)

        server.process.kill()
        server.process.wait()
        server = postgres.start(tmp_path / "postgres" / "data", server.port)
        churn.run(server.dsn, 1_000, seed=2)
        wait(lambda: caught_up(server.dsn, replication.slot), "caught up")

        changes = [m for m in replication.messages() if "stream-position" in m["metadata"]]
        assert len({m["metadata"]["stream-position"] for m in changes}) == 3_000
        assert replication.process.poll() is None
    finally:
        server.stop()
        postgres.forget_data(tmp_path / "postgres" / "data")


def test_a_reload_reads_the_table_once_more_behind_a_fence_while_changes_flow(database, replication, fold, wait):
    generate.create_schema(database.dsn)
    generate.load_generated(database.dsn, 3_000)
    replication.start(*DM_CORE)
    replication.settle()
    enough = threading.Event()
    writer = threading.Thread(target=write_until, args=(enough, database.dsn))
    writer.start()

    wait(lambda: replication.counted(*CHANGES) > 200, "changes before the reload")
    ask_reload(database.dsn, replication.slot, ["dm_core.review"])
    wait(lambda: len(replication.control("review")) == 4, "second fence")
    enough.set()
    writer.join()
    replication.settle()

    messages = replication.messages()
    assert [m["metadata"]["operation"] for m in messages if is_control(m, "review")] == ["drop-table", "create-table"] * 2
    assert len([m for m in messages if is_control(m, "beer")]) == 2
    assert len([m for m in messages if m["metadata"]["operation"] == "load" and m["metadata"]["table-name"] == "review"]) > 5_000
    assert_stream_folds_to_source(database, messages, fold)


def test_a_table_added_to_the_task_is_loaded_and_the_others_are_not(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (id int PRIMARY KEY)")
    database.run("INSERT INTO one VALUES (1); INSERT INTO two VALUES (2)")
    replication.start("public.one")
    replication.settle()
    assert replication.stop() == 0

    replication.start("public.one", "public.two")
    replication.settle()
    database.run("INSERT INTO two VALUES (3)")
    replication.settle()

    assert [m["data"] for m in replication.data("one")] == [{"id": 1}]
    assert [(m["metadata"]["operation"], m["data"]["id"]) for m in replication.data("two")] == [("load", 2), ("insert", 3)]


def test_a_replicator_that_was_stopped_goes_on_without_a_duplicate(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY)")
    replication.start("public.one")
    replication.settle()
    database.run("INSERT INTO one SELECT generate_series(1, 500)")
    replication.settle()
    assert replication.stop() == 0
    database.run("INSERT INTO one SELECT generate_series(501, 900)")

    replication.start()
    replication.settle()

    assert sorted(m["data"]["id"] for m in replication.data("one")) == list(range(1, 901))


def test_a_lost_slot_means_a_new_load_behind_a_new_fence(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1)")
    replication.start("public.one")
    replication.settle()
    replication.stop()
    database.run("SELECT pg_drop_replication_slot(%s)", replication.slot)

    replication.start()
    replication.settle()

    assert [m["metadata"]["operation"] for m in replication.control("one")] == ["drop-table", "create-table"] * 2
    assert len(replication.data("one", "load")) == 2


def test_a_second_replicator_on_the_same_slot_sends_nothing(database, replication, wait):
    database.run("CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1)")
    replication.start("public.one")
    replication.settle()
    first = replication.process

    replication.start()
    database.run("INSERT INTO one VALUES (2)")
    time.sleep(1.5)

    assert first.poll() is None
    assert sorted(m["data"]["id"] for m in replication.data("one")) == [1, 2]
    replication.stop()
    replication.process = first


def test_table_statistics_tell_dms_s_numbers_and_survive_a_restart(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY, name text); INSERT INTO one SELECT n, 'x' FROM generate_series(1, 30) n")
    replication.start("public.one")
    replication.settle()
    database.run("INSERT INTO one VALUES (31, 'y'), (32, 'z'); UPDATE one SET name = 'w' WHERE id <= 3; DELETE FROM one WHERE id = 4")
    replication.settle()
    replication.stop()
    replication.start()
    dms = replication.dms

    answer = dms.describe_table_statistics(
        ReplicationTaskArn="arn:aws:dms:us-east-1:000000000000:task:t", Filters=[{"Name": "table-name", "Values": ["one"]}]
    )
    serverless = dms.describe_replication_table_statistics(ReplicationConfigArn="arn:aws:dms:us-east-1:000000000000:replication-config:c")

    (table,) = answer["TableStatistics"]
    assert {
        name: table[name] for name in ("SchemaName", "TableName", "Inserts", "Updates", "Deletes", "Ddls", "FullLoadRows", "TableState")
    } == {
        "SchemaName": "public",
        "TableName": "one",
        "Inserts": 2,
        "Updates": 3,
        "Deletes": 1,
        "Ddls": 0,
        "FullLoadRows": 30,
        "TableState": "Table completed",
    }
    fence = replication.control("one")[0]["metadata"]["timestamp"]
    assert table["FullLoadStartTime"].isoformat() <= fence.replace("Z", "+00:00") < table["FullLoadEndTime"].isoformat()
    assert table["LastUpdateTime"] >= table["FullLoadEndTime"]
    assert serverless["ReplicationTableStatistics"] == [table]


def test_dms_s_own_call_reloads_a_table(database, replication, wait):
    database.run("CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1)")
    replication.start("public.one")
    replication.settle()

    replication.dms.reload_tables(
        ReplicationTaskArn="arn:aws:dms:us-east-1:000000000000:task:t", TablesToReload=[{"SchemaName": "public", "TableName": "one"}]
    )
    replication.settle()

    assert len(replication.data("one", "load")) == 2


def test_a_row_too_large_for_kinesis_is_named_and_holds_nothing_up(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY, body text); INSERT INTO one VALUES (1, repeat('x', 1100000)), (2, 'small')")

    replication.start("public.one")
    replication.settle()

    assert sorted((m["data"]["id"], m["data"].get("body")) for m in replication.data("one")) == [(1, None), (2, "small")]
    ((key, column, error, row_sent),) = database.run("SELECT row_key, column_name, error, row_sent FROM awsdms.apply_exceptions")
    assert (key, column, row_sent) == ("id=1", "body", True)
    assert "1048576" in error


def test_a_dropped_table_is_announced_and_the_others_go_on_even_after_a_restart(database, replication, wait):
    database.run("CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (id int PRIMARY KEY); INSERT INTO one VALUES (1)")
    replication.start("public.one", "public.two")
    replication.settle()
    database.run("DROP TABLE one")
    wait(lambda: len(replication.control("one")) == 3, "announcement")
    replication.stop()

    replication.start()
    database.run("INSERT INTO two VALUES (2)")
    wait(lambda: replication.data("two"), "the other table's row")

    assert [m["metadata"]["operation"] for m in replication.control("one")] == ["drop-table", "create-table", "drop-table"]
    assert replication.process.poll() is None


def test_a_table_that_is_made_again_is_loaded_again(database, replication, wait):
    database.run("CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1); CREATE TABLE two (id int PRIMARY KEY)")
    replication.start("public.one", "public.two")
    replication.settle()
    database.run("DROP TABLE one")
    wait(lambda: len(replication.control("one")) == 3, "announcement")

    database.run("CREATE TABLE one (id int PRIMARY KEY, n text); INSERT INTO one VALUES (7, 'new')")
    wait(lambda: len(replication.data("one", "load")) == 2, "second load")
    database.run("INSERT INTO one VALUES (8, 'newer')")
    replication.settle()

    assert [m["data"] for m in replication.data("one", "insert")] == [{"id": 8, "n": "newer"}]


def test_a_reload_of_a_table_that_is_not_replicated_is_answered_with_the_reason(database, replication, wait):
    database.run("CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (id int PRIMARY KEY)")
    replication.start("public.one")
    replication.settle()

    ask_reload(database.dsn, replication.slot, ["public.two"])
    ((error,),) = wait(lambda: database.run("SELECT error FROM awsdms.task_command WHERE done_at IS NOT NULL"), "answer")

    assert error == 'table "public.two" is not replicated; one of public.one'
