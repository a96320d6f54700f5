"""The words of the job tests: changes that arrive, and the lake that they arrive in."""

from __future__ import annotations

import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException

from batches import plan, settings, settle
from batches.load_statistics import Load
from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.environments import load_environment
from datamaster.laptop.emulator import start_emulator
from datamaster.laptop.spark import job_environment, start_spark
from jobs.derived import build_job
from jobs.silver import merge_job
from jobs.upkeep import upkeep_job
from lake import cdc
from lake.contract import Contract, ContractSet
from lake.control import ControlTable, Fence, NewFile, Outcome, Refusal
from lake.keys import bronze_part, file_id, split_uri
from tests.conftest import environment_restored

ROOT = Path(__file__).resolve().parents[3]
JOBS = {"bronze_to_silver": merge_job, "review_flat": build_job, "silver_to_gold": build_job, "maintenance": upkeep_job}
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
ARROW = {
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
    "binary": pa.binary(),
}
REQUIRED = {
    "beer": {"brewery_id": 1, "beer_name": "Saison"},
    "brewery": {"brewery_name": "Dupont"},
    "profile": {"profile_name": "Ana"},
    "review": {"brewery_id": 1, "beer_id": 1, "profile_id": 1, "review_overall": 4.0},
}


def contract_head(table: str) -> str:
    """A contract of a table of the schema app, as far as its key column; a test adds columns and rules."""
    return f"""
apiVersion: v3.0.2
kind: DataContract
id: {table}
version: 1.0.0
schema:
  - name: {table}
    physicalName: app.{table}
    properties:
      - {{name: {table}_id, physicalType: bigint, primaryKey: true, required: true}}
"""


@dataclass(frozen=True)
class Change:
    """One line of a bronze file. ``built`` is in minutes after midnight, by DMS's clock; ``committed`` too, where it differs."""

    table: str
    operation: str
    position: str | None
    built: float
    columns: Mapping[str, Any]
    unchanged: tuple[str, ...] = ()
    committed: float | None = None


def place(position: float) -> str:
    """A position in the log; one decimal is the sub-number of a key change."""
    number = round(position * 10)
    return str(cdc.Position(number // 10, 1, number % 10))


def insert(table: str, position: float, built: float = 1, **columns: Any) -> Change:
    return Change(table, cdc.INSERT, place(position), built, REQUIRED.get(table, {}) | columns)


def update(table: str, position: float, built: float = 1, unchanged: tuple[str, ...] = (), **columns: Any) -> Change:
    return Change(table, cdc.UPDATE, place(position), built, REQUIRED.get(table, {}) | columns, unchanged)


def delete(table: str, position: float, built: float = 1, **key: Any) -> Change:
    return Change(table, cdc.DELETE, place(position), built, key)


def load(table: str, built: float = 1, position: str | None = cdc.ZERO_POSITION, **columns: Any) -> Change:
    return Change(table, cdc.LOAD, position, built, REQUIRED.get(table, {}) | columns)


def rekey(table: str, position: float, old: Mapping[str, Any], new: Mapping[str, Any], **rest: Any) -> tuple[Change, Change]:
    """A change of the key: the old one deleted (sub-number 0), the new one written (1)."""
    unchanged, built = rest.pop("unchanged", ()), rest.pop("built", 1)
    return delete(table, position, built, **old), update(table, position + 0.1, built, unchanged, **new, **rest)


def minute(built: float) -> datetime:
    return MIDNIGHT + timedelta(minutes=built)


def bronze_schema(contract: Contract) -> pa.Schema:
    def arrow(iceberg: str) -> pa.DataType:
        if iceberg.startswith("decimal"):
            precision, scale = iceberg.removeprefix("decimal(").removesuffix(")").split(",")
            return pa.decimal128(int(precision), int(scale))
        return ARROW[iceberg]

    stamp = ARROW["timestamptz"]
    return pa.schema(
        [
            *((c.name, arrow(c.type.iceberg)) for c in contract.columns),
            (cdc.OPERATION, pa.string()),
            (cdc.POSITION, pa.string()),
            (cdc.BUILT_AT, stamp),
            (cdc.COMMITTED_AT, stamp),
            (cdc.TRANSACTION_ID, pa.int64()),
            (cdc.UNCHANGED, pa.list_(pa.string())),
            (cdc.FENCE_KIND, pa.string()),
            ("_extra", pa.string()),
        ]
    )


@dataclass(frozen=True)
class Engine:
    """Running processes: ``environment`` leads a job's driver to them, ``names`` are those of table, buckets and contracts."""

    environment: dict[str, str]
    names: dict[str, str]


@contextmanager
def running_engine(home: Path) -> Iterator[Engine]:
    """The emulator with the stacks of data and control, and Sail on it; this process's environment is as before."""
    with start_emulator(home / "emulator") as emulator, start_spark(emulator.environment, home / "sail.log") as spark:
        environment = job_environment(emulator.environment, spark.remote)
        with environment_restored():
            os.environ.update(environment)
            outputs = launch(load_environment("local"), ["catalog", "control"])
        names = {
            "table": outputs["control"]["TableName"],
            "stage": outputs["storage"]["StageBucket"],
            "lake": outputs["storage"]["LakeBucket"],
            "contracts": f"s3://{outputs['storage']['ArtifactsBucket']}/contracts/",
        }
        yield Engine(environment, names)


def name_the_main_module(patch: pytest.MonkeyPatch) -> None:
    """A worker of xdist has a main module without a file, which pyspark would take for a run of its doctests."""
    if not hasattr(main := sys.modules["__main__"], "__file__"):
        patch.setattr(main, "__file__", __file__, raising=False)


def empty(names: Mapping[str, str]) -> None:
    """Drop every table of silver and gold, forget every file, and withdraw the contracts."""
    from jobs.iceberg.catalog import catalog

    for database in ("dm_silver", "dm_gold"):
        for name in catalog().list_tables(database):
            catalog().drop_table(name)
    bucket, key = split_uri(f"{names['contracts']}current")
    boto3.client("s3").delete_object(Bucket=bucket, Key=key)
    control = boto3.resource("dynamodb").Table(names["table"])
    with control.batch_writer() as writer:
        for item in control.scan()["Items"]:
            writer.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})


class Lake:
    """A lake of its own for each test; the emulator and the engine behind it are shared and real."""

    def __init__(self, spark: Any, names: Mapping[str, str], contracts: ContractSet) -> None:
        self.spark = spark
        self.names = names
        self.contracts = contracts
        self.control = ControlTable(names["table"])
        self.execution = "execution-1"
        self.files: list[str] = []
        self.loaded: dict[str, Load] = {}

    # what arrives

    def arrives(self, *changes: Change | tuple[Change, ...]) -> str:
        """One bronze file with these changes, all of one table. Returns its file id."""
        flat = [c for change in changes for c in (change if isinstance(change, tuple) else (change,))]
        contract = self.contracts.table(flat[0].table)
        rows = [self._row(change) for change in flat]
        return self.arrives_as(flat[0].table, pa.Table.from_pylist(rows, bronze_schema(contract)), flat)

    def arrives_as(self, table: str, data: pa.Table | None, changes: list[Change] = [], body: bytes | None = None) -> str:  # noqa: B006
        """A bronze file with this content; neither ``data`` nor ``body`` leaves the object out."""
        key = f"raw/{table}/{uuid.uuid4().hex}.gz"
        boto3.client("s3").put_object(Bucket=self.names["stage"], Key=key, Body=b"raw")
        assert self.control.files.register(NewFile(self.names["stage"], key, "null", "etag", table, "json", 10))
        identity = file_id(self.names["stage"], key, "null")
        part = bronze_part(table, "2026-01-01", identity, 0)
        if data is not None:
            sink = pa.BufferOutputStream()
            pq.write_table(data, sink)
            body = sink.getvalue().to_pybytes()
        if body is not None:
            boto3.client("s3").put_object(Bucket=self.names["lake"], Key=part, Body=body)
        record = self.control.files.start(identity, "convert-1", 60)
        times = [minute(c.built) for c in changes]
        self.control.files.pin(record, self.contracts.version, {})
        outcome = Outcome(
            len(changes), len(changes), 0, (part,), built_at_min=min(times, default=None), built_at_max=max(times, default=None)
        )
        self.control.complete(identity, str(record.lease_token), outcome)
        self.files.append(identity)
        return identity

    def fence(self, table: str, built: float, kind: str = "create-table") -> None:
        """A fence of the table, however late: its own line has been converted."""
        self.control.fences.add(table, Fence(minute(built), kind))

    def source_says_loaded(self, table: str, rows: int, ended: float = 600, left_out: int = 0) -> None:
        """DMS's table statistics from now on."""
        self.loaded[table] = Load(rows, minute(ended), left_out)

    def refuses(self, table: str, built: float, *rows: bytes) -> None:
        """Rows of a load, built at that minute, that the router could not read."""
        self.control.refusals.note(table, [Refusal.of(row, minute(built)) for row in rows])

    def _row(self, change: Change) -> dict[str, Any]:
        built = minute(change.built)
        return {
            **change.columns,
            cdc.OPERATION: change.operation,
            cdc.POSITION: change.position,
            cdc.BUILT_AT: built,
            cdc.COMMITTED_AT: None if change.operation == cdc.LOAD else minute(change.committed or change.built),
            cdc.UNCHANGED: list(change.unchanged) or None,
        }

    # what runs

    def planner(self) -> Any:
        planner = plan.Planner.of(self.settings(), self.execution)
        object.__setattr__(planner, "statistics", self)
        return planner

    def complete_load(self, contract: Contract) -> Load | None:
        """Stands for DMS's answer: the load of which the test told."""
        if contract.table not in self.loaded:
            return None
        return self.loaded[contract.table]

    def settler(self) -> Any:
        return settle.Settler.of(self.settings(), self.execution)

    def settings(self, **changes: Any) -> Any:
        return settings.BatchSettings.of(
            {"CONTROL_TABLE": self.names["table"], "LAKE_BUCKET": self.names["lake"], "CONTRACTS_URI": self.names["contracts"]} | changes
        )

    def plan(self, *tables: str) -> list[dict[str, Any]]:
        planned = self.planner().silver(tables or None)
        print("left alone:", planned.skipped)  # shown where a test fails
        found: list[dict[str, Any]] = planned.batches
        return found

    def run(self, batch: Mapping[str, Any], job: str = "bronze_to_silver") -> Any:
        return JOBS[job].run(self.spark, batch["manifest"])

    def merge(self, *tables: str) -> list[dict[str, Any]]:
        """Plan, run and settle, as the state machine does."""
        answers = []
        for batch in self.plan(*tables):
            self.run(batch)
            answers.append(self.settler().silver(batch))
        return answers

    def build_review_flat(self) -> None:
        for batch in self.planner().derived("silver").batches:
            self.run(batch, "review_flat")
            self.settler().derived("silver", batch)

    def build_gold(self) -> list[str]:
        """Builds every gold table that has something to build; returns their names."""
        built = []
        for batch in self.planner().derived("gold").batches:
            self.run(batch, "silver_to_gold")
            self.settler().derived("gold", batch)
            built.append(batch["table"])
        return built

    # what a user sees

    def rows(self, table: str, database: str = "dm_silver") -> list[dict[str, Any]]:
        return [row.asDict() for row in self.spark.table(f"lake.{database}.{table}").collect()]

    def live_rows(self, table: str, *columns: str) -> list[dict[str, Any]]:
        """The live rows in the order of their key, with these columns (the contract's, where none are named)."""
        contract = self.contracts.table(table)
        names = columns or tuple(c.name for c in contract.columns)
        found = [row for row in self.rows(table) if row["deleted_at"] is None]
        found.sort(key=lambda row: tuple(row[c.name] for c in contract.key))
        return [{name: row[name] for name in names} for row in found]

    def row(self, table: str, **key: Any) -> SimpleNamespace:
        """The only row of this key, deleted or not."""
        found = [row for row in self.rows(table) if all(row[name] == value for name, value in key.items())]
        assert len(found) == 1, f"{len(found)} rows of {table} {key}"
        return SimpleNamespace(**found[0])

    def status(self, identity: str) -> str:
        return self.control.files.get(identity).status


@contextmanager
def another_writer(stopped: Callable[[], bool]) -> Iterator[list[int]]:
    """Commits beers from number 1000 on, one after the other, until it is stopped or the block ends. Their keys."""
    from jobs.iceberg.catalog import SILVER, catalog

    written: list[int] = []
    ended = threading.Event()

    def append() -> None:
        row = catalog().load_table((SILVER, "beer")).scan(limit=1).to_arrow()
        place = row.schema.get_field_index("beer_id")
        while not (ended.is_set() or stopped()):
            key = 1_000 + len(written)
            own = row.set_column(place, row.schema.field(place), pa.array([key], row.schema.field(place).type))
            try:
                catalog().load_table((SILVER, "beer")).append(own)
            except CommitFailedException:
                continue
            written.append(key)

    thread = threading.Thread(target=append)
    thread.start()
    try:
        yield written
    finally:
        ended.set()
        thread.join()
