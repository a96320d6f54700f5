"""The inbox of refused records by the API: the same filters, counts and decisions as by the command line."""

from __future__ import annotations

import base64
from types import ModuleType
from typing import Any

import boto3
import orjson
import pytest

from control_api import refused_answers
from ingest.refused_records import HIDDEN
from lake.control import ControlTable
from lake.keys import ERRORS

pytestmark = pytest.mark.integration


def message(number: int, name: str | None) -> bytes:
    place = f"00000000/{number:08X}"
    about = {"record-type": "data", "operation": "insert", "schema-name": "dm_core", "table-name": "profile"}
    when = {"timestamp": "2026-01-02T00:00:00Z", "commit-timestamp": "2026-01-02T00:00:00Z", "transaction-id": number}
    row = {"profile_id": number, "profile_name": name, "email": "ana@example.com", "state": "CA"}
    return orjson.dumps({"data": row, "metadata": {**about, **when, "stream-position": f"{place}.1.{place}"}})


@pytest.fixture
def stream(stacks: Any, control_app: ModuleType) -> Any:
    """A record that passes now and one that does not, of a table with personal columns. The stream's records."""
    name, bucket, kinesis = "changes-of-the-inbox", stacks["storage"]["StageBucket"], boto3.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    lines = [
        {
            "errorMessage": f"ProcessingFailed status set for record: {why}",
            "arrivalTimestamp": 1_767_312_000_000,
            "rawData": base64.b64encode(raw).decode(),
        }
        for why, raw in (("a former contract", message(1, "Ana")), ("no JSON", b"no json"))
    ]
    boto3.client("s3").put_object(Bucket=bucket, Key=f"{ERRORS}processing-failed/a", Body=b"\n".join(map(orjson.dumps, lines)))

    def records() -> list[bytes]:
        (shard,) = kinesis.list_shards(StreamName=name)["Shards"]
        start = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(StreamName=name, **start)["ShardIterator"]
        return [record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]]

    return records


def test_records_are_counted_shown_sent_again_once_and_dropped(api: Any, stream: Any, stacks: Any) -> None:
    groups = api("GET", "/errors")["groups"]
    assert [(group["table"], group["reason"], group["count"]) for group in groups] == [
        ("(no table)", "no JSON", 1),
        ("dm_core.profile", "a former contract", 1),
    ]
    [record] = api("GET", "/errors/records?table=profile")["records"]
    assert (record["row"]["profile_id"], record["row"]["email"]) == (1, HIDDEN)

    counts = [api("POST", f"/errors/redrive{query}") for query in ("?dry_run=true", "", "")]
    assert [(one["selected"], one["passing"], one["decided"], one["complete"]) for one in counts] == [
        (2, 1, 0, True),
        (2, 1, 1, True),
        (1, 0, 0, True),
    ]
    assert stream() == [message(1, "Ana")]
    assert api("POST", "/errors/drop?reason=no%20json")["decided"] == 1
    assert api("GET", "/errors") == {"groups": []}
    [decided] = ControlTable(stacks["control"]["TableName"]).inbox.decided(ERRORS).values()
    assert [decision.by for decision in decided.decisions] == [refused_answers.UNKNOWN_CALLER] * 2


def test_the_caller_is_the_one_who_signed() -> None:
    assert refused_answers.caller({"identity": {"userArn": "arn:ana"}}) == "arn:ana"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/errors?status=x"), ("POST", "/errors/redrive?dry_run=1"), ("POST", "/errors/drop?since=x")]
)
def test_wrong_filters_are_named(api: Any, method: str, path: str) -> None:
    assert "valid" in api(method, path, 400)
