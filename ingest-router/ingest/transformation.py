"""Firehose's data transformation, with one answer per record.

https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-status-model.html
"""

from __future__ import annotations

import binascii
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from aws_lambda_powertools.utilities.data_classes.kinesis_firehose_event import (
    KinesisFirehoseDataTransformationRecord,
    KinesisFirehoseDataTransformationRecordMetadata,
    KinesisFirehoseRecord,
)

from ingest.dms_messages import CONTROL, NotUnderstood
from ingest.routing import Router
from lake.control import Refusal

RESPONSE_LIMIT = 6_000_000
"""Bytes of one answer, slightly below Lambda's 6 MB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
ENVELOPE = 160
REASON_KEY = "failure_reason"

Answer = KinesisFirehoseDataTransformationRecord
Keys = KinesisFirehoseDataTransformationRecordMetadata


@dataclass
class Counts:
    """The counts of a batch. Records in = ok + control + failed + returned. Lines out = ok + splits + fences."""

    records: int = 0
    ok: int = 0
    control: int = 0
    failed: int = 0
    returned: int = 0
    splits: int = 0
    fences: int = 0

    @property
    def lines(self) -> int:
        """Raw lines written."""
        return self.ok + self.splits + self.fences


@dataclass(frozen=True)
class Failure:
    """A record without lines. Its raw data lies under errors/, and ``raw_sha256`` is the digest of those bytes.

    ``table`` is schema.table of the source. It and ``operation`` are empty if the record does not say them.
    """

    record_id: str
    raw_sha256: str
    reason: str
    table: str
    operation: str


@dataclass
class TransformedBatch:
    """The answer to one invocation.

    ``returned`` holds the records to put back on the source stream, ``refusals`` the rows of loads among the failures, by table.
    """

    counts: Counts = field(default_factory=Counts)
    answers: list[Answer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    returned: list[KinesisFirehoseRecord] = field(default_factory=list)
    refusals: dict[str, set[Refusal]] = field(default_factory=lambda: defaultdict(set))


class Transformation:
    """Transforms the records of one invocation.

    A record that is not understood is ProcessingFailed. It is never Dropped, which Firehose counts as success. It keeps its
    data. Its reason is in the log and in its answer's partition keys, which Firehose ignores.

    Lines that name every column can be longer than their messages, and Lambda's answer is limited. Records that do not fit are
    ``returned``: the caller puts them back on the source stream. Their positions keep the order, so their arrival does not
    matter. The first record always fits, so a returned batch shrinks each time. A record that alone is too long fails.
    """

    def __init__(self, router: Router, response_limit: int = RESPONSE_LIMIT) -> None:
        self._router = router
        self._limit = response_limit

    def run(self, records: Iterable[KinesisFirehoseRecord]) -> TransformedBatch:
        """Answer every record, in order."""
        batch = TransformedBatch()
        listed = list(records)
        room = self._limit - sum(ENVELOPE + len(record.record_id) for record in listed)
        for record in listed:
            batch.counts.records += 1
            room = self._add(record, batch, room)
        return batch

    def refusal(self, raw: bytes) -> str | None:
        """The reason for which one record would be refused now, or None."""
        record = KinesisFirehoseRecord({"recordId": "", "data": binascii.b2a_base64(raw, newline=False).decode()})
        return next((failure.reason for failure in self.run([record]).failures), None)

    def _add(self, record: KinesisFirehoseRecord, batch: TransformedBatch, room: int) -> int:
        """Answer one record. Returns the bytes that are left for the answer."""
        raw = binascii.a2b_base64(record.data)
        counts = batch.counts
        try:
            routed = self._router.route(raw)
        except NotUnderstood as error:
            return self._fail(record, raw, str(error), batch, room)
        data = binascii.b2a_base64(routed.lines, newline=False).decode()
        if len(data) > room:
            if not batch.answers:
                return self._fail(record, raw, f"its lines make {len(data)} bytes; a function's answer takes {self._limit}", batch, room)
            return _give_back(record, batch, room)
        if routed.kind == CONTROL:
            counts.control += 1
            counts.fences += bool(routed.lines)
        else:
            counts.ok += 1
            counts.splits += routed.split
        keys = _place(routed.table, self._router.version)
        batch.answers.append(Answer(record.record_id, "Ok", data, keys) if data else Answer(record.record_id, "Dropped"))
        return room - len(data)

    def _fail(self, record: KinesisFirehoseRecord, raw: bytes, reason: str, batch: TransformedBatch, room: int) -> int:
        size = len(record.data) + 2 * len(reason)
        if size > room and batch.answers:
            return _give_back(record, batch, room)
        batch.counts.failed += 1
        if refused := self._router.refused_load(raw):
            table, refusal = refused
            batch.refusals[table].add(refusal)
        batch.failures.append(Failure(record.record_id, hashlib.sha256(raw).hexdigest(), reason, *self._router.origin(raw)))
        batch.answers.append(Answer(record.record_id, "ProcessingFailed", record.data, Keys({REASON_KEY: reason})))
        return room - size


def _give_back(record: KinesisFirehoseRecord, batch: TransformedBatch, room: int) -> int:
    batch.counts.returned += 1
    batch.returned.append(record)
    batch.answers.append(Answer(record.record_id, "Dropped"))
    return room


@lru_cache(maxsize=256)
def _place(table: str, contract_version: str) -> Keys:
    """The partition keys that the delivery stream's prefix names."""
    return Keys({"table_name": table, "contract": contract_version})
