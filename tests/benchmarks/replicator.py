"""How fast the replicator is on this machine: ``python tests/benchmarks/replicator.py [--reviews N]``.

Prints rows a second of a full load, changes a second of a backlog, and the time from commit to stream at 100 changes a second.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3

from beer import churn, generate
from datamaster.laptop import postgres
from datamaster.laptop.emulator import start_emulator
from datamaster.laptop.process import spawn, stop
from datamaster.replicator.positions import caught_up
from datamaster.source.pg_catalog import SLOT

STREAM = "benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=int, default=100_000)
    parser.add_argument("--backlog", type=int, default=40_000)
    chosen = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="dm-benchmark-"))
    with postgres.start(home / "postgres") as server, start_emulator(home / "emulator") as emulator:
        os.environ.update(emulator.environment)
        kinesis = boto3.client("kinesis")
        kinesis.create_stream(StreamName=STREAM, ShardCount=2)
        generate.create_schema(server.dsn)
        loaded = generate.load_generated(server.dsn, chosen.reviews)
        rows = loaded.brewery + loaded.beer + loaded.profile + loaded.review
        tables = ",".join(f"dm_core.{table}" for table in generate.TABLES)
        command = [sys.executable, "-m", "datamaster.replicator", "--dsn", server.dsn, "--stream", STREAM, "--tables", tables]

        started = time.monotonic()
        replicator = spawn(command, dict(os.environ), home / "replicator.log")
        wait(server.dsn)
        print(f"full load, process start included: {rows / (time.monotonic() - started):,.0f} rows/s")

        churn.run(server.dsn, 1_000, rate=100)
        wait(server.dsn)
        delays = sorted(delays_of(kinesis))
        p50, p95 = (delays[int(len(delays) * share)] * 1000 for share in (0.5, 0.95))
        print(f"commit to stream at 100 changes/s: p50 {p50:.0f} ms, p95 {p95:.0f} ms")

        replicator.send_signal(signal.SIGSTOP)
        churn.run(server.dsn, chosen.backlog, seed=2)
        replicator.send_signal(signal.SIGCONT)
        started = time.monotonic()
        wait(server.dsn)
        print(f"backlog of {chosen.backlog:,} changes: {chosen.backlog / (time.monotonic() - started):,.0f} changes/s")
        stop(replicator)
    postgres.forget_data(home / "postgres")


def wait(dsn: str) -> None:
    while not caught_up(dsn, SLOT, tables=[f"dm_core.{table}" for table in generate.TABLES]):
        time.sleep(0.05)


def delays_of(kinesis: Any) -> Iterator[float]:
    """Seconds from commit to arrival of every change in the stream."""
    for shard in kinesis.list_shards(StreamName=STREAM)["Shards"]:
        where = {"StreamName": STREAM, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**where)["ShardIterator"]
        while (page := kinesis.get_records(ShardIterator=iterator, Limit=10_000))["Records"]:
            for record in page["Records"]:
                committed = json.loads(record["Data"])["metadata"].get("commit-timestamp")
                if committed:
                    yield record["ApproximateArrivalTimestamp"].timestamp() - datetime.fromisoformat(committed).timestamp()
            iterator = page["NextShardIterator"]


if __name__ == "__main__":
    main()
