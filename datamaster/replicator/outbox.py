"""Send records to the stream in order, and resend them until Kinesis has accepted them.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from datamaster.replicator.messages import StreamRecord
from lake.errors import TerminalError, TransientError

BATCH_RECORDS = 500
BATCH_BYTES = 5 * 1024 * 1024
RECORD_BYTES = 1024 * 1024
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 5.0
BATCHES_WAITING = 4
REFUSALS = ("ResourceNotFoundException", "ValidationException", "InvalidArgumentException", "AccessDeniedException")

log = logging.getLogger(__name__)


class StreamRefused(TerminalError):
    """Kinesis refuses the records, and a retry would not help."""


class Stopped(TransientError):
    """The task was stopped before everything was delivered."""


class RecordTooLarge(TerminalError):
    """A record is larger than Kinesis allows."""

    def __init__(self, record: StreamRecord) -> None:
        super().__init__(f'record "{record.partition_key}" has {record.size} bytes; Kinesis takes {RECORD_BYTES}')


class PutRecords(Protocol):
    """The only method of a Kinesis client that delivery needs."""

    def put_records(self, *, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Put up to 500 records."""


def batches(records: Sequence[StreamRecord]) -> Iterator[list[StreamRecord]]:
    """Cut records into batches that one call may carry: 500 records and 5 MiB."""
    batch: list[StreamRecord] = []
    size = 0
    for record in records:
        if batch and (len(batch) == BATCH_RECORDS or size + record.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += record.size
    if batch:
        yield batch


def to_resend(records: Sequence[StreamRecord], answers: Sequence[dict[str, Any]]) -> list[StreamRecord]:
    """What must be sent again after a partial failure: each failed record and all later ones of its partition key.

    Later records are resent even if Kinesis accepted them, so that the last copies of a key's records are in order.
    """
    failed: set[str] = set()
    again = []
    for record, answer in zip(records, answers, strict=True):
        if "ErrorCode" in answer or record.partition_key in failed:
            failed.add(record.partition_key)
            again.append(record)
    return again


def deliver(client: PutRecords, stream: str, records: Sequence[StreamRecord], stop: threading.Event) -> int:
    """Put one batch, again and again until all of it is taken; returns how many calls it took.

    Raises ``StreamRefused`` if a retry cannot help, and ``Stopped`` if ``stop`` is set between calls.
    """
    waiting = list(records)
    pause = FIRST_PAUSE_SECONDS
    calls = 0
    while waiting:
        calls += 1
        try:
            answer = client.put_records(
                StreamName=stream, Records=[{"Data": record.data, "PartitionKey": record.partition_key} for record in waiting]
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in REFUSALS:
                raise StreamRefused(f'stream "{stream}": {error}') from error
            log.warning("stream %s: %s; trying again", stream, error)
        except BotoCoreError as error:
            log.warning("stream %s: %s; trying again", stream, error)
        else:
            if not answer["FailedRecordCount"]:
                break
            waiting = to_resend(waiting, answer["Records"])
        if stop.wait(pause):
            raise Stopped(f'stream "{stream}": stopped with {len(waiting)} records not yet taken')
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
    return calls


class Outbox:
    """A queue of records, sent by its own thread in one batch after the other, so that reading goes on.

    ``delivered`` is the newest mark of ``push`` before which everything is in the stream.
    """

    def __init__(self, client: PutRecords, stream: str, stop: threading.Event) -> None:
        self.delivered = 0
        self._client = client
        self._stream = stream
        self._stop = stop
        self._mark = self._handed_mark = 0
        self._pending: list[StreamRecord] = []
        self._pending_bytes = 0
        self._batches: queue.Queue[tuple[list[StreamRecord], int] | None] = queue.Queue(BATCHES_WAITING)
        self._failure: Exception | None = None
        self._sender = threading.Thread(target=self._send, name="put-records", daemon=True)
        self._sender.start()

    def add(self, record: StreamRecord) -> None:
        """Take a record; waits while too many are on their way.

        Raises ``RecordTooLarge``, and the error of an earlier delivery.
        """
        size = record.size
        if size > RECORD_BYTES:
            raise RecordTooLarge(record)
        self._pending.append(record)
        self._pending_bytes += size
        if len(self._pending) >= BATCH_RECORDS or self._pending_bytes >= BATCH_BYTES - RECORD_BYTES:
            self._hand_over()

    def push(self, mark: int) -> bool:
        """Send the added records, unless a batch is being sent. Then they wait, so that batches grow under load.

        ``delivered`` becomes ``mark`` when everything added so far is in the stream. Returns whether records wait.
        """
        self._check()
        self._mark = mark
        if not self._pending and mark == self._handed_mark:
            return False
        if self._batches.unfinished_tasks:
            return True
        self._hand_over()
        return False

    def flush(self) -> None:
        """Wait until every record is in the stream. Raises the error of a delivery."""
        self._hand_over()
        self._batches.join()
        self._check()

    def close(self) -> None:
        """End the thread. Records that were not flushed may be lost."""
        self._batches.put(None)
        self._sender.join()

    def _hand_over(self) -> None:
        self._check()
        self._handed_mark = self._mark
        self._batches.put((self._pending, self._mark))
        self._pending, self._pending_bytes = [], 0

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _send(self) -> None:
        while (handed := self._batches.get()) is not None:
            try:
                if self._failure is None:
                    records, mark = handed
                    for batch in batches(records):
                        deliver(self._client, self._stream, batch, self._stop)
                    self.delivered = mark
            except Exception as error:  # raised again in the thread that adds records
                self._failure = error
            finally:
                self._batches.task_done()
