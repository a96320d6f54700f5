"""Records sent and read without botocore's models are those that a boto3 client sends and reads."""

from __future__ import annotations

import time
from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from datamaster.wire.kinesis import KinesisRecords

pytestmark = pytest.mark.integration
STREAM = "records"
DATA = [b"", b"\x00\xff", "Bräu".encode()]


@pytest.fixture(scope="module")
def client(emulator: object) -> Iterator[object]:
    kinesis = boto3.client("kinesis")
    kinesis.create_stream(StreamName=STREAM, ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
    yield kinesis
    kinesis.delete_stream(StreamName=STREAM)


def iterator(client) -> str:
    return client.get_shard_iterator(StreamName=STREAM, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")["ShardIterator"]


def test_what_is_sent_is_read_alike_by_both(client):
    answer = KinesisRecords().put_records(StreamName=STREAM, Records=[{"Data": data, "PartitionKey": "ключ"} for data in DATA])
    ours = KinesisRecords().get_records(ShardIterator=iterator(client), Limit=10)
    theirs = client.get_records(ShardIterator=iterator(client), Limit=10)

    assert (answer["FailedRecordCount"], len(answer["Records"])) == (0, len(DATA))
    assert [entry["Data"] for entry in ours["Records"]] == DATA
    for mine, reference in zip(ours["Records"], theirs["Records"], strict=True):
        assert mine == reference | {"ApproximateArrivalTimestamp": reference["ApproximateArrivalTimestamp"].timestamp()}
    assert abs(ours["Records"][0]["ApproximateArrivalTimestamp"] - time.time()) < 60


def test_a_refusal_is_the_error_that_a_client_raises(client):
    with pytest.raises(ClientError) as refused:
        KinesisRecords().put_records(StreamName="no-such-stream", Records=[{"Data": b"x", "PartitionKey": "k"}])

    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_service_that_does_not_answer_is_botocore_s_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:9")

    with pytest.raises(BotoCoreError):
        KinesisRecords().get_records(ShardIterator="x", Limit=1)
