"""Reads a Kinesis stream shard by shard, children after their parents.

https://docs.aws.amazon.com/streams/latest/dev/developing-consumers-with-sdk.html
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError

from datamaster.laptop.delivery.checkpoint import SHARD_END
from datamaster.laptop.delivery.transformer import DeliveryRecord

log = logging.getLogger(__name__)

RECORDS_A_READ = 5000
LIST_SECONDS = 10.0
THROTTLED_SECONDS = 1.0
THROTTLED = ("ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException")


@dataclass
class Shard:
    """One shard being read. ``last`` is the last sequence number read, ``iterator`` None until it is fetched."""

    name: str
    last: str | None
    iterator: str | None = None
    resume_at: float = 0.0
    ended: bool = False


class GetRecords(Protocol):
    """The call made for every batch of records. Arrival times are seconds since 1970."""

    def get_records(self, *, ShardIterator: str, Limit: int) -> dict[str, Any]:  # noqa: N803
        """Read up to 10,000 records."""


class ShardReader:
    """Reads all shards of a stream from given positions. A shard without a position is read from its beginning.

    ``kinesis`` is a boto3 client. ``source`` reads the records.
    """

    def __init__(self, kinesis: Any, source: GetRecords, stream_arn: str, positions: Mapping[str, str]) -> None:
        self._kinesis = kinesis
        self._source = source
        self._arn = stream_arn
        self._positions = dict(positions)
        self._shards: dict[str, Shard] = {}
        self._list_at = 0.0

    def created_at(self) -> str:
        """When the stream was made."""
        summary = self._kinesis.describe_stream_summary(StreamARN=self._arn)["StreamDescriptionSummary"]
        return str(summary["StreamCreationTimestamp"].timestamp())

    def start_at(self, positions: Mapping[str, str]) -> None:
        """Read from these positions on."""
        self._positions = dict(positions)
        self._shards.clear()
        self._list_at = 0.0

    def open_shards(self) -> list[Shard]:
        """The shards to read now: neither ended nor resting because they were throttled."""
        self._find_shards()
        return [shard for shard in self._shards.values() if not shard.ended and shard.resume_at <= time.monotonic()]

    def _find_shards(self) -> None:
        if time.monotonic() < self._list_at:
            return
        self._list_at = time.monotonic() + LIST_SECONDS
        arguments: dict[str, Any] = {"StreamARN": self._arn}
        listed = []
        while True:
            answer = self._kinesis.list_shards(**arguments)
            listed += answer["Shards"]
            if "NextToken" not in answer:
                break
            arguments = {"NextToken": answer["NextToken"]}
        present = {entry["ShardId"] for entry in listed}
        for entry in listed:
            name = entry["ShardId"]
            parents = {entry.get("ParentShardId"), entry.get("AdjacentParentShardId")} & present
            if name not in self._shards and all(self._is_finished(parent) for parent in parents):
                position = self._positions.get(name)
                self._shards[name] = Shard(name, position, ended=position == SHARD_END)

    def _is_finished(self, name: str) -> bool:
        shard = self._shards.get(name)
        return shard.ended if shard else self._positions.get(name) == SHARD_END

    def read(self, shard: Shard) -> list[DeliveryRecord]:
        """The shard's next records; ``ended`` is set once there can be no more. Shards may be read side by side."""
        try:
            if shard.iterator is None:
                shard.iterator = self._iterator(shard)
            answer = self._source.get_records(ShardIterator=shard.iterator, Limit=RECORDS_A_READ)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ExpiredIteratorException":
                shard.iterator = None
                return []
            if code == "ResourceNotFoundException":
                # a closed shard is gone once its records are too old; where the stream itself is gone, listing says so
                self._end(shard)
                return []
            if code in THROTTLED:
                log.info("shard %s is throttled", shard.name)
                shard.resume_at = time.monotonic() + THROTTLED_SECONDS
                return []
            raise
        records = [_record(shard.name, entry) for entry in answer["Records"]]
        if records:
            shard.last = records[-1].sequence_number
        shard.iterator = answer.get("NextShardIterator")
        if shard.iterator is None:
            self._end(shard)
        return records

    def _end(self, shard: Shard) -> None:
        shard.ended = True
        self._list_at = 0.0
        log.info("shard %s has ended", shard.name)

    def _iterator(self, shard: Shard) -> str:
        position = (
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": shard.last}
            if shard.last
            else {"ShardIteratorType": "TRIM_HORIZON"}
        )
        iterator: str = self._kinesis.get_shard_iterator(StreamARN=self._arn, ShardId=shard.name, **position)["ShardIterator"]
        return iterator


def _record(shard: str, entry: Mapping[str, Any]) -> DeliveryRecord:
    sequence_number = entry["SequenceNumber"]
    return DeliveryRecord(
        record_id=f"{shard}:{sequence_number}",
        data=entry["Data"],
        arrived_at=int(entry["ApproximateArrivalTimestamp"] * 1000),
        shard=shard,
        sequence_number=sequence_number,
        partition_key=entry["PartitionKey"],
    )
