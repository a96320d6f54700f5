"""Records under errors/ are an inbox: counted and shown without personal data, put back on the stream once, or dropped."""

from __future__ import annotations

import base64
import gzip
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest

from ingest.redrive import ErrorsInbox
from ingest.refused_records import HIDDEN, Refused, RefusedRecords, grouped, hidden_columns, not_loaded_since, shown, source_table
from ingest.routing import Router
from ingest.source_stream import RECORDS_A_CALL
from lake.contract import store
from lake.contract.store import ContractStore, publish
from lake.control import ControlTable, Fence
from lake.control.inbox import DROPPED, SENT, InboxCounts, Selection
from lake.keys import ERRORS

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ANA = "arn:aws:iam::000000000000:user/ana"
CONTRACT = """
apiVersion: v3.0.2
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    physicalName: shop.orders
    properties:
      - {name: id, physicalType: bigint, primaryKey: true}
      - {name: n, physicalType: integer}
      - {name: mail, physicalType: varchar(200), classification: personal, customProperties: [{property: mask, value: hash}]}
"""
TOO_WIDE = 3_000_000_000


def message(data: dict[str, Any], table: str = "orders", operation: str = "insert") -> bytes:
    about = {"schema-name": "shop", "table-name": table, "operation": operation, "record-type": "data", "timestamp": "2026-01-02T00:00:00Z"}
    if operation != "load":
        place = f"{data['id']:08X}/{data['id']:08X}"
        about |= {"transaction-id": 1, "commit-timestamp": "2026-01-02T00:00:00Z", "stream-position": f"{place}.1.{place}"}
    return orjson.dumps({"data": data, "metadata": about})


def line(raw: bytes, reason: str = "", at: datetime = NOW) -> dict[str, Any]:
    """A line as the laptop's delivery writes it, or as Firehose does, which has no reason."""
    told = f"ProcessingFailed status set for record: {reason}" if reason else "ProcessingFailed status set for record"
    return {"errorMessage": told, "arrivalTimestamp": int(at.timestamp() * 1000), "rawData": base64.b64encode(raw).decode()}


class Errors:
    """A stage bucket, a stream, and the contracts in force."""

    def __init__(self, control_table: str, folder: Path) -> None:
        self.folder, name = folder, uuid.uuid4().hex[:8]
        self.bucket, self.uri, self.stream = f"stage-{name}", f"s3://stage-{name}/contracts/", f"changes-{name}"
        self.s3, self.kinesis = boto3.client("s3"), boto3.client("kinesis")
        self.s3.create_bucket(Bucket=self.bucket)
        self.kinesis.create_stream(StreamName=self.stream, ShardCount=1)
        self.control = ControlTable(control_table)
        self.publish(CONTRACT)

    def publish(self, contract: str) -> None:
        (self.folder / "orders.yaml").write_text(contract)
        publish(self.folder, self.uri)

    def put(self, lines: Iterable[dict[str, Any]], key: str = "processing-failed/a.gz") -> None:
        body = b"\n".join(map(orjson.dumps, lines))
        self.s3.put_object(Bucket=self.bucket, Key=ERRORS + key, Body=gzip.compress(body) if key.endswith(".gz") else body)

    @property
    def records(self) -> RefusedRecords:
        return RefusedRecords(self.bucket, self.control, ContractStore(self.uri))

    @property
    def inbox(self) -> ErrorsInbox:
        arn = f"arn:aws:kinesis:us-east-1:000000000000:stream/{self.stream}"
        return ErrorsInbox(self.bucket, self.control, ContractStore(self.uri), arn)

    def listed(self) -> list[Refused]:
        return list(self.records.newest())

    def on_stream(self) -> list[bytes]:
        (shard,) = self.kinesis.list_shards(StreamName=self.stream)["Shards"]
        start = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = self.kinesis.get_shard_iterator(StreamName=self.stream, **start)["ShardIterator"]
        return [record["Data"] for record in self.kinesis.get_records(ShardIterator=iterator)["Records"]]


@pytest.fixture
def errors(lake_stacks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Errors]:
    monkeypatch.setattr(store, "POINTER_TTL_SECONDS", 0.0)
    table = lake_stacks["control"]["TableName"]
    yield Errors(table, tmp_path)
    items = boto3.resource("dynamodb").Table(table)
    for place in ControlTable(table).inbox.decided(ERRORS):
        items.delete_item(Key={"pk": "inbox", "sk": place})


def last(run: Iterable[InboxCounts]) -> InboxCounts:
    return list(run)[-1]


REFUSED = [
    line(message({"id": 1, "n": TOO_WIDE, "mail": "ana@example.com"}), 'column "n": got 3000000000; expected a number'),
    line(message({"id": 2, "n": TOO_WIDE, "mail": None}), 'column "n": got 3000000001; expected a number', NOW + timedelta(hours=2)),
    line(b"\xff no json", "no JSON"),
]


def test_they_are_counted_by_table_and_reason_and_those_before_the_newest_load_are_made_good(errors: Errors) -> None:
    errors.put(REFUSED[:2])
    errors.put(REFUSED[2:], "processing-failed/b")
    rows = errors.listed()

    is_open = not_loaded_since({"shop.orders": NOW + timedelta(hours=1)})
    orders, unknown = sorted(grouped(rows, is_open), key=lambda group: group.table, reverse=True)
    assert (orders.table, orders.count, orders.open, orders.oldest, orders.newest) == ("shop.orders", 2, 1, NOW, NOW + timedelta(hours=2))
    assert (unknown.table, unknown.reason, unknown.open) == ("(no table)", "no JSON", 1)
    assert [group.open for group in grouped(rows) if group.table == "shop.orders"] == [2]


def test_a_row_is_shown_without_what_the_lake_hides(errors: Errors) -> None:
    errors.put(REFUSED)
    row = next(row for row in errors.listed() if row.row and row.row["id"] == 1)

    hidden = hidden_columns(ContractStore(errors.uri).current(), errors.control)
    assert shown(row, hidden) == {"id": 1, "n": TOO_WIDE, "mail": HIDDEN}
    assert shown(row, {}) == {"id": HIDDEN, "n": HIDDEN, "mail": HIDDEN}


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(table="shop.orders"), 2),
        (Selection(table="shop.parcels"), 0),
        (Selection(reason="JSON"), 1),
        (Selection(reason="3000000001"), 1),
        (Selection(since=NOW + timedelta(hours=1)), 1),
        (Selection(until=NOW + timedelta(hours=1)), 2),
    ],
)
def test_a_selection_filters_by_table_reason_and_time(errors: Errors, selection: Selection, taken: int) -> None:
    errors.put(REFUSED)
    assert sum(group.count for group in errors.inbox.groups(selection)) == taken


def test_a_table_may_be_given_by_its_name_in_the_lake(errors: Errors) -> None:
    contracts = ContractStore(errors.uri).current()
    assert [source_table(contracts, name) for name in ("orders", "shop.orders", None)] == ["shop.orders", "shop.orders", None]


def test_copies_of_records_as_they_came_are_not_refused(errors: Errors) -> None:
    errors.put([{"data": {}}], "source/2026/01/02/copies.gz")
    assert errors.listed() == []


def test_a_record_that_firehose_kept_without_a_reason_gets_the_router_s_of_today(errors: Errors) -> None:
    errors.put([line(message({"id": 1, "n": TOO_WIDE})), line(message({"id": 2, "n": 2}))])
    assert [row.reason.partition(";")[0] for row in errors.listed()] == [
        'column "n": got a number',
        "the contracts in force accept it",
    ]


def test_a_line_that_is_none_of_firehose_s_is_listed_too(errors: Errors) -> None:
    errors.put([{"data": {"id": 1}}], "processing-failed/strange")
    assert [(row.table, row.reason) for row in errors.listed()] == [("(no table)", "no line of Firehose's errors")]


def test_a_dry_run_counts_what_the_contracts_in_force_accept_and_changes_nothing(errors: Errors) -> None:
    errors.put(REFUSED)
    before = last(errors.inbox.try_out(Selection()))
    errors.publish(CONTRACT.replace("integer", "bigint"))
    after = last(errors.inbox.try_out(Selection()))

    assert (before.selected, before.passing, after.selected, after.passing) == (3, 0, 3, 2)
    assert [reason.partition(":")[0] for reason in after.kept] == ["no valid JSON"]
    assert (errors.on_stream(), len(errors.listed())) == ([], 3)


def test_records_that_pass_go_back_as_they_came_and_once_and_the_others_stay(errors: Errors) -> None:
    errors.put(REFUSED)
    errors.publish(CONTRACT.replace("integer", "bigint"))

    first, second = last(errors.inbox.redrive(Selection(), ANA)), last(errors.inbox.redrive(Selection(), ANA))

    assert (first.decided, first.kept.total(), second.selected, second.decided) == (2, 1, 1, 0)
    assert sorted(errors.on_stream()) == sorted(base64.b64decode(refused["rawData"]) for refused in REFUSED[:2])
    assert [row.reason for row in errors.listed()] == ["no JSON"]


def test_a_record_of_the_decision_names_who_and_when(errors: Errors) -> None:
    errors.put(REFUSED)
    began = datetime.now(UTC)
    last(errors.inbox.drop(Selection(reason="json"), ANA))
    errors.publish(CONTRACT.replace("integer", "bigint"))
    last(errors.inbox.redrive(Selection(), "arn:bo"))

    (decided,) = errors.control.inbox.decided(ERRORS).values()
    assert [(one.action, one.by, one.entries) for one in decided.decisions] == [(DROPPED, ANA, 1), (SENT, "arn:bo", 2)]
    assert all(began <= datetime.fromisoformat(one.at) <= datetime.now(UTC) for one in decided.decisions)
    assert errors.listed() == []


def test_an_interrupted_redrive_goes_on_where_it_ended(errors: Errors) -> None:
    count = RECORDS_A_CALL + 3
    errors.put([line(message({"id": n, "n": 1}), "a former contract") for n in range(1, count + 1)])
    for counts in errors.inbox.redrive(Selection(), ANA, records_a_second=10_000):
        assert counts.decided == RECORDS_A_CALL
        break

    assert last(errors.inbox.redrive(Selection(), ANA)).decided == 3
    assert len(set(errors.on_stream())) == len(errors.on_stream()) == count


def test_a_refused_row_of_a_load_is_not_counted_as_refused_once_it_is_on_its_way(errors: Errors) -> None:
    rows = [message({"id": n, "n": TOO_WIDE}, operation="load") for n in (1, 2)]
    router = Router(ContractStore(errors.uri).current())
    refused = [found for raw in rows if (found := router.refused_load(raw))]
    errors.control.refusals.note("orders", [refusal for _, refusal in refused])
    errors.put([line(rows[0], "too wide")])
    errors.publish(CONTRACT.replace("integer", "bigint"))

    last(errors.inbox.redrive(Selection(), ANA))

    assert errors.control.refusals.count("orders", Fence(NOW)) == 1


def test_a_redrive_waits_until_every_function_has_read_the_contracts_in_force(errors: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(store, "POINTER_TTL_SECONDS", 15.0)
    monkeypatch.setattr("ingest.redrive.time.sleep", slept.append)
    list(errors.inbox.redrive(Selection(), ANA))
    assert 0 < slept[0] <= 15


def test_a_redrive_keeps_to_its_rate(errors: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    errors.put([line(message({"id": n, "n": 1}), "a former contract") for n in (1, 2)])
    monkeypatch.setattr("ingest.redrive.time.sleep", slept.append)
    list(errors.inbox.redrive(Selection(), ANA, records_a_second=1))
    assert 1 < slept[-1] <= 2


def test_two_decisions_at_once_take_each_entry_once(errors: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"{ERRORS}processing-failed/shared"
    inbox, items = errors.control.inbox, errors.control.items
    read = items.get
    raced = iter([lambda: ControlTable(items.name).inbox.decide(place, [0, 1], DROPPED, ANA)])

    def read_and_lose(key: Mapping[str, str]) -> Any:
        found = read(key)
        next(raced, lambda: 0)()
        return found

    monkeypatch.setattr(items, "get", read_and_lose)
    assert inbox.decide(place, [1, 2], SENT, "arn:bo") == 1
    assert [(one.action, one.entries) for one in inbox.decided(ERRORS)[place].decisions] == [(DROPPED, 2), (SENT, 1)]
