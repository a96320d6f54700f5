"""What a newcomer types, as processes: beside taken ports, in an empty directory, with an empty home."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg2
import pytest

from datamaster.cli.session import connect
from datamaster.laptop import postgres, state
from datamaster.platform import actions
from lake.contract.store import POINTER_TTL_SECONDS
from tests.e2e.newcomer import Newcomer
from tests.processes import alive, descendants
from tests.waiting import eventually

REVIEWS = 12_000
NAN_ALLOWED = "physicalType: double precision\n    customProperties: [{property: allowNaN, value: true}]"


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory, taken_ports: None) -> Iterator[Newcomer]:
    """A newcomer whose platform is up and whose first rows are in silver and gold."""
    newcomer = Newcomer(tmp_path_factory.mktemp("newcomer"))
    newcomer.succeeds("up")
    try:
        newcomer.succeeds("seed", "--reviews", str(REVIEWS))
        until_in_bronze(newcomer)
        assert "5 tables settled" in newcomer.types("run", "silver").stderr
        newcomer.succeeds("run", "gold")
        yield newcomer
    finally:
        newcomer.types("down")


def until_in_bronze(newcomer: Newcomer) -> None:
    """Wait as the demo does: until all that was committed is in bronze. A user looks at dm status, and goes on."""
    with patch.dict(os.environ):
        statuses = actions.convert_all(connect(newcomer.home), lambda _text: None)
    assert not statuses["failed"]


@pytest.mark.parametrize("words", [("up",), ("demo", "--reviews", "1000")])
def test_a_second_platform_beside_a_running_one_is_refused_and_the_first_goes_on(newcomer: Newcomer, words: tuple[str, ...]) -> None:
    owner = state.owner_of(newcomer.home)
    second = newcomer.types(*words)
    assert second.returncode == 3
    assert "a platform runs in" in second.stderr
    assert "dm down" in second.stderr
    assert state.owner_of(newcomer.home) == owner
    assert state.owner_of(newcomer.home) is not None


def test_status_shows_processes_and_backlog(newcomer: Newcomer) -> None:
    shown = newcomer.succeeds("status")
    assert all(word in shown for word in ("replicator", "delivery", "emulator", "silver", "logs"))
    assert json.loads(newcomer.succeeds("status", "--json"))["healthy"] is True


def test_query_answers_as_table_csv_and_json(newcomer: Newcomer) -> None:
    sql = "SELECT state, sum(review_count) AS reviews FROM state_by_review_volume GROUP BY state ORDER BY reviews DESC, state"
    assert "reviews" in newcomer.succeeds("query", sql)
    rows = list(csv.DictReader(io.StringIO(newcomer.succeeds("query", sql, "--format", "csv"))))
    objects = json.loads(newcomer.succeeds("query", sql, "-f", "json"))
    assert [int(row["reviews"]) for row in rows] == [row["reviews"] for row in objects]
    assert sum(row["reviews"] for row in objects) == REVIEWS


@pytest.mark.parametrize(
    "sql", ["SELECT nothing FROM top_drinkers", "DROP TABLE dm_silver.review", "SELEC 1", "SELECT * FROM nowhere.at_all"]
)
def test_a_refused_statement_exits_1_and_says_why(newcomer: Newcomer, sql: str) -> None:
    refused = newcomer.types("query", sql)
    assert refused.returncode == 1
    assert len(refused.stderr.strip()) > len("dm: ")
    assert "Traceback" not in refused.stderr


def test_files_are_listed_shown_and_swept(newcomer: Newcomer) -> None:
    assert "review" in newcomer.succeeds("files", "ls", "--table", "review")
    [newest, *_] = json.loads(newcomer.succeeds("files", "ls", "--limit", "1", "--json"))
    assert newest["object_key"] in newcomer.succeeds("files", "show", newest["file_id"])
    assert "registered" in newcomer.succeeds("files", "sweep")


def test_changes_and_an_export_reach_silver_and_verify_finds_no_difference(newcomer: Newcomer) -> None:
    newcomer.succeeds("churn", "--changes", "200")
    newcomer.succeeds("export", "brewery", "--whole")
    until_in_bronze(newcomer)
    newcomer.succeeds("run", "silver")
    newcomer.succeeds("run", "gold")
    verified = json.loads(newcomer.succeeds("verify", "--json"))
    assert verified["differences"] == 0
    assert len(verified["tables"]) == 11


def test_down_leaves_no_process_and_commands_then_say_how_to_start(newcomer: Newcomer) -> None:
    """The last test of this platform."""
    owner = state.owner_of(newcomer.home)
    assert owner is not None
    running = descendants(owner)
    newcomer.succeeds("down")
    assert alive(running) == []
    after = newcomer.types("query", "SELECT 1")
    assert after.returncode == 3
    assert "dm up" in after.stderr
    newcomer.succeeds("down")


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (("up",), "emulator"),
        (("demo", "--reviews", "5000"), "replicator"),
    ],
    ids=["up, while it starts", "demo, while rows flow"],
)
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path, words: tuple[str, ...], seen: str) -> None:
    newcomer = Newcomer(tmp_path)
    process = newcomer.begins(*words)
    try:
        eventually(lambda: seen in state.processes(newcomer.home), f"a process {seen}")
        started = descendants(process.pid)
        assert len(started) > 3
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        eventually(lambda: not alive(started), f"the end of {alive(started)}", seconds=15)
        assert state.owner_of(newcomer.home) is None
        assert "Traceback" not in (tmp_path / "screen.txt").read_text()
    finally:
        process.kill()
        newcomer.types("down")


def execute(dsn: str, *statements: str) -> None:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def fetch(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def more_tables_come_and_go(newcomer: Newcomer, dsn: str) -> None:
    """A table is added and loaded alone, its refused row is shown as trouble until its contract allows it, and it is dropped again."""
    loaded = fetch(dsn, "SELECT load_started FROM awsdms.table_statistics WHERE table_name = 'item'")
    newcomer.succeeds("tables", "add", "shop.later")
    assert fetch(dsn, "SELECT load_started FROM awsdms.table_statistics WHERE table_name = 'item'") == loaded
    execute(dsn, "INSERT INTO shop.later VALUES (21, 'NaN')")
    newcomer.succeeds("run", "silver")

    status = newcomer.types("status", "--json")
    (trouble,) = json.loads(status.stdout)["troubles"]
    assert (status.returncode, trouble["subject"], trouble["count"]) == (1, "shop.later", 1)
    assert trouble["look"] == "dm errors show --table shop.later"
    assert json.loads(newcomer.succeeds(*trouble["look"].split()[1:], "--json"))[0]["row"] == {"id": 21, "ratio": "NaN"}
    assert newcomer.types("verify").returncode == 1

    contract = newcomer.home / "contracts" / "later.yaml"
    contract.write_text(contract.read_text().replace("physicalType: double precision", NAN_ALLOWED))
    differs = newcomer.types("contract", "diff")
    assert (differs.returncode, "NaN and infinity are allowed" in differs.stdout) == (1, True)
    assert "is in force" in newcomer.succeeds("contract", "publish")
    time.sleep(POINTER_TTL_SECONDS)
    newcomer.succeeds("reload", "later")
    newcomer.succeeds("run", "silver")
    newcomer.succeeds("verify")
    newcomer.succeeds("status")

    newcomer.succeeds("tables", "drop", "later")
    assert [table["table"] for table in json.loads(newcomer.succeeds("tables", "ls", "--json"))] == ["shop.item"]
    assert not contract.exists()


def test_an_own_database_is_checked_carried_and_left_as_it_was(tmp_path: Path) -> None:
    newcomer = Newcomer(tmp_path)
    data = tmp_path / "own"
    with postgres.start(data) as server:
        execute(
            server.dsn,
            "CREATE SCHEMA shop",
            "CREATE TABLE shop.item (item_id integer PRIMARY KEY, price numeric(8,2))",
            "CREATE TABLE shop.without_key (item_id integer)",
            "INSERT INTO shop.item SELECT n, n * 1.5 FROM generate_series(1, 500) n",
            "CREATE TABLE shop.later (id integer PRIMARY KEY, ratio double precision)",
            "INSERT INTO shop.later SELECT n, n FROM generate_series(1, 20) n",
            "ALTER SYSTEM SET wal_level = 'replica'",
        )
    with postgres.start(data) as server:
        refused = newcomer.types("up", "--source", server.dsn, "--table", "shop.item", "--table", "shop.without_key")
        assert refused.returncode == 1
        told = " ".join(refused.stdout.split())
        assert all(words in told for words in ("wal_level", "ALTER SYSTEM SET wal_level", "shop.without_key", "ADD PRIMARY KEY"))
        assert state.owner_of(newcomer.home) is None
        execute(server.dsn, "ALTER SYSTEM SET wal_level = 'logical'")
    with postgres.start(data) as server:
        try:
            left_out = newcomer.types("up", "--source", server.dsn, "--table", "shop.item", "--table", "shop.without_key")
            assert (left_out.returncode, "ADD PRIMARY KEY" in left_out.stdout) == (1, True)
            assert "Nothing needs you." in newcomer.succeeds("status")
            execute(server.dsn, "UPDATE shop.item SET price = 0.01 WHERE item_id = 7", "DELETE FROM shop.item WHERE item_id = 8")
            until_in_bronze(newcomer)
            newcomer.succeeds("run", "silver")
            sql = "SELECT count(*) AS n, min(price) AS low FROM item WHERE deleted_at IS NULL"
            assert json.loads(newcomer.succeeds("query", sql, "--database", "dm_silver", "-f", "json")) == [{"n": 499, "low": "0.01"}]
            assert fetch(server.dsn, "SELECT count(*) FROM pg_replication_slots") == [(1,)]
            more_tables_come_and_go(newcomer, server.dsn)
        finally:
            newcomer.succeeds("down", "--forget")
        assert fetch(server.dsn, "SELECT count(*) FROM pg_replication_slots") == [(0,)]
        assert fetch(server.dsn, "SELECT count(*) FROM pg_publication") == [(0,)]
        assert fetch(server.dsn, "SELECT nspname FROM pg_namespace WHERE nspname = 'awsdms'") == []
        assert fetch(server.dsn, "SELECT count(*) FROM shop.item") == [(499,)]
