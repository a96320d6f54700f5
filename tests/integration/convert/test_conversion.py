"""A registered file becomes bronze, or a failed record with its reason; nothing in between."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.convert.conftest import Road, gz_lines, load

pytestmark = pytest.mark.integration


def breweries(count: int) -> list[dict[str, Any]]:
    return [load(brewery_id=n, brewery_name=f"Cervejaria nº {n}") for n in range(count)]


def test_a_json_file_becomes_a_listed_bronze_part_with_exact_counts(road: Road) -> None:
    bad = '{"brewery_id": "7", "brewery_name": "a number as text", "operation": "load"}'
    file_id = road.arrives("brewery", "loads.gz", gz_lines(*breweries(500), bad))

    summary = road.convert(file_id)

    record = road.record(file_id)
    assert (summary.result, record.status) == ("converted", "bronze")
    assert (record.records_read, record.records_written, record.records_rejected) == (501, 500, 1)
    assert record.reject_reasons == {'type in column "brewery_id"': 1}
    assert [row["brewery_name"] for row in road.rows(file_id)] == [f"Cervejaria nº {n}" for n in range(500)]
    assert record.operations == {"load": 500}
    assert record.built_at_max == "2024-05-01T10:00:00.000000Z"
    assert sorted(road.objects(file_id)) == sorted([*record.bronze_keys, record.quarantine_key])


def test_a_csv_export_becomes_bronze(road: Road) -> None:
    text = 'brewery_id,brewery_name,operation,cdc_position,cdc_built_at\n1,"A, ""B""",load,,2024-05-01 10:00:00Z\n2,"",load,,\n'
    file_id = road.arrives("brewery", "export/x/00000.csv.gz", gzip.compress(text.encode()), "csv")

    road.convert(file_id)

    assert [(row["brewery_id"], row["brewery_name"]) for row in road.rows(file_id)] == [(1, 'A, "B"'), (2, "")]


def test_a_rejected_line_is_quarantined_with_its_place_and_reason(road: Road) -> None:
    lines = gz_lines(*breweries(2), '{"brewery_id": "7", "brewery_name": "x", "operation": "load"}')
    file_id = road.arrives("brewery", "one-bad.gz", lines)

    road.convert(file_id)

    key = road.record(file_id).quarantine_key
    assert key is not None
    (row,) = road.parquet(key).read().to_pylist()
    assert (row["line_number"], row["column"], row["reason"]) == (3, "brewery_id", "type")
    assert gzip.decompress(lines)[row["byte_offset"] :].startswith(b'{"brewery_id": "7"')
    assert row["line"].startswith('{"brewery_id": "7"')


def test_fences_reach_the_control_table(road: Road) -> None:
    fence = load(brewery_id=None, brewery_name=None) | {"operation": "fence", "cdc_fence": "drop-table"}
    file_id = road.arrives("brewery", "fence.gz", gz_lines(fence))

    road.convert(file_id)

    (kept,) = road.control.fences.of("brewery")
    assert (kept.at, kept.kind) == (datetime(2024, 5, 1, 10, tzinfo=UTC), "drop-table")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (gz_lines(*breweries(50))[:-20], "CorruptGzip"),
        (gz_lines(*breweries(50)) + b"tail", "CorruptGzip"),
        (b"no gzip at all", "NotGzip"),
    ],
    ids=["truncated", "trailing garbage", "no gzip"],
)
def test_a_damaged_file_fails_with_its_reason_and_publishes_nothing(road: Road, body: bytes, error: str) -> None:
    file_id = road.arrives("brewery", f"{error}-{len(body)}.gz", body)

    summary = road.convert(file_id)

    record = road.record(file_id)
    assert (summary.result, record.status, record.error_type) == ("failed", "failed", error)
    assert road.objects(file_id) == []
    assert road.unfinished_uploads() == []


def test_a_csv_with_too_many_rejects_fails_whole_and_names_the_reasons(road: Road) -> None:
    text = "brewery_id,brewery_name\n" + "".join(f"{n if n % 10 else 'x'},name\n" for n in range(1, 101))
    file_id = road.arrives("brewery", "export/y/00000.csv.gz", gzip.compress(text.encode()), "csv")

    summary = road.convert(file_id)

    assert (summary.error_type, road.record(file_id).status) == ("TooManyRejects", "failed")
    assert "10 of 100 records rejected" in (summary.message or "")
    assert '10 x type in column "brewery_id", first at line 11' in (summary.message or "")
    assert road.objects(file_id) == []
    assert road.record(file_id).reject_reasons == {'type in column "brewery_id"': 10}


def test_the_reasons_of_an_attempt_are_gone_once_the_next_one_has_begun(road: Road) -> None:
    file_id = road.arrives("brewery", "nothing.gz", gz_lines("no json"))
    road.convert(file_id)
    assert road.record(file_id).reject_reasons == {"not_json": 1}

    road.control.files.retry(file_id)

    assert road.control.files.start(file_id, "the next", 60).reject_reasons == {}


def test_a_file_of_changes_with_few_rejects_is_published_whatever_their_share(road: Road) -> None:
    file_id = road.arrives("brewery", "half-bad.gz", gz_lines(*breweries(5), *(["no json"] * 5)))

    assert road.convert(file_id).result == "converted"
    assert road.record(file_id).records_rejected == 5


def test_the_same_file_gives_the_same_bytes_with_one_worker_and_with_two(road: Road) -> None:
    file_id = road.arrives("brewery", "many.gz", gz_lines(*breweries(60_000)))
    road.convert(file_id, workers=1)
    (first,) = road.record(file_id).bronze_keys
    before = road.s3.get_object(Bucket=road.lake, Key=first)["Body"].read()

    road.control.files.retry(file_id, force=True)
    road.convert(file_id, workers=2)

    assert road.record(file_id).bronze_keys == (first,)
    assert road.s3.get_object(Bucket=road.lake, Key=first)["Body"].read() == before
