"""Puts records back on the stream that they came from."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from aws_lambda_powertools.utilities.data_classes.kinesis_firehose_event import KinesisFirehoseRecord

from lake.errors import TransientError

RECORDS_A_CALL = 500
BYTES_A_CALL = 4_000_000
ATTEMPTS = 9
"""Over a hundred seconds in all, within the function's 120. Firehose does not repeat a failed invocation by itself."""
PAUSE_SECONDS = 0.2


class ReturnRefused(TransientError):
    """The source stream did not accept returned records. The whole batch must be transformed again."""


class SourceStream:
    """The Kinesis stream behind a delivery stream (PutRecords takes 500 records and 5 MB per call)."""

    @cached_property
    def _kinesis(self) -> Any:
        import boto3

        return boto3.client("kinesis")

    def put_back(self, stream_arn: str | None, records: Sequence[KinesisFirehoseRecord]) -> None:
        """Put records back under their partition keys. Raises ``ReturnRefused``, and some may then be there twice, which is harmless."""
        if stream_arn is None:
            raise ReturnRefused("the delivery stream has no source stream to give records back to")
        keyed = ((record.metadata.partition_key if record.metadata else record.record_id, record.data_as_bytes) for record in records)
        self.put(stream_arn, keyed)

    def put(self, stream_arn: str, records: Iterable[tuple[str, bytes]]) -> None:
        """Put records, each after its partition key. Raises ``ReturnRefused``, as ``put_back`` does."""
        chunk: list[dict[str, Any]] = []
        size = 0
        for key, data in records:
            if chunk and (len(chunk) == RECORDS_A_CALL or size + len(data) > BYTES_A_CALL):
                self._put(stream_arn, chunk)
                chunk, size = [], 0
            chunk.append({"Data": data, "PartitionKey": key})
            size += len(data) + len(key)
        if chunk:
            self._put(stream_arn, chunk)

    def _put(self, stream_arn: str, entries: list[dict[str, Any]]) -> None:
        for attempt in range(ATTEMPTS):
            answer = self._kinesis.put_records(StreamARN=stream_arn, Records=entries)
            if not answer["FailedRecordCount"]:
                return
            entries = [entry for entry, result in zip(entries, answer["Records"], strict=True) if result.get("ErrorCode")]
            time.sleep(PAUSE_SECONDS * 2**attempt)
        raise ReturnRefused(f"{len(entries)} records were refused {ATTEMPTS} times")
