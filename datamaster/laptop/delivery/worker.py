"""The delivery worker: stream → function → raw objects and error objects, at least once."""

from __future__ import annotations

import binascii
import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import boto3
import orjson
from botocore.exceptions import BotoCoreError, ClientError

from datamaster.laptop.delivery.buffers import Buffers
from datamaster.laptop.delivery.checkpoint import CHECKPOINT, SHARD_END, Checkpoint, load_checkpoint
from datamaster.laptop.delivery.prefix import MissingPartitionKey, evaluate
from datamaster.laptop.delivery.progress import FLUSH_REQUEST, INVOCATIONS, NOT_SUCCEEDED, SUCCEEDED
from datamaster.laptop.delivery.shards import Shard, ShardReader
from datamaster.laptop.delivery.stream import DeliveryStream
from datamaster.laptop.delivery.transformer import (
    DROPPED,
    FAILED,
    OK,
    THROTTLED,
    DeliveryRecord,
    Stopping,
    Transformed,
    Transformer,
    failed,
)
from datamaster.wire.kinesis import KinesisRecords

log = logging.getLogger(__name__)
T = TypeVar("T")

IDLE_SECONDS = 0.2  # Kinesis answers five reads a second and shard
SHARDS_AT_ONCE = 4
PATIENCE_SECONDS = 0.5
OBJECT_VERSION = 1
_COUNTED = {OK: "ok", DROPPED: "dropped", FAILED: "failed"}


class DeliveryWorker:
    """Delivers one stream.

    The checkpoint moves to a record after this record and all before it in its shard are in S3. So a killed worker rereads some records and
    misses none. ``seconds_limit`` caps an object's age, below the delivery stream's setting.
    """

    def __init__(self, stream: DeliveryStream, state: Path, seconds_limit: float | None = None) -> None:
        self._stream = stream
        self._state = state
        self._buffers = Buffers(stream.compressed, stream.buffer_bytes, min(stream.buffer_seconds, seconds_limit or stream.buffer_seconds))
        self._reader = ShardReader(boto3.client("kinesis"), KinesisRecords(), stream.source_arn, {})
        self._counts: Counter[str] = Counter()
        self._invocations: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._stopping = threading.Event()
        self._transformer = Transformer(stream, self._stopping, self._count_invocation)
        self._checkpoint = Checkpoint("")
        self._s3 = boto3.client("s3")
        self._pool = ThreadPoolExecutor(SHARDS_AT_ONCE, thread_name_prefix="shard")

    def stop(self) -> None:
        """Make ``run`` write all open objects and return."""
        self._stopping.set()

    def run(self) -> None:
        """Deliver until ``stop``. Raises AWS's error if a wait cannot help, for example if the stream is gone."""
        self._state.mkdir(parents=True, exist_ok=True)
        created_at = self._patiently(self._reader.created_at)
        self._checkpoint = load_checkpoint(self._state / CHECKPOINT, created_at)
        self._counts.update(self._checkpoint.counts)
        self._reader.start_at(self._checkpoint.shards)
        start = dict(self._checkpoint.shards) or "the beginning"
        log.info("delivering %s to s3://%s from %s", self._stream.source_arn, self._stream.bucket, start)
        while not self._stopping.is_set():
            read = self._read_round()
            if read:
                log.info("%d records transformed", read)
            self._flush(everything=self._flush_requested(read))
            if not read:
                self._stopping.wait(IDLE_SECONDS)
        self._flush(everything=True)
        log.info("stopped: %s", dict(self._counts))

    def _read_round(self) -> int:
        """Read, transform and append once for every open shard, shards side by side. Returns the records read."""
        read = 0
        tasks = [self._pool.submit(self._transformed, shard) for shard in self._patiently(self._reader.open_shards)]
        for task in as_completed(tasks):
            shard, batches = task.result()
            for batch in batches:
                self._append(batch)
                read += len(batch)
            if shard.ended and not self._stopping.is_set():
                self._buffers.handed(shard.name, SHARD_END)
        return read

    def _transformed(self, shard: Shard) -> tuple[Shard, list[list[Transformed]]]:
        """One read of a shard, with its records transformed. If the worker is stopping, the rest stays for the next worker."""
        batches = []
        for request in requests(self._patiently(lambda: self._reader.read(shard)), self._stream.request_bytes):
            if self._stopping.is_set():
                break
            try:
                batches.append(self._patiently(lambda records=request: self._transformer.transform(records)))  # type: ignore[misc]
            except Stopping:
                break
        return shard, batches

    def _count_invocation(self, succeeded: bool) -> None:
        """Count an invocation. Shards count in parallel, and the file is replaced atomically."""
        with self._counting:
            self._invocations[SUCCEEDED if succeeded else NOT_SUCCEEDED] += 1
            part = self._state / f"{INVOCATIONS}.part"
            part.write_bytes(orjson.dumps(self._invocations))
            part.replace(self._state / INVOCATIONS)

    def _flush_requested(self, read: int) -> bool:
        """Whether a flush was requested. It is answered once the stream has been read to its end."""
        request = self._state / FLUSH_REQUEST
        if read or not request.exists():
            return False
        request.unlink(missing_ok=True)
        return True

    def _append(self, outcomes: list[Transformed]) -> None:
        """Add consecutive records of one shard to their objects: good ones by partition, raw data of others under errors/."""
        last = outcomes[-1].record
        self._counts["received"] += len(outcomes)
        now = datetime.now(UTC)
        for keys, group in groupby(outcomes, key=lambda outcome: outcome.keys if outcome.result == OK else None):
            placed = list(group)
            if keys is not None:
                try:
                    prefix = evaluate(self._stream.prefix, now, keys)
                except MissingPartitionKey as missing:
                    reason = f'the answer has no partition key "{missing}"'
                    placed = [failed(outcome.record, "DynamicPartitioning.MissingPartitionKey", reason) for outcome in placed]
                else:
                    self._buffers.append(prefix, b"".join([outcome.data for outcome in placed]), last.shard)
            for outcome in placed:
                self._counts[_COUNTED[outcome.result]] += 1
                if outcome.result == FAILED:
                    self._append_error(outcome)
        self._buffers.handed(last.shard, last.sequence_number)

    def _append_error(self, outcome: Transformed) -> None:
        """https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html#data-transformation-failure-handling"""
        now = datetime.now(UTC)
        line = {
            "attemptsMade": outcome.attempts,
            "arrivalTimestamp": outcome.record.arrived_at,
            "errorCode": outcome.error_code,
            "errorMessage": outcome.error_message,
            "attemptEndingTimestamp": int(now.timestamp() * 1000),
            "rawData": binascii.b2a_base64(outcome.record.data, newline=False).decode(),
            "lambdaArn": self._stream.function_arn,
        }
        prefix = evaluate(self._stream.error_prefix, now, {}, error_type="processing-failed")
        self._buffers.append(prefix, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE), outcome.record.shard)

    def _flush(self, everything: bool = False) -> None:
        for prefix in self._buffers.due(everything):
            body = self._buffers.body(prefix)
            key = f"{prefix}{self._stream.name}-{OBJECT_VERSION}-{datetime.now(UTC):%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}{self._extension}"
            self._patiently(lambda key=key, body=body: self._s3.put_object(Bucket=self._stream.bucket, Key=key, Body=body))  # type: ignore[misc]
            self._buffers.written(prefix)
            self._counts["objects"] += 1
            log.info("wrote %s, %d bytes", key, len(body))
        safe = {**self._checkpoint.shards, **dict(self._buffers.safe())}
        if safe != self._checkpoint.shards:
            self._checkpoint = Checkpoint(self._checkpoint.stream_created_at, safe, dict(self._counts))
            self._checkpoint.save(self._state / CHECKPOINT)

    @property
    def _extension(self) -> str:
        return self._stream.extension or (".gz" if self._stream.compressed else "")

    def _patiently(self, call: Callable[[], T]) -> T:
        """Retry a call while it may succeed. Firehose gives up after its retries or a day, this worker when it is stopped."""
        while True:
            try:
                return call()
            except (BotoCoreError, ClientError) as error:
                if self._stopping.is_set() or not _passes(error):
                    raise
                log.warning("trying again: %s", error)
                time.sleep(PATIENCE_SECONDS)


def _passes(error: BotoCoreError | ClientError) -> bool:
    """Whether a wait may help: no answer, a service failure, or throttling."""
    if not isinstance(error, ClientError):
        return True
    return error.response["ResponseMetadata"].get("HTTPStatusCode", 500) >= 500 or error.response["Error"]["Code"] in THROTTLED


def requests(records: list[DeliveryRecord], limit: int) -> Iterator[list[DeliveryRecord]]:
    """Cut records into invocations of at most ``limit`` bytes; a longer record goes alone."""
    request: list[DeliveryRecord] = []
    size = 0
    for record in records:
        if request and size + len(record.data) > limit:
            yield request
            request, size = [], 0
        request.append(record)
        size += len(record.data)
    if request:
        yield request
