"""A raw object is read exactly, in one pinned version, however the server answers a range."""

from __future__ import annotations

import os
from typing import Any

import pytest

from convert import raw_source
from tests.integration.convert.conftest import Road

pytestmark = pytest.mark.integration

BODY = os.urandom(9 << 20)


@pytest.fixture
def sources() -> Any:
    return raw_source


def test_a_pinned_version_is_read_though_a_newer_one_lies_over_it(road: Road, sources: Any) -> None:
    version = road.s3.put_object(Bucket=road.stage, Key="raw/x/versions", Body=BODY)["VersionId"]
    road.s3.put_object(Bucket=road.stage, Key="raw/x/versions", Body=b"newer")

    source = sources.S3Source(road.s3, road.stage, "raw/x/versions", version, "", len(BODY))

    assert source.readall() == BODY
    source.close()


def test_an_object_without_versions_is_read_by_ranges(road: Road, sources: Any) -> None:
    road.s3.create_bucket(Bucket="unversioned")
    etag = road.s3.put_object(Bucket="unversioned", Key="k", Body=BODY)["ETag"]

    source = sources.S3Source(road.s3, "unversioned", "k", "", etag, len(BODY))

    assert source.readall() == BODY
    source.close()


def test_another_object_under_the_same_key_is_refused(road: Road, sources: Any) -> None:
    road.s3.create_bucket(Bucket="replaced")
    etag = road.s3.put_object(Bucket="replaced", Key="k", Body=BODY)["ETag"]
    road.s3.put_object(Bucket="replaced", Key="k", Body=BODY[::-1])

    source = sources.S3Source(road.s3, "replaced", "k", "", etag, len(BODY))

    with pytest.raises(sources.SourceChanged, match="s3://replaced/k"):
        source.readall()
    source.close()
