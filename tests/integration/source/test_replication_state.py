"""While replication waits, its state says for what; once it streams, it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from datamaster.laptop.replication_state import ReplicationState, replication_state
from tests.waiting import eventually

pytestmark = pytest.mark.integration


def when(condition: Callable[[ReplicationState], bool], database: Any, replication: Any) -> ReplicationState:
    """The state of the replication, once it is so."""
    states: list[ReplicationState] = []

    def reached() -> bool:
        states.append(replication_state(database.dsn, replication.slot))
        return condition(states[-1])

    eventually(reached, "a state of the replication")
    return states[-1]


def test_an_open_transaction_that_holds_up_the_start_is_named(database, replication):
    database.run("CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1)")
    with psycopg2.connect(database.dsn, application_name="shop") as idle:
        with idle.cursor() as cursor:
            cursor.execute("INSERT INTO one VALUES (2)")
        replication.start("public.one")

        state = when(lambda state: bool(state.waits_for), database, replication)
        assert [session.pid for session in state.waits_for] == [idle.info.backend_pid]
        assert (
            f'it waits for process {idle.info.backend_pid} of the source, user "postgres" (shop), idle in transaction since' in state.text
        )
        assert not state.streams
    idle.close()

    state = when(lambda state: state.streams, database, replication)
    assert state.waits_for == ()
    assert [(load.name, load.rows, load.ended) for load in state.loads] == [("public.one", 2, True)]
    assert "kB of the source's log" in state.text


def test_a_database_that_was_never_replicated_has_no_phase(database):
    state = replication_state(database.dsn, "none")
    assert (state.phase, state.streams, state.loads, state.lag_bytes) == (None, False, (), None)
