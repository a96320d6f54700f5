"""A real PostgreSQL with a database for each test, and a replicator process between it and the emulator's Kinesis."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import orjson
import psycopg2
import pytest

from datamaster.laptop import postgres
from datamaster.laptop.emulator import Emulator
from datamaster.laptop.process import spawn, stop
from datamaster.replicator.positions import caught_up
from lake.cdc import ZERO_POSITION, Position
from tests.waiting import eventually

NUMBERS = itertools.count(1)
Message = dict[str, Any]
Row = dict[str, Any]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    data = tmp_path_factory.mktemp("postgres") / "data"
    with postgres.start(data) as running:
        yield running
    postgres.forget_data(data)


class Database:
    """A database of one test."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.connection = psycopg2.connect(dsn)
        self.connection.autocommit = True

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def transaction(self, *statements: str) -> None:
        self.run("BEGIN;" + ";".join(statements) + ";COMMIT")


@pytest.fixture
def encoding() -> str:
    """The encoding of the test's database."""
    return "UTF8"


@pytest.fixture
def database(server: postgres.Server, encoding: str) -> Iterator[Database]:
    name = f"test_{next(NUMBERS)}"
    main = psycopg2.connect(server.dsn)
    main.autocommit = True
    main.cursor().execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
    database = Database(server.dsn.rsplit("/", 1)[0] + f"/{name}")
    yield database
    database.connection.close()
    cursor = main.cursor()
    cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    cursor.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s AND NOT temporary", (name,))
    for (slot,) in cursor.fetchall():
        eventually(lambda slot=slot: _inactive(cursor, slot), "slot free")
        cursor.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    main.close()


def _inactive(cursor: Any, slot: str) -> bool:
    cursor.execute("SELECT NOT active FROM pg_replication_slots WHERE slot_name = %s", (slot,))
    return bool(cursor.fetchone()[0])


class Replication:
    """A replicator process, its stream and what is in it."""

    def __init__(self, dsn: str, environment: Mapping[str, str], folder: Path) -> None:
        self.dsn = dsn
        self.slot = f"slot_{next(NUMBERS)}"
        self.stream = f"stream-{next(NUMBERS)}"
        self.tables: tuple[str, ...] = ()
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.log = folder / "replicator.log"
        self._environment = {**os.environ, **environment}
        self.kinesis = boto3.client("kinesis")
        self.kinesis.create_stream(StreamName=self.stream, ShardCount=2)

    def start(self, *tables: str) -> None:
        self.tables = tables or self.tables
        self.starts += 1
        command = [sys.executable, "-m", "datamaster.replicator", "--dsn", self.dsn, "--stream", self.stream, "--slot", self.slot]
        self.process = spawn([*command, "--tables", ",".join(self.tables)], self._environment, self.log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        stop(self.process)
        return self.process.returncode

    def settle(self) -> None:
        """Wait until everything committed so far is in the stream."""
        eventually(lambda: caught_up(self.dsn, self.slot, tables=self.tables), f"caught up; log:\n{self.log.read_text()}")

    @property
    def dms(self) -> Any:
        def endpoints() -> list[str]:
            return [line for line in self.log.read_text().splitlines() if line.startswith("table statistics")]

        line = eventually(lambda: endpoints() if len(endpoints()) == self.starts else None, "endpoint")[-1]
        return boto3.client("dms", endpoint_url=line.split()[-1])

    def counted(self, *numbers: str) -> int:
        """The sum of some of the task's table statistics, as it counts them now."""
        tables = self.dms.describe_table_statistics(ReplicationTaskArn="arn:aws:dms:us-east-1:000000000000:task:t")["TableStatistics"]
        return sum(table[number] for table in tables for number in numbers)

    def records(self) -> list[Message]:
        """Every record of the stream as Kinesis gives it, each shard in its order, with the shard's id."""
        found: list[Message] = []
        for shard in self.kinesis.list_shards(StreamName=self.stream)["Shards"]:
            where = {"StreamName": self.stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = self.kinesis.get_shard_iterator(**where)["ShardIterator"]
            while True:
                page = self.kinesis.get_records(ShardIterator=iterator, Limit=10_000)
                found += [record | {"ShardId": shard["ShardId"]} for record in page["Records"]]
                iterator = page["NextShardIterator"]
                if not page["Records"]:
                    break
        return found

    def messages(self) -> list[Message]:
        """Every message, with the shard and the partition key of its record."""
        return [orjson.loads(record["Data"]) | {"shard": record["ShardId"], "key": record["PartitionKey"]} for record in self.records()]

    def data(self, table: str, operation: str | None = None) -> list[Message]:
        return of(self.messages(), "data", table, operation)

    def control(self, table: str, operation: str | None = None) -> list[Message]:
        return of(self.messages(), "control", table, operation)


def of(messages: list[Message], kind: str, table: str, operation: str | None = None) -> list[Message]:
    """The data or control records of a table."""
    chosen = [m for m in messages if m["metadata"]["record-type"] == kind and m["metadata"]["table-name"] == table]
    return [m for m in chosen if operation in (None, m["metadata"]["operation"])]


@pytest.fixture
def replicate(emulator: Emulator, tmp_path: Path) -> Iterator[Callable[[str], Replication]]:
    made: list[Replication] = []

    def make(dsn: str) -> Replication:
        made.append(Replication(dsn, emulator.environment, tmp_path))
        return made[-1]

    yield make
    for replication in made:
        if replication.process is not None:
            stop(replication.process)


@pytest.fixture
def replication(database: Database, replicate: Callable[[str], Replication]) -> Replication:
    return replicate(database.dsn)


def position(message: Message) -> str:
    """The place of a data record in the source's commit order; loads are lowest."""
    text = message["metadata"].get("stream-position")
    return str(Position.of_stream_position(text)) if text else ZERO_POSITION


def folded(messages: list[Message], table: str) -> dict[Any, Row]:
    """The rows that a reader ends with who obeys generation and position and nothing else, by key ``<table>_id``."""
    key = f"{table}_id"
    fences = [m["metadata"]["timestamp"] for m in of(messages, "control", table, "drop-table")]

    def place(message: Message) -> tuple[int, str]:
        return sum(at <= message["metadata"]["timestamp"] for at in fences), position(message)

    rows: dict[Any, Row] = {}
    newest: dict[Any, int] = {}
    for message in sorted(of(messages, "data", table), key=place):
        data, old = message["data"], (message.get("before-image") or {}).get(key)
        if old is not None and old != data[key]:
            rows.pop(old, None)
        if message["metadata"]["operation"] == "delete":
            rows.pop(data[key], None)
        else:
            rows[data[key]] = rows.get(data[key], {}) | data
            newest[data[key]] = place(message)[0]
    return {name: row for name, row in rows.items() if newest[name] == len(fences)}


@pytest.fixture
def fold() -> Callable[[list[Message], str], dict[Any, Row]]:
    return folded


@pytest.fixture
def placed() -> Callable[[Message], str]:
    return position


@pytest.fixture
def wait() -> Callable[[Callable[[], Any], str], Any]:
    return eventually
