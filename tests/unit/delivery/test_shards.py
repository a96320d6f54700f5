"""Shards are read side by side, children after their parents, and a throttled read is no failure.

The stream here is a stand-in, because the emulator neither throttles nor keeps a shard that was split.
"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from datamaster.laptop.delivery.checkpoint import SHARD_END
from datamaster.laptop.delivery.shards import ShardReader


class Stream:
    """Kinesis with two records in a parent that was split, and two in its child."""

    def __init__(self) -> None:
        self.records = {"parent": ["1", "2"], "child": ["3", "4"]}
        self.errors: list[str] = []

    def list_shards(self, **_):
        return {"Shards": [{"ShardId": "child", "ParentShardId": "parent"}, {"ShardId": "parent"}]}

    def get_shard_iterator(self, ShardId, StartingSequenceNumber="0", **_):  # noqa: N803
        return {"ShardIterator": f"{ShardId}/{StartingSequenceNumber}"}

    def get_records(self, ShardIterator, **_):  # noqa: N803
        if self.errors:
            raise ClientError({"Error": {"Code": self.errors.pop(0)}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "GetRecords")
        shard, after = ShardIterator.split("/")
        found = [number for number in self.records[shard] if number > after][:1]
        rest = [number for number in self.records[shard] if found and number > found[0]]
        entry = {"Data": b"", "ApproximateArrivalTimestamp": 1700000000.0, "PartitionKey": "k"}
        more = rest or shard == "child"
        return {
            "Records": [{**entry, "SequenceNumber": number} for number in found],
            **({"NextShardIterator": f"{shard}/{found[0] if found else after}"} if more else {}),
        }


@pytest.fixture
def stream():
    return Stream()


def reader_of(stream, positions=None):
    return ShardReader(stream, stream, "arn", positions or {})


def read(reader, rounds=6):
    return [record.sequence_number for _ in range(rounds) for shard in reader.open_shards() for record in reader.read(shard)]


def test_a_child_is_read_after_the_end_of_its_parent(stream):
    assert read(reader_of(stream)) == ["1", "2", "3", "4"]


def test_reading_goes_on_behind_the_checkpoint(stream):
    assert read(reader_of(stream, {"parent": "1"})) == ["2", "3", "4"]
    assert read(reader_of(stream, {"parent": SHARD_END, "child": "3"})) == ["4"]


def test_an_iterator_that_expired_is_replaced_where_it_stood(stream):
    reader = reader_of(stream)
    assert read(reader, 1) == ["1"]
    stream.errors.append("ExpiredIteratorException")

    assert read(reader) == ["2", "3", "4"]


def test_a_throttled_shard_rests_and_goes_on(stream, monkeypatch):
    monkeypatch.setattr("datamaster.laptop.delivery.shards.THROTTLED_SECONDS", 0)
    stream.errors += ["ProvisionedThroughputExceededException"] * 2

    assert read(reader_of(stream), 8) == ["1", "2", "3", "4"]


def test_other_errors_are_raised(stream):
    stream.errors.append("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        read(reader_of(stream))
