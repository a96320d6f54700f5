"""The worker against a real stream, a deployed function and a real bucket."""

from __future__ import annotations

import re

import boto3
import orjson
import pytest

pytestmark = pytest.mark.integration

KEY = re.compile(r"raw/beer/contract=[0-9a-f]{12}/\d{4}/\d\d/\d\d/\d\d/dm-delivery-local-1-\d{4}(-\d\d){5}-[0-9a-f-]{36}\.gz")


def beers(dms_change, numbers):
    return [dms_change(beer_id=n, brewery_id=1, beer_name=f"Bière {n}", lsn=n + 1) for n in numbers]


def test_records_arrive_as_gzip_lines_under_their_table_and_hour(delivery, dms_change):
    delivery.put(*beers(dms_change, range(1500)), dms_change(table="brewery", brewery_id=1, brewery_name="X"))
    delivery.worker()

    delivery.delivered()

    assert sorted(line["beer_id"] for line in delivery.lines()) == list(range(1500))
    assert [line["brewery_name"] for line in delivery.lines("brewery")] == ["X"]
    assert delivery.errors() == []
    assert all(KEY.fullmatch(key) for key in delivery.keys("raw/beer/"))


def test_bad_messages_land_under_errors_with_their_reason_and_hold_nothing_up(delivery, dms_change):
    bad = {
        b"no json": "no valid JSON",
        dms_change(table="ale", beer_id=1): 'table "dm_core.ale" has no contract',
        dms_change(beer_id=1, brewery_id=1, beer_name=None): 'column "beer_name"',
    }
    delivery.put(*bad, *beers(dms_change, range(3)))
    delivery.worker()

    delivery.delivered()

    assert len(delivery.lines()) == 3
    errors = {error["rawData"]: error for error in delivery.errors()}
    assert errors.keys() == bad.keys()
    for raw, reason in bad.items():
        assert errors[raw]["errorCode"] == "Lambda.ProcessingFailedStatus"
        assert reason in errors[raw]["errorMessage"]
    assert all(key.startswith("errors/processing-failed/") for key in delivery.keys("errors/"))


def test_a_worker_killed_between_flushes_loses_nothing(delivery, dms_change):
    delivery.put(*beers(dms_change, range(600)))
    first = delivery.worker(interval=0.5)
    delivery.wait_for_objects(1)
    delivery.put(*beers(dms_change, range(600, 1200)))
    first.kill()
    first.wait()
    assert 0 < len({line["beer_id"] for line in delivery.lines()}) < 1200

    delivery.worker()
    delivery.delivered()

    assert {line["beer_id"] for line in delivery.lines()} == set(range(1200))


def test_a_worker_told_to_stop_writes_what_it_holds_and_its_successor_repeats_nothing(delivery, dms_change):
    delivery.put(*beers(dms_change, range(50)))
    first = delivery.worker()
    delivery.wait_until_transformed(50)
    assert delivery.keys() == []
    first.terminate()
    assert first.wait(20) == 0
    assert len(delivery.lines()) == 50
    delivery.put(*beers(dms_change, range(50, 80)))

    delivery.worker()
    delivery.delivered()

    assert sorted(line["beer_id"] for line in delivery.lines()) == list(range(80))


def test_an_open_object_is_written_when_its_interval_is_over(delivery, dms_change):
    delivery.worker(interval=1)
    delivery.put(*beers(dms_change, range(5)))

    delivery.wait_for_objects(1)

    assert len(delivery.lines()) == 5


def test_a_checkpoint_of_an_earlier_stream_of_the_same_name_is_not_used(delivery, dms_change):
    delivery.state.mkdir()
    stale = {"stream_created_at": "1.0", "shards": {"shardId-000000000000": "9" * 56, "shardId-000000000001": "SHARD_END"}, "counts": {}}
    (delivery.state / "checkpoint.json").write_bytes(orjson.dumps(stale))
    delivery.put(*beers(dms_change, range(20)))
    delivery.worker(interval=0.5)

    delivery.wait_for_objects(1)
    delivery.delivered()

    assert len(delivery.lines()) == 20


def test_a_shard_that_splits_while_the_worker_runs_is_followed_by_its_children(delivery, dms_change):
    delivery.put(*beers(dms_change, range(40)))
    delivery.worker()
    delivery.delivered()
    shard = boto3.client("kinesis").list_shards(StreamName=delivery.name)["Shards"][0]
    low, high = (int(shard["HashKeyRange"][name]) for name in ("StartingHashKey", "EndingHashKey"))
    delivery.kinesis.split_shard(StreamName=delivery.name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str((low + high) // 2))
    delivery.put(*beers(dms_change, range(40, 80)))

    delivery.delivered()

    assert sorted(line["beer_id"] for line in delivery.lines()) == list(range(80))


ANSWER = "def handler(event, context):\n    return {{'records': [{} for r in event['records'] * {}]}}"
DROPPED = "{'recordId': r['recordId'], 'result': 'Dropped', 'data': ''}"
KEYLESS = "{'recordId': r['recordId'], 'result': 'Ok', 'data': r['data']}"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("def handler(event, context):\n    raise RuntimeError('broken')", "Lambda.FunctionError"),
        ("def handler(event, context):\n    return {'records': []}", "Lambda.MissingRecordId"),
        ("def handler(event, context):\n    return 'nothing'", "Lambda.JsonProcessingException"),
        (ANSWER.format(DROPPED, 2), "Lambda.DuplicatedRecordId"),
    ],
    ids=["raises", "answers nothing", "answers no object", "answers twice"],
)
def test_a_function_that_breaks_the_contract_is_tried_once_and_its_records_go_to_errors(delivery_of, function_of, dms_change, source, code):
    delivery = delivery_of(function_of(source))
    raws = beers(dms_change, range(3))
    delivery.put(*raws)
    delivery.worker()

    delivery.delivered()

    errors = delivery.errors()
    assert sorted(error["rawData"] for error in errors) == sorted(raws)
    assert {(error["errorCode"], error["attemptsMade"]) for error in errors} == {(code, 1)}


def test_a_function_that_stays_throttled_loses_its_records_to_errors_when_the_retries_are_over(delivery, dms_change, transform_function):
    lambdas = boto3.client("lambda")
    lambdas.put_function_concurrency(FunctionName=transform_function, ReservedConcurrentExecutions=0)
    try:
        raws = beers(dms_change, range(3))
        delivery.put(*raws)
        delivery.worker(retries=2)

        delivery.delivered()
    finally:
        lambdas.delete_function_concurrency(FunctionName=transform_function)

    errors = delivery.errors()
    assert sorted(error["rawData"] for error in errors) == sorted(raws)
    assert {(error["errorCode"], error["attemptsMade"]) for error in errors} == {("Lambda.TooManyRequests", 3)}


def test_records_wait_while_the_function_has_no_room(delivery, dms_change, transform_function):
    lambdas = boto3.client("lambda")
    lambdas.put_function_concurrency(FunctionName=transform_function, ReservedConcurrentExecutions=0)
    try:
        delivery.put(*beers(dms_change, range(5)))
        delivery.worker()
        delivery.wait_for_log("invocation 1 of 301 failed: Lambda.TooManyRequests")
    finally:
        lambdas.delete_function_concurrency(FunctionName=transform_function)

    delivery.delivered()

    assert delivery.errors() == []
    assert len(delivery.lines()) == 5


def test_a_good_record_without_its_partition_key_goes_to_errors(delivery_of, function_of, dms_change):
    delivery = delivery_of(function_of(ANSWER.format(KEYLESS, 1)))
    delivery.put(dms_change(beer_id=1))
    delivery.worker()

    delivery.delivered()

    assert ["table_name" in error["errorMessage"] for error in delivery.errors()] == [True]
