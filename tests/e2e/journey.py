"""One journey of a source's rows to gold, with everything that can happen on the way."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg2

from beer import churn
from datamaster.laptop import state
from datamaster.laptop.state import State
from datamaster.platform import actions, pipelines
from datamaster.platform.query import Athena
from datamaster.verify import verify_lake
from lake.control import ControlRecord, ControlTable
from lake.control.records import BRONZE, CONTAINER, LAMBDA, PENDING, RUNNING, SILVER
from lake.keys import is_export_manifest
from tests.e2e.arrivals import Arrivals
from tests.waiting import eventually

CHANGES = 3_000
CHANGES_A_SECOND = 120
LATE = 2
PASSED = (BRONZE, SILVER)

Find = Callable[..., Mapping[int, str]]


@dataclass(frozen=True)
class Kill:
    """A process ended by SIGKILL, and how far the thing that it carries had come by then."""

    pid: int
    delivered: int
    total: int


def silent(_message: str) -> None:
    """Tell nobody."""


def fetch(dsn: str, statement: str) -> Any:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def read(dsn: str, statement: str) -> int:
    """A number of the source; 0 while the tables that tell it are not there."""
    with suppress(psycopg2.Error):
        return int(fetch(dsn, statement) or 0)
    return 0


LOADED = "SELECT sum(load_rows) FROM awsdms.table_statistics WHERE load_ended IS NOT NULL"
REVIEWS_LOADING = (
    "SELECT count(*) FROM awsdms.table_statistics WHERE table_name = 'review' AND load_started IS NOT NULL AND load_ended IS NULL"
)
CHANGES_SENT = "SELECT sum(inserts + updates + deletes) FROM awsdms.table_statistics"
ROWS = (
    "SELECT (SELECT count(*) FROM dm_core.review) + (SELECT count(*) FROM dm_core.beer)"
    " + (SELECT count(*) FROM dm_core.brewery) + (SELECT count(*) FROM dm_core.profile)"
)


@dataclass
class Journey:
    """One journey of a source's rows to gold, with everything that can happen on the way."""

    home: Path
    find: Find
    kills: dict[str, Kill] = field(default_factory=dict)
    silver_before_the_late: int = 0

    def connect(self, running: State) -> None:
        self.running = running
        self.control = ControlTable(running.control_table)
        self.arrivals = Arrivals(running)
        self._s3 = boto3.client("s3")

    # ---- what is killed

    def kill(self, name: str, pid: int, delivered: int, total: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.kills[name] = Kill(pid, delivered, total)

    def pid_of(self, name: str) -> int:
        return int(eventually(lambda: state.processes(self.home).get(name, {}).get("pid"), f"a process {name}"))

    def kill_replicator_amid_the_load(self, dsn: str) -> None:
        """Wait until some tables are loaded and review is being read."""
        eventually(lambda: read(dsn, REVIEWS_LOADING), "the load of review", pause=0.005)
        self.kill("replicator amid the load", self.pid_of("replicator"), read(dsn, LOADED), read(dsn, ROWS))

    def kill_replicator_amid_changes(self, before: int) -> None:
        dsn = self.running.dsn
        eventually(lambda: read(dsn, CHANGES_SENT) - before > CHANGES // 10, "changes in the stream")
        self.kill("replicator amid changes", self.pid_of("replicator"), read(dsn, CHANGES_SENT) - before, CHANGES)

    def kill_delivery(self) -> None:
        before = self.records_delivered()
        eventually(lambda: self.records_delivered() > before, "changes in S3")
        self.kill("delivery worker", self.pid_of("delivery"), self.records_delivered() - before, CHANGES)

    def kill_container(self) -> None:
        """Wait until the export's file is held by a container."""
        eventually(lambda: self.held(CONTAINER), "a container that holds a file")
        [pid] = self.find(str(self.running.environment["AWS_ENDPOINT_URL"]), "-m convert.container --file-id")
        self.kill("container", pid, *self.records_converted())
        self.killed_container = self.held(CONTAINER)[0].file_id

    def kill_lambda(self) -> None:
        """End the converter's worker of the emulator while a file is in its hands."""
        while "lambda" not in self.kills:
            [held, *_] = eventually(lambda: self.held(LAMBDA), "a Lambda that holds a file", pause=0.005)
            progress = self.records_converted()
            for pid in self.find(f"{self.home}/emulator/tmp/ministack-lambda-dm-converter-local-convert_file"):
                os.kill(pid, signal.SIGKILL)
            if self.control.files.get(held.file_id).status == RUNNING:
                self.kills["lambda"] = Kill(pid, *progress)
                self.killed_lambda = held.file_id

    def jobs_taken(self) -> Iterator[dict[str, Any]]:
        """What the worker has noted of each job that runs."""
        for note in (self.home / "work" / "jobs-taken").iterdir():
            with suppress(OSError, ValueError):  # it has ended, or its note is being written
                told = json.loads(note.read_text())
                if "pid" in told:
                    yield told

    def kill_silver_job(self) -> None:
        """Wait until the job of review has said which months it touches and is about to merge."""
        touched = set(self.keys_of(self.running.lake_bucket, "batches/review/", "/touched.json"))
        eventually(lambda: set(self.keys_of(self.running.lake_bucket, "batches/review/", "/touched.json")) - touched, "touched months")
        [pid] = [note["pid"] for note in self.jobs_taken() if Path(note["log"]).name.startswith("review-")]
        statuses = Counter(record.status for record in self.control.listing.files())
        self.kill("silver job", pid, statuses[SILVER], statuses.total())

    # ---- how far things are

    def records_delivered(self) -> int:
        path = self.running.checkpoint
        return int(json.loads(path.read_text())["counts"].get("received", 0)) if path.exists() else 0

    def records_converted(self) -> tuple[int, int]:
        records = list(self.control.listing.files())
        return sum(r.records_written or 0 for r in records if r.status in PASSED), sum(r.records_estimated for r in records)

    def held(self, target: str) -> list[ControlRecord]:
        return [record for record in self.control.listing.files(status=RUNNING) if record.compute_target == target and record.lease_token]

    def keys_of(self, bucket: str, prefix: str, ending: str = "") -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ()) if entry["Key"].endswith(ending)]

    def raw_keys(self) -> list[str]:
        return [key for key in self.arrivals.objects() if not is_export_manifest(key)]

    def convert_all_but_the_late(self) -> None:
        def converted() -> bool:
            known = {record.object_key: record.status for record in self.control.listing.files()}
            return set(self.raw_keys()) - set(self.arrivals.late) <= set(known) and not {PENDING, RUNNING} & set(known.values())

        eventually(converted, "all files but the late ones in bronze", seconds=240, pause=0.3)

    # ---- the way

    def go(self, running: State, loading: threading.Thread) -> None:
        self.connect(running)
        loading.join(60)
        actions.convert_all(running, silent)
        self.arrivals.announce_again()
        assert not pipelines.run(running, "silver", silent).failed
        with ThreadPoolExecutor(2) as pool:
            self.live_changes(pool)
            self.export_amid_a_kill(pool)
            self.convert_all_but_the_late()
            self.arrivals.announce_again()
            merging = pool.submit(pipelines.run, running, "silver", silent)
            self.kill_silver_job()
            result = merging.result(300)
            assert not result.failed, result
        self.silver_before_the_late = self.silver_rows()
        self.early = {record.object_key for record in self.control.listing.files()} & set(self.arrivals.late)
        self.arrivals.send_late(self.held_back)
        self.statuses = actions.convert_all(running, silent)
        assert not pipelines.run(running, "silver", silent).failed
        assert not pipelines.run(running, "gold", silent).failed
        self.report = verify_lake(running, silent)

    def live_changes(self, pool: ThreadPoolExecutor) -> None:
        sent_before = read(self.running.dsn, CHANGES_SENT)
        changing = pool.submit(churn.run, self.running.dsn, CHANGES, CHANGES_A_SECOND)
        self.kill_delivery()
        self.arrivals.stop_registration()
        self.kill_replicator_amid_changes(sent_before)
        self.held_back = self.arrivals.hold_back("review", LATE)
        self.kill_lambda()
        self.arrivals.announce_again()
        changing.result(120)

    def export_amid_a_kill(self, pool: ThreadPoolExecutor) -> None:
        exporting = pool.submit(actions.export_table, self.running, "review", True, silent)
        self.kill_container()
        exporting.result(120)

    def silver_rows(self) -> int:
        return int(Athena(self.running.work_group, database="dm_silver").run("SELECT count(*) FROM review").rows[0][0] or 0)
