"""A user's own database: what is missing and how to give it, tried by giving exactly that."""

from __future__ import annotations

from types import SimpleNamespace

import psycopg2
import pytest

from datamaster.laptop import postgres
from datamaster.source.connection import SourceUnreachable
from datamaster.source.preflight import SlotInUse, check, forget, server_findings

pytestmark = pytest.mark.integration


def findings(dsn, *tables):
    return [f for f in check(dsn, tables, "dm_replicator", "dm_replicator") if f.blocking]


@pytest.fixture
def guest(database):
    """A user without any right; its DSN."""
    database.run("CREATE ROLE guest LOGIN")
    yield database.dsn.replace("postgres@", "guest@")
    database.run("DROP OWNED BY guest")
    for (owned,) in database.run(
        "SELECT rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE m.member = 'guest'::regrole"
    ):
        database.run(f"REVOKE {owned} FROM guest")
    database.run("DROP ROLE guest")


def test_a_database_with_everything_has_no_findings(database):
    database.run("CREATE TABLE one (id int PRIMARY KEY)")

    assert findings(database.dsn, "public.one") == []


def test_every_remedy_for_a_guest_cures_what_was_found(database, guest, replicate):
    database.run('CREATE SCHEMA own; CREATE TABLE own."Odd one" (id int PRIMARY KEY); INSERT INTO own."Odd one" VALUES (1)')
    found = findings(guest, "own.Odd one")

    assert {f.subject for f in found} == {"right to replicate", "right to create", "table own.Odd one"}
    assert len(found) == 5
    for finding in found:
        database.run(finding.remedy)
    assert findings(guest, "own.Odd one") == []
    replication = replicate(guest)
    replication.start("own.Odd one")
    replication.settle()
    assert [m["data"] for m in replication.data("Odd one")] == [{"id": 1}]
    replication.stop()
    forget(database.dsn, replication.slot, "dm_replicator")


@pytest.mark.parametrize(
    ("definition", "problem", "remedy"),
    [
        ("(id int)", "no primary key", "ADD PRIMARY KEY"),
        (
            "(id int PRIMARY KEY); ALTER TABLE one REPLICA IDENTITY NOTHING",
            "replica identity",
            'ALTER TABLE "public"."one" REPLICA IDENTITY DEFAULT;',
        ),
    ],
)
def test_a_table_that_cannot_be_replicated_is_named_with_its_cure(database, definition, problem, remedy):
    database.run(f"CREATE TABLE one {definition}")

    (finding,) = findings(database.dsn, "public.one")

    assert finding.subject == "table public.one"
    assert problem in finding.problem
    assert remedy in finding.remedy


def test_an_unlogged_table_and_a_view_and_a_missing_one_are_named(database):
    database.run("CREATE UNLOGGED TABLE quick (id int PRIMARY KEY); CREATE VIEW seen AS SELECT 1 AS id")

    quick, seen, missing = findings(database.dsn, "public.quick", "public.seen", "public.gone")

    assert "unlogged" in quick.problem
    assert "no such table" in seen.problem
    assert "no such table" in missing.problem


def test_row_level_security_that_hides_rows_is_found(database, guest):
    database.run("CREATE TABLE one (id int PRIMARY KEY); ALTER TABLE one ENABLE ROW LEVEL SECURITY; GRANT SELECT ON one TO guest")

    assert any("row-level security" in f.problem for f in findings(guest, "public.one"))


def test_settings_of_the_server_are_found_with_the_statement_that_cures_them(tmp_path):
    server = postgres.start(tmp_path / "postgres" / "data")
    try:
        connection = psycopg2.connect(server.dsn)
        connection.autocommit = True
        for setting in ("wal_level = 'replica'", "max_replication_slots = 0", "max_wal_senders = 0", "max_slot_wal_keep_size = -1"):
            connection.cursor().execute(f"ALTER SYSTEM SET {setting}")
        connection.close()
        server.stop()
        server = postgres.start(tmp_path / "postgres" / "data")

        found = check(server.dsn, [], "dm_replicator", "dm_replicator")

        assert [f.subject for f in found] == ["wal_level", "max_replication_slots", "max_wal_senders", "max_slot_wal_keep_size"]
        assert [f.blocking for f in found] == [True, True, True, False]
        assert found[0].remedy.startswith("ALTER SYSTEM SET wal_level = 'logical';")
    finally:
        server.stop()
        postgres.forget_data(tmp_path / "postgres" / "data")


def test_a_database_that_does_not_answer_is_an_error_that_says_so():
    with pytest.raises(SourceUnreachable, match=r"source postgresql:.*Connection refused; is PostgreSQL running"):
        check("postgresql://nobody@127.0.0.1:1/none", [], "s", "p")


def test_forget_leaves_nothing_behind(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY)")
    replication.start("public.one")
    replication.settle()

    with pytest.raises(SlotInUse, match="stop the replicator first"):
        forget(database.dsn, replication.slot, "dm_replicator")
    replication.stop()
    removed = forget(database.dsn, replication.slot, "dm_replicator")

    assert removed == [f"replication slot {replication.slot}", "publication dm_replicator", "schema awsdms"]
    assert database.run("SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", replication.slot) == [(0,)]
    assert database.run("SELECT count(*) FROM pg_publication") == [(0,)]
    assert database.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'awsdms'") == [(0,)]
    assert forget(database.dsn, replication.slot, "dm_replicator") == []


def test_forget_keeps_what_others_put_into_the_schema(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY)")
    replication.start("public.one")
    replication.settle()
    replication.stop()
    database.run("CREATE TABLE awsdms.theirs (id int)")

    forget(database.dsn, replication.slot, "dm_replicator")

    assert database.run("SELECT relname FROM pg_class WHERE relnamespace = 'awsdms'::regnamespace") == [("theirs",)]


def test_a_replica_is_named_and_nothing_else_is_asked_of_it(tmp_path):
    data = tmp_path / "postgres" / "data"
    with postgres.start(data) as server:
        (server.data_dir / "standby.signal").touch()
    try:
        with postgres.start(data) as server:
            (found,) = check(server.dsn, ["public.one"], "dm_replicator", "dm_replicator")
    finally:
        postgres.forget_data(data)

    assert (found.problem, found.remedy) == ("a replica (standby), which takes no publication", "give the primary's address")


def test_a_server_that_is_too_old_is_named_and_nothing_else_is_asked_of_it(database):
    """No such server runs here: a cursor of a new one says that it is of 9.6."""
    with psycopg2.connect(database.dsn) as connection, connection.cursor() as cursor:
        (found,) = server_findings(database.dsn, OfVersion(cursor, 90_624), "dm_replicator")
    connection.close()
    assert (found.problem, found.remedy) == ("PostgreSQL 9.6", "upgrade to PostgreSQL 13 or newer")


def test_a_slot_that_someone_reads_is_named_with_the_process(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY)")
    replication.start("public.one")
    replication.settle()

    found = [f for f in check(database.dsn, ["public.one"], replication.slot, "dm_replicator") if f.subject == "replication slot"]
    assert len(found) == 1
    assert f'slot "{replication.slot}" is read by process ' in found[0].problem
    assert "SELECT pg_terminate_backend(" in found[0].remedy
    replication.stop()


class OfVersion:
    """A cursor whose connection says another version of the server."""

    def __init__(self, cursor, version):
        self._cursor, self.connection = cursor, SimpleNamespace(server_version=version)

    def __getattr__(self, name):
        return getattr(self._cursor, name)
