"""Rejected lines are an inbox: counted, shown masked, taken down the road again once as a new file, or dropped."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from control_api.troubles import of_files
from convert.release import QuarantineInbox
from lake.contract import store
from lake.contract.store import ContractStore, publish
from lake.control import Fence
from lake.control.inbox import DROPPED, SENT, InboxCounts, Selection
from lake.control.records import ControlRecord
from tests.integration.convert.conftest import Road, gz_lines, load

pytestmark = pytest.mark.integration
ANA = "arn:aws:iam::000000000000:user/ana"
CONTRACT = """
apiVersion: v3.0.2
kind: DataContract
id: item
version: 1.0.0
status: active
schema:
  - name: {table}
    physicalName: shop.{table}
    properties:
      - {{name: id, physicalType: bigint, primaryKey: true}}
      - {{name: n, physicalType: integer}}
      - {{name: label, physicalType: varchar(50), classification: personal, customProperties: [{{property: mask, value: redact}}]}}
"""
GOOD, WIDE, WRONG = {"id": 1, "n": 1, "label": "Ana"}, {"id": 2, "n": 3_000_000_000, "label": "Bo"}, {"id": 3, "n": "x", "label": "Cy"}
CSV = 'id,n,label\n1,1,Ana\n2,3000000000,"Bo, or\nB"\n3,x,Cy\n' + "".join(f"{n},1,Ana\n" for n in range(100, 160))


class Inbox:
    """A table of its own whose files have rejected lines, and its inbox."""

    def __init__(self, road: Road, folder: Path) -> None:
        self.road, self.folder = road, folder
        self.table = f"item_{uuid.uuid4().hex[:8]}"
        road.contracts_uri = f"s3://{road.artifacts}/contracts-{self.table}/"
        self.publish("integer")

    def publish(self, kind: str) -> None:
        (self.folder / "item.yaml").write_text(CONTRACT.format(table=self.table).replace("physicalType: integer", f"physicalType: {kind}"))
        publish(self.folder, self.road.contracts_uri)

    def arrives(self, name: str, body: bytes, file_format: str = "json") -> ControlRecord:
        """Convert a raw object, and settle it; its record."""
        file_id = self.road.arrives(self.table, name, body, file_format)
        assert self.road.convert(file_id).result == "converted"
        files = self.road.control.files
        assert files.assign(file_id, "batch")
        assert files.settle(file_id, "batch", "1")
        return self.road.record(file_id)

    def lines(self, *rows: dict[str, Any]) -> ControlRecord:
        return self.arrives("a.gz", gz_lines(*(json.dumps(load(**row), separators=(",", ":")) for row in rows)))

    @property
    def inbox(self) -> QuarantineInbox:
        return QuarantineInbox(self.road.lake, self.road.control, ContractStore(self.road.contracts_uri))

    @property
    def all(self) -> Selection:
        return Selection(self.table)

    def released(self) -> list[bytes]:
        """The text of every raw object that releases made."""
        listed = self.road.s3.list_objects_v2(Bucket=self.road.stage, Prefix=f"raw/{self.table}/released/").get("Contents", [])
        bodies = [self.road.s3.get_object(Bucket=self.road.stage, Key=entry["Key"])["Body"].read() for entry in listed]
        return [gzip.decompress(body) for body in bodies]

    def left(self) -> int:
        return sum(group.count for group in self.inbox.lines.groups(self.all))


@pytest.fixture
def inbox(road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    monkeypatch.setattr(store, "POINTER_TTL_SECONDS", 0.0)
    return Inbox(road, tmp_path)


def last(run: Iterable[InboxCounts]) -> InboxCounts:
    return list(run)[-1]


def test_lines_are_counted_by_reason_and_column_and_shown_masked(inbox: Inbox) -> None:
    record = inbox.lines(GOOD, WIDE, WRONG, WRONG | {"id": 4})

    assert [(group.reason, group.column, group.count, group.files) for group in inbox.inbox.lines.groups(inbox.all)] == [
        ("type", "n", 2, 1),
        ("range", "n", 1, 1),
    ]
    wide, *_ = inbox.inbox.lines.selected(inbox.all, with_lines=True)
    assert (wide.file_id, wide.line_number, json.loads(wide.line or "")["label"]) == (record.file_id, 2, "[redacted]")


@pytest.mark.parametrize(
    ("reason", "since", "until", "taken"),
    [("range", None, None, 1), ('column "n"', None, None, 2), (None, datetime(2100, 1, 1, tzinfo=UTC), None, 0), (None, None, 1, 0)],
)
def test_a_selection_filters_by_reason_and_time(inbox: Inbox, reason: Any, since: Any, until: Any, taken: int) -> None:
    inbox.lines(GOOD, WIDE, WRONG)
    before = datetime(2000, 1, 1, tzinfo=UTC) if until else None
    assert last([InboxCounts(), *inbox.inbox.try_out(Selection(inbox.table, reason, since, before))]).selected == taken


def test_a_dry_run_counts_what_the_contract_in_force_accepts_and_changes_nothing(inbox: Inbox) -> None:
    inbox.lines(GOOD, WIDE, WRONG)
    before = last(inbox.inbox.try_out(inbox.all))
    inbox.publish("bigint")
    after = last(inbox.inbox.try_out(inbox.all))

    assert (before.selected, before.passing, after.selected, after.passing) == (2, 0, 2, 1)
    assert [problem.partition(" (")[0] for problem in after.kept] == ['type in column "n"']
    assert (inbox.released(), inbox.left()) == ([], 2)


def test_lines_that_pass_become_a_new_file_once_and_the_others_stay(inbox: Inbox) -> None:
    record = inbox.lines(GOOD, WIDE, WRONG)
    inbox.publish("bigint")

    first, second = last(inbox.inbox.release(inbox.all, ANA)), last(inbox.inbox.release(inbox.all, ANA))

    assert (first.decided, first.kept.total(), second.selected, second.decided) == (1, 1, 1, 0)
    [text] = inbox.released()
    assert [json.loads(line)["id"] for line in text.splitlines()] == [2]
    again = inbox.arrives("again.gz", gzip.compress(text))
    assert [(row["id"], row["n"]) for row in inbox.road.rows(again.file_id)] == [(2, 3_000_000_000)]
    assert (inbox.left(), inbox.road.record(record.file_id).records_cleared) == (1, 1)


def test_records_of_a_csv_file_keep_their_header_and_their_line_breaks(inbox: Inbox) -> None:
    inbox.arrives("a.csv.gz", gzip.compress(CSV.encode()), "csv")
    inbox.publish("bigint")

    assert last(inbox.inbox.release(inbox.all, ANA)).decided == 1
    assert inbox.released() == [b'id,n,label\n2,3000000000,"Bo, or\nB"\n']


def test_a_release_that_ended_before_its_decision_is_finished_by_the_next(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.lines(GOOD, WIDE, WRONG)
    inbox.publish("bigint")
    with monkeypatch.context() as patch:
        patch.setattr(QuarantineInbox, "_decide", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(inbox.inbox.release(inbox.all, ANA))
    inbox.publish("text")  # every line passes now

    assert last(inbox.inbox.release(inbox.all, ANA)).decided == 1
    assert sorted(json.loads(line)["id"] for text in inbox.released() for line in text.splitlines()) == [2, 3]


def test_dropped_lines_are_listed_no_more_and_the_record_says_who_and_when(inbox: Inbox) -> None:
    record = inbox.lines(GOOD, WIDE, WRONG)
    began = datetime.now(UTC)
    last(inbox.inbox.drop(Selection(inbox.table, "type"), ANA))
    inbox.publish("bigint")
    last(inbox.inbox.release(inbox.all, "arn:bo"))

    decided = inbox.road.control.inbox.of(f"{record.quarantine_key}#{record.attempt_count}")
    assert [(one.action, one.by, one.entries) for one in decided.decisions] == [(DROPPED, ANA, 1), (SENT, "arn:bo", 1)]
    assert all(began <= datetime.fromisoformat(one.at) <= datetime.now(UTC) for one in decided.decisions)
    assert inbox.left() == 0
    assert list(of_files([inbox.road.record(record.file_id)])) == []


def test_a_new_attempt_has_a_quarantine_of_its_own(inbox: Inbox) -> None:
    record = inbox.lines(GOOD, WIDE, WRONG)
    last(inbox.inbox.drop(inbox.all, ANA))
    inbox.road.control.files.retry(record.file_id)
    inbox.road.convert(record.file_id)

    assert inbox.left() == 2
    assert inbox.road.record(record.file_id).records_cleared is None


def test_lines_whose_raw_object_is_gone_stay_and_say_so(inbox: Inbox) -> None:
    record = inbox.lines(GOOD, WIDE)
    inbox.road.s3.delete_object(Bucket=record.bucket, Key=record.object_key, VersionId=record.version_id)
    inbox.publish("bigint")

    counts = last(inbox.inbox.release(inbox.all, ANA))
    assert (counts.selected, counts.decided, counts.kept.total()) == (1, 0, 1)
    assert record.object_key in next(iter(counts.kept))


def test_a_rejected_row_of_a_load_is_not_counted_as_refused_once_it_is_on_its_way(inbox: Inbox) -> None:
    inbox.lines(GOOD, WIDE, WRONG)
    begin = Fence(datetime(2024, 1, 1, tzinfo=UTC))
    before = inbox.road.control.refusals.count(inbox.table, begin)
    inbox.publish("bigint")
    last(inbox.inbox.release(inbox.all, ANA))
    assert (before, inbox.road.control.refusals.count(inbox.table, begin)) == (2, 1)
