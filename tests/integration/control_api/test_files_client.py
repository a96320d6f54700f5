"""``dm files`` against the API as it is deployed: signed requests, pages, refusals, the sweep."""

from __future__ import annotations

import uuid

import boto3
import pytest

from datamaster.deploy import deploy
from datamaster.files import ApiRefused, ApiUnreachable, NotConnected, list_files, list_tables, retry_file, show_file, sweep_files
from lake.control import ControlTable, NewFile
from lake.keys import file_id

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def deployed(emulator, tmp_path_factory):
    """Everything that is deployed on a laptop, with the variables that a connected command has."""
    deployment = deploy("local", build=tmp_path_factory.mktemp("build"))
    api = deployment.outputs["control-api"]["ApiId"]
    sweep = next(arn for name, arn in deployment.outputs["ingest-router"].items() if name == "SweepFilesArn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DM_API_URL", f"{emulator.endpoint}/restapis/{api}/v1/_user_request_")
        patch.setenv("DM_SWEEP_FUNCTION", sweep.rsplit(":", 1)[-1])
        yield deployment


@pytest.fixture(scope="module")
def failed(deployed):
    """Twelve failed files, oldest first."""
    control = ControlTable(deployed.outputs["control"]["TableName"])
    ids = []
    for _ in range(12):
        key = f"raw/beer/{uuid.uuid4().hex}.gz"
        control.register_failed(NewFile("stage", key, "v1", "etag", "beer", "json", 10), "NotGzip", "no gzip member at byte 0")
        ids.append(file_id("stage", key, "v1"))
    return ids


def test_files_are_listed_newest_first_over_pages(failed, monkeypatch):
    monkeypatch.setattr("datamaster.files.PAGE", 5)
    assert [file["file_id"] for file in list_files(table="beer", status="failed")] == failed[::-1]
    assert [file["file_id"] for file in list_files(table="beer", limit=7)] == failed[:4:-1]


def test_one_file_tells_what_became_of_it(failed):
    file = show_file(failed[0])
    assert (file["status"], file["error_message"]) == ("failed", "no gzip member at byte 0")


def test_a_retried_file_is_pending_and_a_second_retry_is_refused_with_its_state(failed):
    assert retry_file(failed[0])["attempt_count"] == 2
    with pytest.raises(ApiRefused, match="; retry takes failed files") as refused:
        retry_file(failed[0])
    assert refused.value.status == 409


def test_refusals_are_the_apis_own_words(deployed):
    with pytest.raises(ApiRefused, match=r'^no file "nope"'):
        show_file("nope")
    with pytest.raises(ApiRefused, match=r'^parameter "status": got "done"; one of pending'):
        list_files(status="done")


def test_tables_are_told(failed):
    assert next(table for table in list_tables()["tables"] if table["table"] == "beer")["files"]["failed"] >= 11


def test_the_sweep_registers_an_object_that_no_event_announced(deployed):
    bucket = deployed.outputs["storage"]["StageBucket"]
    s3 = boto3.client("s3")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    s3.put_object(Bucket=bucket, Key="raw/brewery/unannounced.gz", Body=b"no gzip")
    assert sum(sweep_files().values()) >= 1
    assert "raw/brewery/unannounced.gz" in {file["object_key"] for file in list_files(table="brewery")}


def test_an_api_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("DM_API_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(ApiUnreachable, match=r"http://127\.0\.0\.1:9/v1/files does not answer"):
        list_files()


def test_without_an_address_the_message_says_how_to_get_one(monkeypatch):
    monkeypatch.delenv("DM_API_URL", raising=False)
    with pytest.raises(NotConnected, match="DM_API_URL is not set; start a platform with dm up"):
        list_files()
