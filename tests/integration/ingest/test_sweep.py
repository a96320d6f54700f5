"""What events, workers and executions lost is found again."""

from __future__ import annotations

import gzip
import time

import boto3
import pytest
import yaml

from datamaster.project import PROJECT
from ingest.sweep import STALE
from lake.control.items import attribute

pytestmark = pytest.mark.integration

LONG_AGO = "2024-01-01T00:00:00.000000Z"


def registered(road, count=1):
    key = road.lines(count)
    road.register()
    return key


def test_an_object_that_no_event_announced_is_registered_once(road):
    key = road.lines(4)
    road.messages()

    first = road.sweep()
    second = road.sweep()

    assert road.record(key).records_estimated == 4
    assert (first["registered"], second["registered"]) == (1, 0)


def test_an_event_after_the_sweep_changes_nothing(road):
    key = road.lines(4)
    messages = road.messages()
    road.sweep()

    road.register(messages)

    assert len(road.records(key)) == 1


def test_objects_of_no_contract_are_found_too(road):
    key = road.arrives("raw/lager/x.gz", gzip.compress(b"{}\n"))
    road.messages()

    assert road.sweep()["registered_failed"] == 1
    assert road.record(key).error_type == "UnknownTable"


def test_an_object_that_cannot_be_read_does_not_block_those_after_it(road, monkeypatch):
    first, second = road.lines(1), road.lines(1)
    road.messages()
    head = road.app.raw_objects.head

    def denied(raw, size):
        if raw.key == min(first, second):
            raise PermissionError("access denied")
        return head(raw, size)

    monkeypatch.setattr(road.app.raw_objects, "head", denied)

    swept = road.sweep()

    assert (swept["registered"], swept["errors"]) == (1, 1)
    assert len(road.records(max(first, second))) == 1


def test_an_execution_that_cannot_be_started_does_not_block_those_after_it(road, monkeypatch):
    keys = [registered(road), registered(road)]
    for key in keys:
        road.ages(key, updated_at=LONG_AGO)
    conversions, broken = road.app.conversions(), road.record(keys[1]).file_id
    start = conversions.start

    def throttled(record):
        if record.file_id == broken:
            raise ConnectionError("throttled")
        return start(record)

    monkeypatch.setattr(conversions, "start", throttled)

    swept = road.sweep()

    assert swept["errors"] == 1
    assert (road.executions(keys[0]), road.executions(keys[1])) == (["1"], [])
    for key in keys:  # their executions convert nothing: without a lease the sweeps of later tests would start them again
        road.control.files.start(road.record(key).file_id, "arn:held", lease_seconds=600)


def test_a_sweep_out_of_time_says_where_to_go_on(road, monkeypatch):
    keys = [road.lines(1) for _ in range(5)]
    road.messages()
    monkeypatch.setattr(road.app.raw_objects, "page_size", 2)

    swept = road.sweep(remaining=0)
    while swept["next_key"]:
        swept = road.sweep(remaining=0, first_key=swept["next_key"])

    assert [len(road.records(key)) for key in keys] == [1] * 5


def test_a_file_whose_lease_ran_out_is_taken_over_up_to_the_limit_and_then_failed(road):
    key = registered(road)
    road.control.files.start(road.record(key).file_id, "arn:first", lease_seconds=-1)

    assert road.sweep()["taken_over"] == 1
    assert (road.record(key).status, road.record(key).attempt_count) == ("pending", 2)

    road.control.files.start(road.record(key).file_id, "arn:second", lease_seconds=-1)
    assert road.sweep()["failed"] == 1
    assert (road.record(key).status, road.record(key).error_type) == ("failed", "LeaseExpired")


def test_a_file_that_used_up_its_attempts_fails_with_the_reason_of_the_last_one(road):
    key = registered(road)
    for _ in range(2):
        taken = road.control.files.start(road.record(key).file_id, "arn:any", lease_seconds=60)
        road.control.files.release(taken.file_id, taken.lease_token, "ClientError", "the bucket does not answer")
        road.sweep()

    failed = road.record(key)
    assert (failed.status, failed.error_type) == ("failed", "ClientError")
    assert failed.error_message == "attempt 2 of 2: the bucket does not answer"


def test_a_file_whose_execution_may_try_again_is_left_to_it_until_its_pauses_are_over(road_to):
    road = road_to("Wait")
    key = registered(road)
    road.start(road.changed(key))
    road.control.files.start(road.record(key).file_id, "arn:first", lease_seconds=-1)

    assert road.sweep()["taken_over"] == 0
    assert (road.record(key).status, road.record(key).attempt_count) == ("running", 1)

    road.ages(key, lease_expires_at=LONG_AGO)
    assert road.sweep()["taken_over"] == 1


def test_the_pauses_between_attempts_are_shorter_than_the_sweep_waits_for_an_execution():
    machine = yaml.safe_load((PROJECT / "templates" / "statemachines" / "convert-file.asl.yaml").read_text())
    pauses = [
        min(retry.get("MaxDelaySeconds", 10**9), retry["IntervalSeconds"] * retry.get("BackoffRate", 2) ** (retry["MaxAttempts"] - 1))
        for state in machine["States"].values()
        for retry in state.get("Retry", ())
        if retry["MaxAttempts"]
    ]

    assert len(pauses) >= 4
    # a container takes up to two minutes to start
    assert max(pauses) + 120 < STALE.total_seconds()


def test_a_file_whose_lease_holds_is_left_alone(road):
    key = registered(road)
    road.control.files.start(road.record(key).file_id, "arn:first", lease_seconds=600)

    road.sweep()

    assert road.record(key).status == "running"


def test_a_pending_file_that_never_started_is_started(road):
    key = registered(road)
    road.ages(key, updated_at=LONG_AGO)

    assert road.sweep()["started"] == 1
    assert road.executions(key) == ["1"]


def test_a_young_pending_file_is_left_to_its_event(road):
    key = registered(road)

    road.sweep()

    assert road.executions(key) == []


def test_a_pending_file_whose_execution_ended_without_taking_it_gets_another_attempt(road):
    key = registered(road)
    road.start(road.changed(key))
    road.wait_for_end(key)
    road.ages(key, updated_at=LONG_AGO)

    assert road.sweep()["restarted"] == 1
    assert road.record(key).attempt_count == 2


def test_a_pending_file_whose_execution_is_still_on_its_way_is_left_to_it(road_to):
    road = road_to("Wait")
    key = registered(road)
    road.start(road.changed(key))
    road.ages(key, updated_at=LONG_AGO)

    road.sweep()

    assert road.record(key).attempt_count == 1


def test_a_file_whose_wait_is_over_is_started_and_one_that_waits_is_not(road):
    over, waits = registered(road), registered(road)
    road.ages(over, not_before=LONG_AGO)
    road.ages(waits, not_before="9999-01-01T00:00:00.000000Z", updated_at=LONG_AGO)

    road.sweep()

    assert road.executions(over) == ["1"]
    assert road.executions(waits) == []


@pytest.fixture
def past_their_time(road):
    """Objects for whom the second has passed in which they should have been settled; the sweep of an empty bucket but for them."""
    bucket = boto3.resource("s3").Bucket(road.bucket)
    bucket.object_versions.filter(Prefix="raw/").delete()

    def made(*statuses):
        keys = [registered(road) for _ in statuses]
        for key, status in zip(keys, statuses, strict=True):
            road.control.files.change(road.record(key).file_id, status, {}, attribute("status").eq("pending"))
        time.sleep(2.1)
        return keys

    return made


def settled(road, key):
    tags = {"TagSet": [{"Key": "settled", "Value": "true"}]}
    road.s3.put_object_tagging(Bucket=road.bucket, Key=key, VersionId=road.record(key).version_id, Tagging=tags)


def test_an_object_that_stays_unsettled_past_its_time_is_counted_with_its_age(road, past_their_time):
    past_their_time("failed", "bronze")
    young = road.lines(1)

    swept = road.sweep()

    assert swept["unsettled"] == 2
    assert swept["unsettled_seconds"] >= 2
    assert road.record(young).status == "pending"


def test_a_file_in_silver_whose_tag_was_lost_is_told_and_one_that_has_it_is_not(road, past_their_time):
    lost, tagged = past_their_time("silver", "silver")
    settled(road, tagged)

    assert road.sweep()["unsettled"] == 1

    settled(road, lost)
    assert (road.sweep()["unsettled"], road.sweep()["unsettled_seconds"]) == (0, 0)


def test_the_manifest_of_an_export_is_not_waited_for(road, past_their_time):
    road.arrives("raw/beer/export/1/manifest.json", b"{}")
    past_their_time()

    assert road.sweep()["unsettled"] == 0
