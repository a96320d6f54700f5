"""The real road with every worker killed once amid its work, every S3 event delivered twice and some files late."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from beer import generate
from lake.control.records import CONTAINER, FAILED, LAMBDA, SILVER
from tests.e2e.journey import LATE, Find, Journey

pytestmark = pytest.mark.timeout(1200)  # all of it is the first test's

REVIEWS = 15_000
CONTAINER_FROM_RECORDS = 2_000


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, start_platform: Any, processes_with: Find) -> Iterator[Journey]:
    """A journey that has come to its end; its platform still runs."""
    home = tmp_path_factory.mktemp("road")
    journey = Journey(home, processes_with)
    loading: list[threading.Thread] = []

    def seed(dsn: str) -> None:
        generate.load_generated(dsn, REVIEWS)
        loading.append(threading.Thread(target=journey.kill_replicator_amid_the_load, args=(dsn,), daemon=True))
        loading[0].start()

    with start_platform(
        home, seed=seed, variables={"convert_lambda_limit": CONTAINER_FROM_RECORDS, "sweep": "DISABLED"}, delivery_seconds=1.0
    ) as running:
        journey.go(running, loading[0])
        yield journey


@pytest.mark.parametrize(
    "what", ["replicator amid the load", "replicator amid changes", "delivery worker", "container", "lambda", "silver job"]
)
def test_each_worker_was_killed_amid_its_work(journey: Journey, what: str) -> None:
    kill = journey.kills[what]
    assert 0 < kill.delivered < kill.total


def test_the_killed_load_was_begun_anew(journey: Journey) -> None:
    assert len(journey.control.fences.of("brewery")) >= 2


def test_every_event_came_twice_and_no_file_was_registered_twice(journey: Journey) -> None:
    objects = journey.raw_keys()
    assert set(objects) <= set(journey.arrivals.announced)
    assert sorted(record.object_key for record in journey.control.listing.files()) == sorted(objects)


def test_late_files_came_after_a_silver_run_without_them(journey: Journey) -> None:
    assert len(journey.arrivals.late) == LATE
    assert not journey.early
    assert journey.silver_before_the_late > 0
    assert {record.object_key: record.status for record in journey.control.listing.files()}.items() >= dict.fromkeys(
        journey.arrivals.late, SILVER
    ).items()


def test_both_ways_of_conversion_were_gone_and_taken_up_after_their_kills(journey: Journey) -> None:
    written = dict.fromkeys((LAMBDA, CONTAINER), 0)
    for record in journey.control.listing.files():
        written[record.compute_target] += record.records_written or 0
    assert all(written.values())
    assert {journey.control.files.get(file_id).status for file_id in (journey.killed_container, journey.killed_lambda)} == {SILVER}


def test_counts_add_up_over_all_files(journey: Journey) -> None:
    records = list(journey.control.listing.files())
    assert all(record.status == SILVER for record in records)
    assert all(record.records_read == (record.records_written or 0) + (record.records_rejected or 0) for record in records)
    assert sum(record.records_rejected or 0 for record in records) == 0
    assert journey.statuses[FAILED] == 0


def test_every_record_of_the_stream_became_a_line_or_was_a_control_record(journey: Journey) -> None:
    counts = json.loads(journey.running.checkpoint.read_text())["counts"]
    assert counts["received"] == counts["ok"] + counts.get("dropped", 0) + counts.get("failed", 0)
    assert counts.get("failed", 0) == 0
    assert journey.keys_of(journey.running.stage_bucket, "errors/") == []


def test_the_lake_is_equal_to_its_source(journey: Journey) -> None:
    assert journey.report.differences == 0, [vars(d) for table in journey.report.tables for d in table.first]
    assert all(table.expected_rows for table in journey.report.tables)
