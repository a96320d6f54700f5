"""A key's value always travels, and no row's value, encoding or size stops another row."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration

KEY_TYPES = {
    "words text": ("slug", "other"),
    "loose citext": ("Ada", "Bo"),
    "raw bytea": (r"\x00ff", r"\xaa"),
    "doc jsonb": ('{"a": 1}', '{"a": 2}'),
    "numbers int[]": ("{1,2}", "{3}"),
    "named label": ("x", "y"),
    "who uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"),
    "exact numeric": ("0.0000001", "0.0000002"),
    "object oid": ("4294967295", "1"),
    "day date": ("2024-02-29", "2024-03-01"),
    "mood mood": ("merry", "glum"),
}


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_the_key_travels_in_deletes_and_key_changes_whatever_its_type(database, replication, identity):
    database.run("CREATE EXTENSION citext; CREATE DOMAIN label AS text; CREATE TYPE mood AS ENUM ('merry', 'glum')")
    tables = {column.split()[0]: (column.split()[1], values) for column, values in KEY_TYPES.items()}
    for name, (kind, values) in tables.items():
        database.run(f"CREATE TABLE of_{name} (id {kind} PRIMARY KEY, n int); ALTER TABLE of_{name} REPLICA IDENTITY {identity}")
        database.run(f"INSERT INTO of_{name} VALUES (%s, 1)", values[0])
    replication.start(*(f"public.of_{name}" for name in tables))
    replication.settle()

    for name, (_, values) in tables.items():
        database.run(f"UPDATE of_{name} SET id = %s", values[1])
        database.run(f"DELETE FROM of_{name}")
    replication.settle()

    messages = replication.messages()
    for name in tables:
        (loaded, moved, deleted) = sorted(
            (m for m in messages if m["metadata"]["table-name"] == f"of_{name}" and "data" in m),
            key=lambda m: m["metadata"].get("stream-position", ""),
        )
        assert moved["before-image"] == {"id": loaded["data"]["id"]}, name
        assert deleted["data"]["id"] == moved["data"]["id"] not in (None, loaded["data"]["id"]), name
        assert (deleted["data"]["n"] is None) == (identity == "DEFAULT"), name


def test_a_key_stored_out_of_line_travels_in_an_update_that_does_not_change_it(database, replication):
    database.run("CREATE TABLE long (id text PRIMARY KEY, n int); ALTER TABLE long ALTER id SET STORAGE EXTERNAL")
    database.run("INSERT INTO long SELECT string_agg(md5(n::text), ''), 1 FROM generate_series(1, 80) n")
    replication.start("public.long")
    replication.settle()
    database.run("UPDATE long SET n = 2")
    replication.settle()

    (loaded,), (updated,) = replication.data("long", "load"), replication.data("long", "update")
    assert updated["data"] == loaded["data"] | {"n": 2}
    assert (updated["key"], updated["before-image"]) == (loaded["key"], {})


def test_a_row_goes_without_the_largest_values_that_keep_it_from_the_stream(database, replication):
    database.run("CREATE TABLE doc (id int PRIMARY KEY, title varchar(50), body text, note text, data bytea)")
    database.run("INSERT INTO doc VALUES (1, 'loaded', repeat('x', 1100000), 'note', repeat('y', 600000)::bytea)")
    replication.start("public.doc")
    replication.settle()
    database.run("INSERT INTO doc VALUES (2, 'new', repeat('x', 1100000), 'note', 'small')")
    database.run("UPDATE doc SET body = repeat('z', 1200000), title = 'changed' WHERE id = 1")
    database.run("UPDATE doc SET title = 'again' WHERE id = 1; DELETE FROM doc WHERE id = 1")
    replication.settle()

    sent = {m["data"]["title"]: (set(m["data"]), m["metadata"].get("left-out-columns")) for m in replication.data("doc")}
    assert sent["loaded"] == ({"id", "title", "note"}, ["data", "body"])
    assert sent["new"] == ({"id", "title", "note", "data"}, ["body"])
    assert sent["changed"][1] == ["body"]
    assert (sent["again"][0] - {"data"}, sent["again"][1]) == ({"id", "title", "note"}, None)
    assert sent[None] == ({"id", "title", "body", "note", "data"}, None)
    assert replication.counted("FullLoadRows") == 1
    assert database.run("SELECT DISTINCT row_key, column_name, row_sent FROM awsdms.apply_exceptions ORDER BY 1, 2") == [
        ("id=1", "body", True),
        ("id=1", "data", True),
        ("id=2", "body", True),
    ]


def exceptions(database):
    return database.run("SELECT table_name, row_key, column_name, error FROM awsdms.apply_exceptions ORDER BY row_key")


@pytest.mark.parametrize("encoding", ["SQL_ASCII"])
def test_bytes_that_are_no_text_are_named_and_every_other_row_arrives(database, replication):
    database.run("CREATE TABLE c (id int PRIMARY KEY, v varchar(20)); CREATE TABLE o (id int PRIMARY KEY)")
    database.run(r"INSERT INTO c VALUES (1, 'plain'), (2, E'caf\xe9')")
    replication.start("public.c", "public.o")
    replication.settle()
    database.run(r"INSERT INTO c VALUES (3, E'\xfc'), (4, E'caf\xc3\xa9'); INSERT INTO o VALUES (1)")
    replication.settle()

    assert sorted((m["data"]["id"], m["data"]["v"]) for m in replication.data("c")) == [(1, "plain"), (4, "café")]
    assert [m["data"] for m in replication.data("o")] == [{"id": 1}]
    assert exceptions(database) == [
        ("c", "id=2", "v", "bytes that are no UTF-8: 0xe9"),
        ("c", "id=3", "v", "bytes that are no UTF-8: 0xfc"),
    ]
    assert (replication.counted("FullLoadRows"), replication.counted("FullLoadErrorRows")) == (1, 1)


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP"])
def test_the_values_of_another_encoding_are_the_same_in_the_load_and_in_a_change(database, replication, encoding):
    word = {"LATIN1": "Übung", "EUC_JP": "東京"}[encoding]
    database.run(f"SET client_encoding = 'UTF8'; CREATE TABLE c (id text PRIMARY KEY, v text); INSERT INTO c VALUES ('{word}', '{word}')")
    replication.start("public.c")
    replication.settle()
    database.run("UPDATE c SET v = v || v")
    replication.settle()

    (loaded,), (updated,) = replication.data("c", "load"), replication.data("c", "update")
    assert (loaded["data"], updated["data"]) == ({"id": word, "v": word}, {"id": word, "v": word * 2})


@pytest.mark.parametrize("encoding", ["EUC_JP"])
def test_a_text_with_a_character_without_an_equivalent_in_utf_8_is_left_out_of_its_row(database, replication):
    database.run(r"CREATE TABLE c (id int PRIMARY KEY, v text); INSERT INTO c VALUES (1, E'\xc5\xec'), (2, E'\xa9\xa1')")
    replication.start("public.c")
    replication.settle()
    database.run(r"INSERT INTO c VALUES (3, E'\xa9\xa1'), (4, E'\xb5\xfe')")
    replication.settle()

    sent = sorted((m["data"]["id"], m["data"].get("v"), m["metadata"].get("left-out-columns")) for m in replication.data("c"))
    assert sent == [(1, "東", None), (2, None, ["v"]), (3, None, ["v"]), (4, "京", None)]
    assert [row[:3] for row in exceptions(database)] == [("c", "id=2", "v"), ("c", "id=3", "v")]


def test_a_table_that_cannot_be_read_is_named_and_the_others_go_on(database, replication):
    database.run("CREATE TABLE loose (n int); CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1)")
    replication.start("public.loose", "public.gone", "public.one")
    replication.settle()
    database.run("INSERT INTO one VALUES (2); INSERT INTO loose VALUES (1); UPDATE loose SET n = 2")
    replication.settle()

    assert sorted(m["data"]["id"] for m in replication.data("one")) == [1, 2]
    assert replication.data("loose") == []
    assert 'table "public.loose": cannot be replicated: has no primary key; add one' in replication.log.read_text()
    assert dict(database.run("SELECT table_name, table_state FROM awsdms.table_statistics")) == {
        "loose": "Table error",
        "gone": "Table does not exist",
        "one": "Table completed",
    }


def test_a_relation_that_nobody_asked_for_is_passed_over_and_not_waited_for(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
    database.run("CREATE TABLE part (id int, day date, v int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)")
    database.run("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')")
    database.run("INSERT INTO part VALUES (1, '2024-01-05', 1)")
    replication.start("public.one", "public.part")
    replication.settle()
    database.run("ALTER PUBLICATION dm_replicator ADD TABLE other; INSERT INTO other VALUES (1); INSERT INTO one VALUES (1)")
    database.run("UPDATE part SET v = 2")
    replication.settle()

    assert replication.data("other") == []
    assert [m["data"]["v"] for m in replication.data("part", "update")] == [2]
    assert database.run("SELECT table_name FROM awsdms.table_statistics ORDER BY 1") == [("one",), ("part",)]
