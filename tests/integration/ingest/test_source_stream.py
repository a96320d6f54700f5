"""Records that an answer cannot hold go back to the stream that they came from."""

from __future__ import annotations

import base64
import uuid

import boto3
import pytest
from aws_lambda_powertools.utilities.data_classes import KinesisFirehoseEvent

from ingest import source_stream

pytestmark = pytest.mark.integration


@pytest.fixture
def stream(emulator):
    name = f"changes-{uuid.uuid4().hex[:8]}"
    boto3.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    return f"arn:aws:kinesis:us-east-1:000000000000:stream/{name}"


def firehose_records(count):
    entries = [
        {"recordId": str(n), "data": base64.b64encode(b"%d" % n).decode(), "kinesisRecordMetadata": {"partitionKey": f"key-{n}"}}
        for n in range(count)
    ]
    return list(KinesisFirehoseEvent({"records": entries}).records)


def test_records_come_back_with_their_data_and_partition_keys(stream):
    source = source_stream.SourceStream()

    source.put_back(stream, firehose_records(1200))

    kinesis = boto3.client("kinesis")
    (shard,) = kinesis.list_shards(StreamARN=stream)["Shards"]
    start = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(StreamARN=stream, **start)["ShardIterator"]
    found = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert [(entry["Data"], entry["PartitionKey"]) for entry in found] == [(b"%d" % n, f"key-{n}") for n in range(1200)]


def test_without_a_source_stream_the_batch_fails_and_nothing_is_lost(emulator):
    module = source_stream

    with pytest.raises(module.ReturnRefused):
        module.SourceStream().put_back(None, firehose_records(1))
