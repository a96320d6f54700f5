"""While replication waits, its state says for what; once it streams, it says so."""

from __future__ import annotations

import psycopg2
import pytest

from datamaster.laptop.replication_state import replication_state

from .conftest import eventually

pytestmark = pytest.mark.integration


def test_an_open_transaction_that_holds_up_the_start_is_named(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1)")
    with psycopg2.connect(database.dsn, application_name="shop") as idle:
        with idle.cursor() as cursor:
            cursor.execute("INSERT INTO one VALUES (2)")
        replication.start("public.one")

        state = eventually(lambda: (s := replication_state(database.dsn, replication.slot)).waits_for and s, "waits")
        assert [session.pid for session in state.waits_for] == [idle.info.backend_pid]
        assert (
            f'it waits for process {idle.info.backend_pid} of the source, user "postgres" (shop), idle in transaction since' in state.text
        )
        assert not state.streams
    idle.close()

    state = eventually(lambda: (s := replication_state(database.dsn, replication.slot)).streams and s, "streams")
    assert state.waits_for == ()
    assert [(load.name, load.rows, load.ended) for load in state.loads] == [("public.one", 2, True)]
    assert "kB of the source's log" in state.text


def test_a_database_that_was_never_replicated_has_no_phase(database):
    state = replication_state(database.dsn, "none")
    assert (state.phase, state.streams, state.loads, state.lag_bytes) == (None, False, (), None)
