"""Delivery into the stream, against a client that fails on demand: the emulator cannot be made to refuse single records."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from datamaster.replicator import outbox
from datamaster.replicator.messages import StreamRecord
from datamaster.replicator.outbox import Outbox, RecordTooLarge, Stopped, StreamRefused, batches, deliver, to_resend


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(outbox, "FIRST_PAUSE_SECONDS", 0.0)


class Stream:
    """Takes records, except where ``refuses`` (call number, place) or ``raises`` (by call) says otherwise."""

    def __init__(self, refuses=lambda call, place: False, raises=None):
        self.refuses, self.raises = refuses, dict(raises or {})
        self.taken, self.calls = [], 0

    def put_records(self, *, StreamName, Records):  # noqa: N803
        self.calls += 1
        if self.calls in self.raises:
            raise self.raises[self.calls]
        answers = []
        for place, record in enumerate(Records):
            if self.refuses(self.calls, place):
                answers.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                self.taken.append((record["PartitionKey"], record["Data"]))
                answers.append({"SequenceNumber": str(len(self.taken)), "ShardId": "shardId-000000000000"})
        return {"FailedRecordCount": sum("ErrorCode" in answer for answer in answers), "Records": answers}


def records(keys):
    return [StreamRecord(key, str(number).encode()) for number, key in enumerate(keys)]


def test_a_failed_record_and_the_later_ones_of_its_key_are_sent_again():
    sent = records("aabab")
    answers = [{}, {"ErrorCode": "x"}, {}, {}, {}]

    assert to_resend(sent, answers) == [sent[1], sent[3]]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.lists(st.sets(st.integers(0, 29)), max_size=5))
def test_whatever_fails_the_last_copies_of_each_key_are_in_order(keys, failures):
    stream = Stream(lambda call, place: call <= len(failures) and place in failures[call - 1])

    deliver(stream, "s", records(keys), threading.Event())

    for key in set(keys):
        copies = [int(data) for name, data in stream.taken if name == key]
        last = {number: at for at, number in enumerate(copies)}
        assert sorted(last, key=last.__getitem__) == [number for number, name in enumerate(keys) if name == key]


def test_a_call_that_fails_whole_is_repeated():
    throttled = ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "PutRecords")
    stream = Stream(raises={1: throttled, 2: EndpointConnectionError(endpoint_url="http://127.0.0.1:1")})

    assert deliver(stream, "s", records("ab"), threading.Event()) == 3
    assert len(stream.taken) == 2


def test_a_stream_that_does_not_exist_is_not_tried_again():
    stream = Stream(raises={1: ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no such stream"}}, "PutRecords")})

    with pytest.raises(StreamRefused, match=r'stream "s": .*no such stream'):
        deliver(stream, "s", records("a"), threading.Event())


def test_a_stop_ends_the_repeating():
    stop = threading.Event()
    stop.set()

    with pytest.raises(Stopped, match="1 records not yet taken"):
        deliver(Stream(lambda *_: True), "s", records("a"), stop)


def test_a_batch_holds_500_records_and_5_mib_at_most():
    small, large = records("a" * 1201), [StreamRecord("k", b"x" * 1_000_000)] * 12

    assert [len(batch) for batch in batches(small)] == [500, 500, 201]
    assert [len(batch) for batch in batches(large)] == [5, 5, 2]


def test_flush_returns_when_everything_is_in_the_stream_in_order():
    stream = Stream()
    box = Outbox(stream, "s", threading.Event())
    for record in records("ab" * 1500):
        box.add(record)

    box.flush()
    box.close()

    assert [int(data) for _, data in stream.taken] == list(range(3000))


def test_what_goes_wrong_in_the_sender_is_raised_at_the_flush():
    box = Outbox(Stream(raises={1: ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "PutRecords")}), "s", threading.Event())
    box.add(records("a")[0])

    with pytest.raises(StreamRefused):
        box.flush()
    box.close()


def test_a_record_over_one_mebibyte_is_refused_by_name():
    box = Outbox(Stream(), "s", threading.Event())

    with pytest.raises(RecordTooLarge, match=r'record "dm_core\.beer\.1" has 1048590 bytes; Kinesis takes 1048576'):
        box.add(StreamRecord("dm_core.beer.1", b"x" * 1024 * 1024))
    box.close()
