"""What messages say of values, keys, out-of-line columns and definitions, from a real PostgreSQL."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration

EVERY_TYPE = {
    "small smallint": ("-3", -3),
    "whole integer": ("2147483647", 2147483647),
    "big bigint": ("9223372036854775807", 9223372036854775807),
    "single real": ("0.1", 0.1),
    "twice double precision": ("1e-7", 1e-07),
    "nan double precision": ("NaN", "NaN"),
    "exact numeric(12,2)": ("1234.50", 1234.5),
    "loose numeric": ("1.23456789", "1.23456789"),
    "endless numeric": ("1e-16", "0.0000000000000001"),
    "rounded numeric(5,-2)": ("12345", 12300),
    "tiny numeric(3,5)": ("0.00123", 0.00123),
    "object oid": ("4294967295", 4294967295),
    "yes boolean": ("true", "true"),
    "no boolean": ("f", "false"),
    "words text": ('a "quoted"\ttab, backslash \\ and\nline ü', 'a "quoted"\ttab, backslash \\ and\nline ü'),
    "short varchar(10)": ("", ""),
    "fixed char(3)": ("ab", "ab "),
    "who uuid": ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "doc json": ('{"a":  1}', '{"a":  1}'),
    "docb jsonb": ('{"a":  1}', '{"a": 1}'),
    "tags text[]": ('{a,"b c",NULL}', '{a,"b c",NULL}'),
    "mood mood": ("merry", "merry"),
    "gap interval": ("1 day 2:03:04", "1 day 02:03:04"),
    "day date": ("2024-02-29", "2024-02-29"),
    "clock time": ("12:34:56", "12:34:56"),
    "local timestamp": ("2024-02-29 01:02:03.5", "2024-02-29T01:02:03.500000"),
    "zoned timestamptz": ("2024-02-29 01:02:03+02", "2024-02-28T23:02:03.000000"),
    "forever timestamptz": ("infinity", "infinity"),
    "bytes bytea": (r"\xdeadBEEF", "0xDEADBEEF"),
    "nothing text": (None, None),
    "sized positive": ("7.5", 7.5),
}


def test_every_type_has_the_same_form_in_the_load_and_in_a_change(database, replication):
    database.run("CREATE TYPE mood AS ENUM ('merry', 'glum'); CREATE DOMAIN positive AS numeric(4,1) CHECK (value > 0)")
    database.run(f"CREATE TABLE everything (id int PRIMARY KEY, {', '.join(EVERY_TYPE)})")
    marks = ", ".join(["%s"] * len(EVERY_TYPE))
    values = [text for text, _ in EVERY_TYPE.values()]
    database.run(f"INSERT INTO everything VALUES (1, {marks})", *values)
    replication.start("public.everything")
    replication.settle()

    database.run(f"INSERT INTO everything VALUES (2, {marks})", *values)
    replication.settle()

    loaded, inserted = (m["data"] for m in sorted(replication.data("everything"), key=lambda m: m["data"]["id"]))
    expected = {column.split()[0]: value for column, (_, value) in EVERY_TYPE.items()}
    assert loaded == {"id": 1} | expected
    assert inserted == {"id": 2} | expected


def test_a_numeric_keeps_every_digit(database, replication):
    database.run("CREATE TABLE money (id int PRIMARY KEY, amount numeric(38,10))")
    replication.start("public.money")
    replication.settle()
    database.run("INSERT INTO money VALUES (1, 1234567890123456789012345678.0123456789)")
    replication.settle()

    texts = [record["Data"].decode() for record in replication.records() if b'"insert"' in record["Data"]]

    assert '"amount":1234567890123456789012345678.0123456789' in texts[0]


def test_a_delete_carries_the_key_and_nulls(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY, name text NOT NULL, n int); INSERT INTO one VALUES (1, 'a', 2)")
    replication.start("public.one")
    replication.settle()
    database.run("DELETE FROM one")
    replication.settle()

    assert replication.data("one", "delete")[0]["data"] == {"id": 1, "name": None, "n": None}


def test_a_key_change_carries_the_old_key_and_another_update_does_not(database, replication):
    database.run("CREATE TABLE pair (b int, a varchar(5), n int, PRIMARY KEY (a, b)); INSERT INTO pair VALUES (1, 'x', 0)")
    replication.start("public.pair")
    replication.settle()
    database.run("UPDATE pair SET n = 1")
    database.run("UPDATE pair SET a = 'y'")
    replication.settle()

    same, moved = sorted(replication.data("pair", "update"), key=lambda m: m["metadata"]["stream-position"])
    assert same["before-image"] == {}
    assert moved["before-image"] == {"a": "x", "b": 1}
    assert moved["data"] == {"a": "y", "b": 1, "n": 1}
    assert (same["key"], moved["key"]) == ("public.pair.x.1", "public.pair.y.1")
    assert replication.control("pair", "create-table")[0]["control"]["table-def"]["primary-key"] == ["a", "b"]


def test_an_update_leaves_out_a_value_that_is_stored_out_of_line_and_did_not_change(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY, n int, body text); ALTER TABLE one ALTER body SET STORAGE EXTERNAL")
    database.run("INSERT INTO one VALUES (1, 1, repeat('x', 5000))")
    replication.start("public.one")
    replication.settle()
    database.run("UPDATE one SET n = 2")
    database.run("UPDATE one SET body = 'short'")
    replication.settle()

    without, with_body = sorted(replication.data("one", "update"), key=lambda m: m["metadata"]["stream-position"])
    assert without["data"] == {"id": 1, "n": 2}
    assert with_body["data"] == {"id": 1, "n": 2, "body": "short"}


def test_replica_identity_full_adds_what_is_no_lob_to_a_delete_and_nothing_to_an_update(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY, n int, body text); ALTER TABLE one REPLICA IDENTITY FULL")
    database.run("INSERT INTO one VALUES (1, 1, 'words')")
    replication.start("public.one")
    replication.settle()
    database.run("UPDATE one SET n = 2")
    database.run("UPDATE one SET id = 5")
    database.run("DELETE FROM one")
    replication.settle()

    plain, moved = sorted(replication.data("one", "update"), key=lambda m: m["metadata"]["stream-position"])
    assert (plain["before-image"], moved["before-image"]) == ({}, {"id": 1})
    assert replication.data("one", "delete")[0]["data"] == {"id": 5, "n": 2, "body": None}


def test_changes_say_which_transaction_they_belong_to_and_which_came_before(database, replication, placed):
    database.run("CREATE TABLE one (id int PRIMARY KEY)")
    replication.start("public.one")
    replication.settle()
    database.transaction("INSERT INTO one VALUES (1)", "INSERT INTO one VALUES (2)")
    database.transaction("DELETE FROM one WHERE id = 1")
    replication.settle()

    first, second, third = (m["metadata"] for m in sorted(replication.data("one"), key=placed))
    assert (first["transaction-record-id"], second["transaction-record-id"], third["transaction-record-id"]) == (1, 2, 1)
    assert first["transaction-id"] == second["transaction-id"] != third["transaction-id"]
    assert "prev-transaction-id" not in first
    assert (third["prev-transaction-id"], third["prev-transaction-record-id"]) == (first["transaction-id"], 2)
    assert first["commit-timestamp"] == second["commit-timestamp"] <= third["commit-timestamp"] <= third["timestamp"]
    assert first["stream-position"].split(".")[0] == second["stream-position"].split(".")[0]


def test_a_definition_that_changes_is_announced_even_across_a_restart(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY, n varchar(5)); INSERT INTO one VALUES (1, 1)")
    replication.start("public.one")
    replication.settle()
    replication.stop()
    for number, alteration in enumerate(("ADD extra text", "RENAME extra TO more", "ALTER n TYPE text", "DROP more"), start=2):
        database.run(f"ALTER TABLE one {alteration}")
        database.run(f"INSERT INTO one VALUES ({number}, 1)")
    replication.start()
    replication.settle()

    announced = [m["metadata"]["operation"] for m in replication.control("one")]
    assert announced == ["drop-table", "create-table", "add-column", "rename-column", "column-type-change", "drop-column"]
    assert replication.control("one")[2]["control"]["table-def"]["columns"]["extra"] == {"nullable": True, "type": "STRING"}
    assert replication.counted("Ddls") == 4


def test_names_that_need_quotes_are_replicated(database, replication):
    database.run('CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."Odd ""name""" ("Key Col" int PRIMARY KEY, "a.b" text)')
    database.run('INSERT INTO "My Schema"."Odd ""name""" VALUES (1, \'x\')')
    replication.start('My Schema.Odd "name"')
    replication.settle()
    database.run('UPDATE "My Schema"."Odd ""name""" SET "a.b" = \'y\'')
    replication.settle()

    loaded, updated = sorted(replication.data('Odd "name"'), key=lambda m: m["metadata"]["timestamp"])
    assert (loaded["data"], updated["data"]) == ({"Key Col": 1, "a.b": "x"}, {"Key Col": 1, "a.b": "y"})
    assert updated["metadata"]["schema-name"] == "My Schema"


def test_a_table_without_a_key_ends_the_task_with_a_clear_word(database, replication):
    database.run("CREATE TABLE loose (n int)")

    replication.start("public.loose")
    code = replication.process.wait(20)

    assert code == 1
    assert 'table "public.loose" has no primary key; add one' in replication.log.read_text()
