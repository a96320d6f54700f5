"""What S3's messages and the control table's changes say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBStreamEvent
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSEvent

from ingest.conversions import is_due
from ingest.events import announced_objects, file_record

EVENTS = Path(__file__).parents[2] / "events"


@pytest.fixture
def messages():
    return list(SQSEvent(json.loads((EVENTS / "arrivals.json").read_text())).records)


@pytest.fixture
def change():
    return json.loads((EVENTS / "control_change.json").read_text())


def test_the_key_of_an_announced_object_is_decoded(messages):
    (raw,) = announced_objects(messages[0])

    assert raw.key == "raw/beer/2024/07/29/01/a bé+c.gz"
    assert (raw.size_bytes, raw.version_id) == (1024, "096fKKXTRTtl3on89fVO.nfljtsv6qko")


def test_the_test_message_of_s3_announces_nothing(messages):
    assert announced_objects(messages[1]) == []


def test_the_same_version_is_the_same_file_and_another_is_not(messages):
    (raw,) = announced_objects(messages[0])

    assert raw.file_id == dataclasses.replace(raw, etag="other").file_id
    assert raw.file_id != dataclasses.replace(raw, version_id="other").file_id


def test_a_new_file_of_the_control_table_is_due(change):
    record = file_record(next(DynamoDBStreamEvent(change).records))

    assert (record.file_id, record.attempt_count, record.compute_target) == ("0123456789abcdef0123456789abcdef", 1, "lambda")
    assert is_due(record)


@pytest.mark.parametrize(
    ("attributes", "due"),
    [
        ({"status": "running"}, False),
        ({"status": "bronze"}, False),
        ({"not_before": "9999-01-01T00:00:00.000000Z"}, False),
        ({"not_before": "2024-01-01T00:00:00.000000Z"}, True),
    ],
)
def test_only_pending_files_that_need_not_wait_are_due(change, attributes, due):
    change["Records"][0]["dynamodb"]["NewImage"] |= {name: {"S": value} for name, value in attributes.items()}
    record = file_record(next(DynamoDBStreamEvent(change).records))

    assert is_due(record) is due


def test_other_items_and_deletions_are_no_files(change):
    stream = change["Records"][0]["dynamodb"]
    fence = {**stream, "NewImage": {"pk": {"S": "table#beer"}, "sk": {"S": "fence#2024"}}}
    deleted = {name: value for name, value in stream.items() if name != "NewImage"}

    for image in (fence, deleted):
        change["Records"][0]["dynamodb"] = image
        assert file_record(next(DynamoDBStreamEvent(change).records)) is None
