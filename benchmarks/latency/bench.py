"""The time of a change from commit to bronze and to silver, by stage: ``make bench-latency``.

A steady load of changes runs against a platform of its own while silver runs follow each other. Afterwards every change is
looked up at each stage by its position: the stream's arrival time, its raw object, the control record, the snapshot.
"""

from __future__ import annotations

import argparse
import json
import os
import platform as machine
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow.parquet
from pyarrow.fs import S3FileSystem
from pyiceberg.catalog import load_catalog

from beer import churn, generate
from benchmarks.latency.aws import Seconds, cumulative
from datamaster.aws.sizing.capacity import Capacity
from datamaster.aws.sizing.latency import waits
from datamaster.cli.session import connect
from datamaster.laptop import lifecycle
from datamaster.laptop.state import State
from datamaster.platform import actions, pipelines
from lake.cdc import Position
from lake.control import ControlTable
from lake.control.records import parse_timestamp

RESULTS = Path(__file__).resolve().parents[2] / "build" / "bench" / "latency.json"
STAGES = {
    "stream": "on the stream",
    "raw": "raw object written",
    "registered": "registered",
    "bronze": "in bronze",
    "silver": "in silver",
}
RECORDS_A_CALL = 10_000
CHANGE_COLUMNS = ["cdc_position", "cdc_committed_at"]


def silent(_text: str) -> None:
    """Print nothing, because the terminal belongs to the table."""


def main() -> None:
    """Measure, compute, print and store the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="how long changes are made")
    parser.add_argument("--rate", type=float, default=100, help="changes a second")
    parser.add_argument("--reviews", type=int, default=20_000, help="how many reviews the source begins with")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dm-latency-") as folder:
        home = Path(folder) / "home"
        try:
            lifecycle.up(home, seed=lambda dsn: generate.load_generated(dsn, options.reviews))
            measured, runs = measure(connect(home), options.rate, options.seconds)
        finally:
            lifecycle.down(home)
    on_aws = waits(Capacity.of("prod"))
    computed = cumulative(on_aws)
    report = {
        "machine": f"{machine.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end",
        "rate": options.rate,
        "seconds": options.seconds,
        "changes": len(measured["silver"]),
        "silver_run_seconds": percentiles(np.array(runs)) | {"runs": len(runs)},
        "laptop": table(measured),
        "aws": table(computed),
        "aws_waits": [vars(wait) for wait in on_aws],
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1))
    show(report)


def measure(running: State, rate: float, seconds: float) -> tuple[dict[str, Seconds], list[float]]:
    """Seconds from commit to each stage of every change, and the seconds of each silver run."""
    actions.convert_all(running, silent)
    pipelines.run(running, "silver", silent)
    started = datetime.now(UTC)
    over = threading.Event()

    def change() -> None:
        churn.run(running.dsn, int(rate * seconds), rate)
        over.set()

    threading.Thread(target=change, daemon=True).start()
    runs = []
    while not over.is_set():
        begin = time.monotonic()
        result = pipelines.run(running, "silver", silent)
        runs.append(time.monotonic() - begin)
        print(f"silver in {runs[-1]:.1f} s: {result.summary}", flush=True)
    actions.convert_all(running, silent)
    pipelines.run(running, "silver", silent)
    return seconds_by_stage(running, started), runs


def seconds_by_stage(running: State, since: datetime) -> dict[str, Seconds]:
    """For every change committed after ``since``, the seconds from its commit to the end of each stage."""
    arrived = arrivals(running.stream_name)
    written = raw_times(running.stage_bucket)
    snapshots = snapshot_times(running)
    files = S3FileSystem(endpoint_override=running.environment["AWS_ENDPOINT_URL"], region="us-east-1")
    found: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for record in ControlTable(running.control_table).listing.files(since=since):
        ends = {
            "raw": written[record.object_key],
            "registered": parse_timestamp(record.created_at).timestamp(),
            "bronze": parse_timestamp(record.finished_at or "").timestamp(),
            "silver": snapshots[record.silver_snapshot_id or ""],
        }
        for key in record.bronze_keys:
            changes = pyarrow.parquet.read_table(f"{running.lake_bucket}/{key}", columns=CHANGE_COLUMNS, filesystem=files)
            for change in changes.to_pylist():
                if change["cdc_committed_at"] is None or change["cdc_committed_at"] < since:
                    continue
                committed = change["cdc_committed_at"].timestamp()
                found["stream"].append(arrived[change["cdc_position"][:-1]] - committed)
                for stage, end in ends.items():
                    found[stage].append(end - committed)
    return {stage: np.array(values) for stage, values in found.items()}


def arrivals(stream: str) -> dict[str, float]:
    """The time at which each change arrived on the stream, by its position without the sub-number, in seconds since 1970."""
    return {
        str(Position.of_stream_position(message["metadata"]["stream-position"]))[:-1]: moment
        for moment, message in _messages(stream)
        if "stream-position" in message.get("metadata", {})
    }


def _messages(stream: str) -> Iterator[tuple[float, Mapping[str, Any]]]:
    kinesis = boto3.client("kinesis")
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        start = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**start)["ShardIterator"]
        while (answer := kinesis.get_records(ShardIterator=iterator, Limit=RECORDS_A_CALL))["Records"]:
            iterator = answer["NextShardIterator"]
            for record in answer["Records"]:
                yield record["ApproximateArrivalTimestamp"].timestamp(), json.loads(record["Data"])


def raw_times(bucket: str) -> dict[str, float]:
    """The time at which each raw object was written, in seconds since 1970."""
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="raw/")
    return {entry["Key"]: entry["LastModified"].timestamp() for page in pages for entry in page.get("Contents", ())}


def snapshot_times(running: State) -> dict[str, float]:
    """The time at which each snapshot of a silver table was committed, in seconds since 1970."""
    environment = running.environment
    catalog = load_catalog(
        "lake",
        **{
            "type": "glue",
            "glue.endpoint": environment["AWS_ENDPOINT_URL"],
            "s3.endpoint": environment["AWS_ENDPOINT_URL"],
            "client.region": "us-east-1",
        },
    )
    tables = [catalog.load_table(("dm_silver", table)) for table in ("brewery", "beer", "profile", "review")]
    return {str(snapshot.snapshot_id): snapshot.timestamp_ms / 1000 for table in tables for snapshot in table.snapshots()}


def table(ends: Mapping[str, Seconds]) -> dict[str, dict[str, dict[str, float]]]:
    """p50 and p95 of each stage: from commit to its end, and of the stage alone."""
    before: Seconds | float = 0.0
    rows = {}
    for stage in STAGES:
        rows[stage] = {"from_commit": percentiles(ends[stage]), "alone": percentiles(ends[stage] - before)}
        before = ends[stage]
    return rows


def percentiles(values: Seconds) -> dict[str, float]:
    """Median and 95th percentile, seconds."""
    return {"p50": round(float(np.percentile(values, 50)), 2), "p95": round(float(np.percentile(values, 95)), 2)}


def show(report: Mapping[str, Any]) -> None:
    """Print the measured values beside the computed ones, as on the page."""
    print(f"\n{report['changes']:,} lines of changes at {report['rate']:.0f} a second; {report['machine']}")
    print("\n| stage | laptop p50 / p95 s | from commit | AWS p50 / p95 s | from commit |\n|---|---|---|---|---|")
    for stage, name in STAGES.items():
        cells = [report[place][stage][kind] for place in ("laptop", "aws") for kind in ("alone", "from_commit")]
        print(f"| {name} | " + " | ".join(f"{cell['p50']:.1f} / {cell['p95']:.1f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
