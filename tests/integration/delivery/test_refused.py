"""What lies under errors/ can be counted by table and reason, and looked at without personal data."""

from __future__ import annotations

import base64
import gzip
from datetime import UTC, datetime, timedelta

import boto3
import orjson
import pytest

from datamaster.platform.refused import HIDDEN, grouped, refused_records, shown

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def line(message, reason, at=NOW):
    raw = message if isinstance(message, bytes) else orjson.dumps(message)
    return {"errorMessage": reason, "arrivalTimestamp": int(at.timestamp() * 1000), "rawData": base64.b64encode(raw).decode()}


def change(table, data):
    return {"data": data, "metadata": {"schema-name": "shop", "table-name": table, "operation": "insert"}}


@pytest.fixture
def bucket(emulator):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="refused")
    lines = [
        line(
            change("orders", {"id": 1, "mail": "ana@example.com", "note": None}), 'column "n": got text of 3 characters; expected a number'
        ),
        line(
            change("orders", {"id": 2, "mail": "bo@example.com"}),
            'column "n": got text of 8 characters; expected a number',
            NOW + timedelta(hours=2),
        ),
        line(b"\xff no json", "no JSON"),
    ]
    s3.put_object(Bucket="refused", Key="errors/processing-failed/a.gz", Body=gzip.compress(b"\n".join(map(orjson.dumps, lines[:2]))))
    s3.put_object(Bucket="refused", Key="errors/processing-failed/b", Body=orjson.dumps(lines[2]))
    return "refused"


def test_they_are_counted_by_table_and_reason_and_those_before_the_newest_load_are_made_good(bucket):
    rows = list(refused_records(bucket))

    orders, unknown = sorted(grouped(rows, {"shop.orders": NOW + timedelta(hours=1)}), key=lambda group: group.table, reverse=True)
    assert (orders.table, orders.count, orders.open, orders.oldest, orders.newest) == ("shop.orders", 2, 1, NOW, NOW + timedelta(hours=2))
    assert (unknown.table, unknown.reason, unknown.open) == ("(no table)", "no JSON", 1)
    assert [group.open for group in grouped(rows, {}) if group.table == "shop.orders"] == [2]


def test_a_row_is_shown_without_what_the_lake_hides(bucket):
    row = next(row for row in refused_records(bucket) if row.row and row.row["id"] == 1)

    assert shown(row, {"shop.orders": {"mail"}}) == {"id": 1, "mail": HIDDEN, "note": None}
    assert shown(row, {}) == {"id": HIDDEN, "mail": HIDDEN, "note": None}
