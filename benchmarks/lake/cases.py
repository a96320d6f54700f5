"""The cases of the lake's benchmark. Each returns its figures in seconds, bytes and rows."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
from pyiceberg.transforms import BucketTransform

from beer import CONTRACTS
from benchmarks.lake.duckdb_peer import rewritten_by_duckdb
from benchmarks.lake.lake_tables import (
    ACCOUNT,
    REVIEW,
    account_columns,
    drop,
    make_accounts,
    make_dimensions,
    make_reviews,
    months_of,
    review_columns,
    write_changes,
)
from benchmarks.lake.measured import Setting, Timed, derive, merge
from benchmarks.lake.past import VERSIONS, make_past, write_batch
from jobs.iceberg.catalog import GOLD, SILVER, catalog, engine_name
from jobs.iceberg.inventory import live_files
from jobs.iceberg.tables import ensure_silver
from jobs.silver import key_index
from lake.contract import ContractSet
from lake.contract.store import publish
from lake.manifests import month_text
from tests.integration.jobs.apache_spark import spark_driver

OWN_CONTRACTS = Path(__file__).resolve().parent / "contracts"
BUCKETS = ("bench-lake", "bench-artifacts")
ROWS_A_MONTH = 28_000


@dataclass(frozen=True)
class Layout:
    """Properties of a table, and the number of key buckets per month."""

    properties: dict[str, str] = field(default_factory=dict)
    buckets: int = 0


LAYOUTS = {
    "the lake's own": Layout(),
    "merge-on-read": Layout({f"write.{what}.mode": "merge-on-read" for what in ("merge", "update", "delete")}),
    "not distributed": Layout({"write.distribution-mode": "none"}),
    "files of 128 kB": Layout({"write.target-file-size-bytes": str(128 * 1024)}),
    "4 buckets a month": Layout(buckets=4),
}


@dataclass
class Bench:
    """A lake to measure on, and the size of its current review table."""

    setting: Setting
    contracts: ContractSet
    repeats: int
    holds: tuple[int, int] = (0, 0)
    random: Any = field(default_factory=lambda: np.random.default_rng(7))
    next_id: int = 100_000_000

    @classmethod
    def start(cls, repeats: int) -> Bench:
        """An empty lake."""
        from pyspark.sql import SparkSession

        for bucket in BUCKETS:
            boto3.client("s3").create_bucket(Bucket=bucket)
        for database in (SILVER, GOLD):
            catalog().create_namespace(database)
        uri = f"s3://{BUCKETS[1]}/contracts/"
        with tempfile.TemporaryDirectory() as folder:
            for own in (CONTRACTS, OWN_CONTRACTS):
                shutil.copytree(own, folder, dirs_exist_ok=True)
            contract_version, contracts = publish(Path(folder), uri), ContractSet.from_directory(Path(folder))
        setting = Setting(SparkSession.builder.getOrCreate(), BUCKETS[0], uri, contract_version)
        return cls(setting, contracts, repeats)

    def stop(self) -> None:
        """End the session."""
        self.setting.spark.stop()

    def merge_36(self) -> dict[str, Any]:
        """10,000 changes in 2 of 36 months of 28,000 rows."""
        return self._few_changes(36, ROWS_A_MONTH)

    def layout(self) -> dict[str, Any]:
        """10,000 changes in 2 of 36 months under other layouts than the lake's own: the merge, its files, and a query after it."""
        return self._layouts(None)

    def layout_spark(self) -> dict[str, Any]:
        """The same by Apache Spark, read by Sail."""
        with self._spark() as run:
            return self._layouts(run)

    def merge_720(self) -> dict[str, Any]:
        """10,000 changes in 2 of 720 months of 28,000 rows."""
        return self._few_changes(720, ROWS_A_MONTH)

    def merge_36_large(self) -> dict[str, Any]:
        """10,000 changes in 2 of 36 months of 550,000 rows."""
        return self._few_changes(36, 550_000)

    def no_months(self) -> dict[str, Any]:
        """1,000 changes across a table without months, copy-on-write and merge-on-read: the batch, its files, a query after it."""
        found = {}
        for rows in (500_000, 1_000_000, 4_000_000):
            for mode in ("copy-on-write", "merge-on-read"):
                drop(ACCOUNT)
                with ensure_silver(self.contracts.table("account"), self.setting.bucket).transaction() as change:
                    change.set_properties({"write.merge.mode": mode})
                make_accounts(self.contracts.table("account"), self.setting.bucket, rows)
                size = sum(file.bytes for file in live_files(catalog().load_table(ACCOUNT)))
                runs, reads = [], []
                for turn in range(self.repeats + 1):
                    columns = account_columns(self.random.choice(rows, 1_000, replace=False), f"turn {turn}")
                    name = f"accounts-{rows}-{mode}-{turn}"
                    runs.append(merge(self.setting, "account", write_changes(self.setting.bucket, name, columns, first=turn * 1_000)))
                    reads.append(self._seconds("SELECT max(body), sum(length(label)) FROM lake.dm_silver.account"))
                middle = sorted(runs[1:], key=lambda run: run.seconds)[self.repeats // 2]
                figures = {
                    "seconds": round(middle.seconds, 3),
                    "files": middle.files,
                    "bytes": middle.bytes,
                    "read": round(statistics.median(reads[1:]), 3),
                }
                found[f"{rows:,} rows, {size / 1e6:.1f} MB, {mode}"] = figures
                print(f"  {rows:,} rows, {mode}: {figures}", flush=True)
        return found

    def small_files(self) -> dict[str, Any]:
        """500,000 changes in 500 files of 1,000 rows, and in 5 of 100,000."""
        self._reviews(36, ROWS_A_MONTH)
        runs: dict[int, list[Timed]] = {5: [], 500: []}
        for turn in range(self.repeats):
            for files, timed in runs.items():
                columns = self._new_rows(500_000, months_of(36)[-2:])
                timed.append(merge(self.setting, "review", write_changes(self.setting.bucket, f"many-{turn}-{files}", columns, files)))
                print(f"  {files} files: {timed[-1].seconds:.2f} s {timed[-1].parts}", flush=True)
                self.holds = (0, 0)
                self._reviews(36, ROWS_A_MONTH)
        few, many = (statistics.median(run.seconds for run in runs[files]) for files in (5, 500))
        return {"few_seconds": few, "many_seconds": many, "ratio": many / few}

    def large_batch(self) -> dict[str, Any]:
        """1,000,000 changes across 5,000,000 rows, and the same with DuckDB: joined, and the same months written to Parquet."""
        rows = 5_000_000 // 36
        ours, theirs = [], []
        for turn in range(self.repeats):
            self.holds = (0, 0)
            self._reviews(36, rows)
            columns = self._updates(1_000_000, months_of(36))
            uris = write_changes(self.setting.bucket, f"large-{turn}", columns, 10)
            files = [file.uri for file in live_files(catalog().load_table(REVIEW))]
            theirs.append(rewritten_by_duckdb(files, uris, self.setting.bucket, turn))
            timed = merge(self.setting, "review", uris)
            ours.append(timed)
            print(f"  DuckDB {theirs[-1]:.2f} s, Sail {timed.seconds:.2f} s {timed.parts}", flush=True)
        seconds, other = statistics.median(run.seconds for run in ours), statistics.median(theirs)
        merged = statistics.median(run.merge for run in ours)
        return {"seconds": seconds, "merge": merged, "duckdb_seconds": other, "ratio": merged / other, "whole_job_ratio": seconds / other}

    def large_batch_spark(self) -> dict[str, Any]:
        """The same batch on Apache Spark with Iceberg, in the environment of make conformance."""
        seconds = []
        with self._spark() as run:
            for turn in range(self.repeats + 1):
                self.holds = (0, 0)
                self._reviews(36, 5_000_000 // 36)
                uris = write_changes(self.setting.bucket, f"spark-{turn}", self._updates(1_000_000, months_of(36)), 10)
                timed = merge(self.setting, "review", uris, run)
                print(f"  Spark {timed.seconds:.2f} s", flush=True)
                seconds.append(timed.seconds)
        self.holds = (0, 0)
        return {"seconds": statistics.median(seconds[1:]), "first_seconds": seconds[0]}

    @contextmanager
    def _spark(self) -> Iterator[Callable[[str], None]]:
        """Runs a silver batch by its manifest on Apache Spark."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "spark.log"
            # Spark does not see that tables are dropped and created again
            settings = {"spark.driver.memory": "4g", "spark.sql.catalog.lake.cache-enabled": "false"}
            with spark_driver(os.environ, self.setting.bucket, log, settings) as run:
                yield lambda uri: run("bronze_to_silver", uri)

    def _layouts(self, run: Callable[[str], None] | None) -> dict[str, Any]:
        found = {}
        for name, layout in LAYOUTS.items():
            self.holds = (0, 0)
            drop(REVIEW)
            table = ensure_silver(self.contracts.table("review"), self.setting.bucket)
            with table.transaction() as change:
                change.set_properties(layout.properties)
            make_reviews(self.contracts.table("review"), self.setting.bucket, 36, ROWS_A_MONTH)
            if layout.buckets:
                self._cut(layout.buckets)
            runs = []
            try:
                for turn in range(self.repeats + 1):
                    runs.append(merge(self.setting, "review", self._changes(36, turn), run))
            except Exception as refused:  # an engine's limit is a finding
                found[name] = {"refused": str(refused)[:200]}
            else:
                middle = sorted(runs[1:], key=lambda timed: timed.seconds)[self.repeats // 2]
                found[name] = {"seconds": round(middle.seconds, 3), "files": middle.files, "bytes": middle.bytes, "read": self._read()}
            print(f"  {name}: {found[name]}", flush=True)
        return found

    def _cut(self, buckets: int) -> None:
        """Give the reviews buckets of their key. The engine rewrites them, since pyiceberg needs its native half for buckets."""
        with catalog().load_table(REVIEW).update_spec() as spec:
            spec.add_field("review_id", BucketTransform(buckets), "review_bucket")
        review = engine_name(*REVIEW)
        self.setting.spark.sql(f"INSERT OVERWRITE {review} SELECT * FROM {review}").collect()

    def history(self) -> dict[str, Any]:
        """Batches of 100 and of 10,000 changes to a table with history, whose log holds 1,000,000 changes of 250,000 notes."""
        keys, found = 250_000, {}
        make_past(self.contracts.table("note"), self.setting.bucket, keys)
        for count in (100, 10_000):
            runs = []
            for turn in range(self.repeats + 1):
                age = VERSIONS + len(found) * (self.repeats + 1) + turn
                numbers = age * keys + np.sort(self.random.choice(keys, count, replace=False))
                timed = merge(self.setting, "note", write_batch(self.setting.bucket, f"past-{count}-{turn}", numbers, keys))
                print(f"  {count:,} changes: {timed.seconds:.2f} s {timed.parts}", flush=True)
                runs.append(timed)
            middle = sorted(runs[1:], key=lambda run: run.seconds)[len(runs[1:]) // 2]
            found[f"{count}_changes"] = {"seconds": round(middle.seconds, 3), "history": middle.parts["_keep_history"]}
        return found

    def gold_720(self) -> dict[str, Any]:
        """review_flat and gold: whole, after 10,000 changes in 2 of 720 months, and after one brewery was renamed."""
        self._reviews(720, ROWS_A_MONTH)
        make_dimensions(dict(self.contracts.tables), self.setting.bucket)
        whole = self._derive({}, whole=True)
        touched = {month_text(*month): "bench" for month in (months_of(720)[100], months_of(720)[400])}
        few = [self._derive(touched, whole=False) for _ in range(self.repeats)]
        every = {month_text(*month): "bench" for month in months_of(720)}
        renamed = self._derive(every, whole=False)
        refresh = {name: statistics.median(run[name] for run in few) for name in whole}
        return {
            "whole": whole,
            "refresh": refresh,
            "rename_of_a_brewery": renamed,
            "ratio": sum(refresh.values()) / sum(whole.values()),
        }

    def _derive(self, months: dict[str, str], *, whole: bool) -> dict[str, float]:
        silver_first = sorted(self.contracts.derived.values(), key=lambda table: table.layer == "gold")
        found = {table.name: round(derive(self.setting, table.name, months, whole), 3) for table in silver_first}
        print(f"  {len(months) or 'all'} months: {found}", flush=True)
        return found

    def _few_changes(self, months: int, rows: int) -> dict[str, Any]:
        self._reviews(months, rows)
        runs, index_seconds = [], 0.0
        for turn in range(self.repeats + 1):
            if turn == 1:  # as maintenance does each night
                begin = time.perf_counter()
                key_index.refresh(self.setting.spark, "review", ("review_id",), self.setting.bucket)
                index_seconds = time.perf_counter() - begin
            timed = merge(self.setting, "review", self._changes(months, turn))
            print(f"  {timed.seconds:.2f} s, pre-pass {timed.prepass:.2f} s, {timed.parts}", flush=True)
            runs.append(timed)
        first, *runs = runs  # the first run includes the costs of a session's start
        middle = sorted(runs, key=lambda run: run.seconds - run.prepass)[len(runs) // 2]
        index = {"index_seconds": round(index_seconds, 3), "prepass_without_index": round(first.prepass, 3)}
        return asdict(middle) | index | {"rows": months * rows, "read_seconds": self._read()}

    def _changes(self, months: int, turn: int) -> list[str]:
        """A bronze file of 5,000 updates and 5,000 inserts in 2 of the last ``months`` months."""
        chosen = [months_of(months)[months // 3 + turn], months_of(months)[months // 2 + turn]]
        updates, inserts = self._updates(5_000, chosen), self._new_rows(5_000, chosen)
        columns = {name: pa.concat_arrays([updates[name], inserts[name]]) for name in updates}
        return write_changes(self.setting.bucket, f"few-{uuid.uuid4().hex}", columns)

    def _read(self) -> float:
        """Seconds of a query that reads every row after the merges."""
        query = "SELECT review_year, avg(review_overall) FROM lake.dm_silver.review GROUP BY 1"
        return round(statistics.median(self._seconds(query) for _ in range(self.repeats)), 3)

    def _seconds(self, query: str) -> float:
        begin = time.perf_counter()
        self.setting.spark.sql(query).collect()
        return time.perf_counter() - begin

    def _reviews(self, months: int, rows: int) -> None:
        """Make the table of a case if it does not exist yet."""
        if self.holds == (months, rows):
            return
        begin = time.perf_counter()
        derived = ((SILVER if table.layer == "silver" else GOLD, table.name) for table in self.contracts.derived.values())
        drop(REVIEW, *((SILVER, name) for name in ("brewery", "beer", "profile")), *derived)
        make_reviews(self.contracts.table("review"), self.setting.bucket, months, rows)
        self.holds = (months, rows)
        print(f"  {months * rows:,} reviews made in {time.perf_counter() - begin:.0f} s", flush=True)

    def _updates(self, count: int, months: list[tuple[int, int]]) -> dict[str, pa.Array]:
        """New images of rows in these months. The rows stay in their months."""
        each = -(-count // len(months))
        parts = []
        for year, month in months:
            scan = catalog().load_table(REVIEW).scan(f"review_year = {year} and review_month = {month}", selected_fields=("review_id",))
            ids = self.random.choice(scan.to_arrow()["review_id"].to_numpy(), each, replace=False)
            parts.append(review_columns(ids, (year, month), self.random))
        return {name: pa.concat_arrays([part[name] for part in parts]).slice(0, count) for name in parts[0]}

    def _new_rows(self, count: int, months: list[tuple[int, int]]) -> dict[str, pa.Array]:
        each = -(-count // len(months))
        parts = []
        for month in months:
            parts.append(review_columns(np.arange(self.next_id, self.next_id + each), month, self.random))
            self.next_id += each
        return {name: pa.concat_arrays([part[name] for part in parts]).slice(0, count) for name in parts[0]}
