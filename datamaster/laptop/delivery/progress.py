"""Ask a running worker to flush, and check whether everything on the stream is in S3."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import boto3
import orjson

from datamaster.laptop.delivery.checkpoint import CHECKPOINT, SHARD_END
from lake.errors import TransientError

FLUSH_REQUEST = "flush"
INVOCATIONS, SUCCEEDED, NOT_SUCCEEDED = "invocations.json", "succeeded", "failed"
"""Where a worker counts its function's invocations, also those that it repeats while nothing is delivered."""
POLL_SECONDS = 0.2


class DeliveryBehind(TransientError):
    """The worker did not deliver everything in the time given."""


def request_flush(state: Path) -> None:
    """Ask the worker with this state directory to write its open objects now instead of when they are full or old."""
    (state / FLUSH_REQUEST).touch()


def caught_up(checkpoint_file: Path, stream_name: str) -> bool:
    """Whether every record that was on the stream before this call lies in S3 (or was refused into errors/, or dropped)."""
    try:
        shards = orjson.loads(checkpoint_file.read_bytes())["shards"]
    except FileNotFoundError:
        shards = {}
    kinesis = boto3.client("kinesis")
    listed = kinesis.get_paginator("list_shards").paginate(StreamName=stream_name).search("Shards[].ShardId")
    return all(_nothing_after(kinesis, stream_name, shard, shards.get(shard)) for shard in listed)


def _nothing_after(kinesis: Any, stream: str, shard: str, position: str | None) -> bool:
    if position == SHARD_END:
        return True
    start = {"ShardIteratorType": "TRIM_HORIZON"}
    if position is not None:
        start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": position}
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **start)["ShardIterator"]
    while iterator:
        answer = kinesis.get_records(ShardIterator=iterator, Limit=1)
        if answer["Records"]:
            return False
        if not answer.get("MillisBehindLatest"):
            return True
        iterator = answer.get("NextShardIterator")
    return True


def flushed(state: Path, stream_name: str) -> bool:
    """Whether everything on the stream is in S3. If not, ask the worker to flush. Call it until it is true.

    The stream is only queried after the worker's answer, because the emulator then searches all records.
    """
    if (state / FLUSH_REQUEST).exists():
        return False
    if caught_up(state / CHECKPOINT, stream_name):
        return True
    request_flush(state)
    return False


def wait_until_delivered(state: Path, stream_name: str, timeout_seconds: float) -> None:
    """Flush until everything on the stream lies in S3. Raises ``DeliveryBehind``."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        if flushed(state, stream_name):
            return
        if time.monotonic() > deadline:
            raise DeliveryBehind(f'stream "{stream_name}" was not delivered within {timeout_seconds:.0f} s; see the delivery worker\'s log')
        time.sleep(POLL_SECONDS)
