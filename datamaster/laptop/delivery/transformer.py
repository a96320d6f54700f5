"""Invoke the transformation function as Firehose does, and check its answer.

https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html, error codes:
https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-logs.html
"""

from __future__ import annotations

import binascii
import logging
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import boto3
import orjson
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from datamaster.laptop.delivery.stream import DeliveryStream

log = logging.getLogger(__name__)

FUNCTION_SECONDS = 300
RETRY_SECONDS, MOST_RETRY_SECONDS = 0.2, 5.0
OK, DROPPED, FAILED = "Ok", "Dropped", "ProcessingFailed"
REASON_KEY = "failure_reason"
TIMED_OUT = "Lambda.FunctionTimedOut"
STATUS_FAILED = "ProcessingFailed status set for record"
THROTTLED = ("TooManyRequestsException", "EC2ThrottledException")


class InvocationFailed(Exception):
    """An invocation gave no usable answer. ``code`` is Firehose's error code. ``repeated`` means that Firehose retries."""

    def __init__(self, code: str, message: str, *, repeated: bool = False) -> None:
        super().__init__(message)
        self.code, self.repeated = code, repeated


class Stopping(Exception):
    """The worker is stopping. The records are undecided."""


class DeliveryRecord(NamedTuple):
    """A stream record on its way. ``record_id`` is its name in one invocation, ``arrived_at`` in milliseconds since 1970."""

    record_id: str
    data: bytes
    arrived_at: int
    shard: str
    sequence_number: str
    partition_key: str


NO_KEYS: Mapping[str, str] = {}


class Transformed(NamedTuple):
    """A transformed record: ``data`` for the partition of ``keys``, nothing if it was dropped, or an error with its code."""

    record: DeliveryRecord
    result: str
    data: bytes = b""
    keys: Mapping[str, str] = NO_KEYS
    error_code: str = ""
    error_message: str = ""
    attempts: int = 1


class Transformer:
    """The transformation function of one delivery stream.

    ``stopping`` ends the wait between two attempts. ``invoked`` is called with each attempt's success.
    """

    def __init__(self, stream: DeliveryStream, stopping: threading.Event, invoked: Callable[[bool], None]) -> None:
        self._stream, self._stopping, self._invoked = stream, stopping, invoked
        # the retries are Firehose's own, counted here
        self._lambda = boto3.client("lambda", config=Config(read_timeout=FUNCTION_SECONDS, retries={"total_max_attempts": 1}))

    def transform(self, records: Sequence[DeliveryRecord]) -> list[Transformed]:
        """Every record's outcome, in order. An invocation that timed out or was throttled is repeated; then its records have failed.

        Other failures are not retried: https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html

        Raises ``Stopping``. Raises botocore's errors if Lambda did not answer at all.
        """
        event = self._event(records)
        attempts = self._stream.retries + 1
        for attempt in range(1, attempts + 1):
            try:
                answers = self._answers(event, records)
            except InvocationFailed as failure:
                log.warning("invocation %d of %d failed: %s: %s", attempt, attempts, failure.code, failure)
                last = failure
                self._invoked(False)
                if not failure.repeated or attempt == attempts:
                    break
                if self._stopping.wait(min(RETRY_SECONDS * 2 ** min(attempt - 1, 10), MOST_RETRY_SECONDS)):
                    raise Stopping from failure
            else:
                self._invoked(True)
                return [_outcome(record, answers[record.record_id], attempt) for record in records]
        return [failed(record, last.code, str(last), attempt) for record in records]

    def _event(self, records: Sequence[DeliveryRecord]) -> bytes:
        return orjson.dumps(
            {
                "invocationId": str(uuid.uuid4()),
                "deliveryStreamArn": self._stream.arn,
                "sourceKinesisStreamArn": self._stream.source_arn,
                "region": self._stream.region,
                "records": [
                    {
                        "recordId": record.record_id,
                        "approximateArrivalTimestamp": record.arrived_at,
                        "data": binascii.b2a_base64(record.data, newline=False).decode(),
                        "kinesisRecordMetadata": {
                            "sequenceNumber": record.sequence_number,
                            "subsequenceNumber": 0,
                            "partitionKey": record.partition_key,
                            "shardId": record.shard,
                            "approximateArrivalTimestamp": record.arrived_at,
                        },
                    }
                    for record in records
                ],
            }
        )

    def _answers(self, event: bytes, records: Sequence[DeliveryRecord]) -> dict[str, Mapping[str, Any]]:
        """The answer by record id: the same ids, each once. Raises ``InvocationFailed``."""
        payload = self._invoke(event)
        try:
            listed = orjson.loads(payload)["records"]
            answers = {entry["recordId"]: entry for entry in listed}
        except (ValueError, TypeError, KeyError) as error:
            raise InvocationFailed(
                "Lambda.JsonProcessingException", f"the answer is no {{records: [{{recordId, …}}]}}: {error!r}"
            ) from error
        if len(answers) < len(listed):
            twice = Counter(entry["recordId"] for entry in listed).most_common(1)[0][0]
            raise InvocationFailed("Lambda.DuplicatedRecordId", f"record {twice} was answered more than once")
        missing = [record.record_id for record in records if record.record_id not in answers]
        if missing or len(answers) > len(records):
            raise InvocationFailed("Lambda.MissingRecordId", f"{len(missing)} of {len(records)} records were not answered, or others were")
        return answers

    def _invoke(self, event: bytes) -> bytes:
        try:
            answer = self._lambda.invoke(FunctionName=self._stream.function_arn, Payload=event)
            payload: bytes = answer["Payload"].read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"].get("HTTPStatusCode", 500)
            if status < 500 or code in THROTTLED:
                raise InvocationFailed(f"Lambda.{code.removesuffix('Exception')}", str(error), repeated=code in THROTTLED) from error
            raise
        except ReadTimeoutError as error:
            raise InvocationFailed(TIMED_OUT, f"no answer within {FUNCTION_SECONDS} seconds", repeated=True) from error
        if answer.get("FunctionError"):
            raise InvocationFailed("Lambda.FunctionError", payload.decode(errors="replace")[:1000])
        return payload


def _outcome(record: DeliveryRecord, answer: Mapping[str, Any], attempt: int) -> Transformed:
    result = answer.get("result")
    keys: Mapping[str, str] = (answer.get("metadata") or {}).get("partitionKeys") or NO_KEYS
    if result == DROPPED:
        return Transformed(record, DROPPED)
    if result == OK:
        try:
            return Transformed(record, OK, binascii.a2b_base64(answer["data"], strict_mode=True), keys)
        except (KeyError, TypeError, ValueError):
            return failed(record, "Lambda.JsonProcessingException", "data is no base64", attempt)
    if result == FAILED:
        # Firehose writes the first half; where the function gave its reason, this worker writes it too
        message = f"{STATUS_FAILED}: {keys[REASON_KEY]}" if keys.get(REASON_KEY) else STATUS_FAILED
        return failed(record, "Lambda.ProcessingFailedStatus", message, attempt)
    return failed(record, "Lambda.JsonProcessingException", f'result "{result}"; one of {OK}, {DROPPED}, {FAILED}', attempt)


def failed(record: DeliveryRecord, code: str, message: str, attempts: int = 1) -> Transformed:
    """The outcome of a record that goes under errors/."""
    return Transformed(record, FAILED, error_code=code, error_message=message, attempts=attempts)
