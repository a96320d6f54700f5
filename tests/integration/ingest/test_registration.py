"""Raw objects become control records, once a version, with the reason where they cannot be converted."""

from __future__ import annotations

import gzip
import uuid

import pytest

pytestmark = pytest.mark.integration


def test_an_object_becomes_one_pending_record_however_often_it_is_announced(road):
    key = road.arrives("raw/beer/2024/07/29/01/a bé+c.gz", gzip.compress(b"{}\n{}\n"))
    messages = road.messages()

    assert road.register([*messages, *messages]) == {"batchItemFailures": []}
    road.register(messages)

    record = road.record(key)
    assert (record.status, record.table_name, record.records_estimated) == ("pending", "beer", 2)
    assert (record.compute_target, record.file_format) == ("lambda", "json")


def test_an_overwritten_object_is_another_file(road):
    key = road.lines(1)
    road.arrives(key, gzip.compress(b"{}\n{}\n"))

    road.register()

    assert sorted(record.records_estimated for record in road.records(key)) == [1, 2]


@pytest.mark.parametrize(("count", "target"), [(100, "lambda"), (101, "container")])
def test_the_estimate_chooses_between_lambda_and_container(road, count, target):
    key = road.lines(count)

    road.register()

    assert road.record(key).compute_target == target


def test_a_csv_export_is_a_file_and_its_closing_manifest_is_none(road):
    part = road.arrives(f"raw/review/export/{uuid.uuid4()}/00000.csv.gz", gzip.compress(b"review_id\n1\n2\n"))
    manifest = road.arrives(part.replace("00000.csv.gz", "manifest.json"), b"{}")

    road.register()

    assert (road.record(part).file_format, road.record(part).records_estimated) == ("csv", 2)
    assert road.records(manifest) == []


@pytest.mark.parametrize("ending", [".CSV.gz", ".csv.GZ", ".CSV"])
def test_a_name_says_csv_in_upper_case_too(road, ending):
    key = road.arrives(f"raw/review/by-hand/{uuid.uuid4()}{ending}", gzip.compress(b"review_id\n1\n2\n"))

    road.register()

    assert (road.record(key).file_format, road.record(key).records_estimated) == ("csv", 2)


TRUNCATED = gzip.compress(b"".join(b"%d\n" % n for n in range(1000)))[:-50]


@pytest.mark.parametrize(
    ("key", "body", "kind", "reason"),
    [
        ("raw/ale/{}.gz", gzip.compress(b"{}\n"), "UnknownTable", 'table "ale" has no contract; known: beer, brewery, profile, review'),
        ("raw/{}.gz", gzip.compress(b"{}\n"), "MisplacedObject", "expected raw/<table>/"),
        ("raw/beer/{}.gz", b"", "EmptyObject", "0 bytes"),
        ("raw/beer/{}.csv", b"beer_id\n1\n", "NotGzip", "a gzip member begins with"),
        ("raw/beer/{}.gz", TRUNCATED, "TruncatedGzip", "within a gzip member"),
        ("raw/beer/{}.tsv.gz", gzip.compress(b"beer_id\n1\n"), "UnknownForm", "the name says values separated by tabs"),
        ("raw/beer/{}.csv.gz.gz", gzip.compress(b"beer_id\n1\n"), "UnknownForm", "the name says gzip within gzip"),
    ],
)
def test_an_object_that_cannot_be_converted_is_a_failed_file_with_its_reason(road, key, body, kind, reason):
    bad = road.arrives(key.format(uuid.uuid4()), body)
    good = road.lines(1)

    assert road.register() == {"batchItemFailures": []}

    record = road.record(bad)
    assert (record.status, record.error_type) == ("failed", kind)
    assert reason in record.error_message
    assert road.record(good).status == "pending"


def test_an_object_that_is_gone_again_is_no_file(road):
    key = road.lines(1)
    for version in road.s3.list_object_versions(Bucket=road.bucket, Prefix=key)["Versions"]:
        road.s3.delete_object(Bucket=road.bucket, Key=key, VersionId=version["VersionId"])

    assert road.register() == {"batchItemFailures": []}
    assert road.records(key) == []


def test_a_message_that_cannot_be_read_goes_back_alone(road):
    key = road.lines(1)
    (good,) = road.messages()
    broken = {**good, "messageId": "broken", "body": "{"}

    answer = road.register([broken, good])

    assert answer == {"batchItemFailures": [{"itemIdentifier": "broken"}]}
    assert road.record(key).status == "pending"
