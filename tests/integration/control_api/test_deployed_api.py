"""``dm files`` against the API as it is deployed: signed requests, rights, pages, refusals, the sweep.

The emulator checks signature and policy of every request, as AWS does.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime

import boto3
import pytest

from datamaster.aws.deploy import deploy
from datamaster.laptop.emulator import start_emulator
from datamaster.platform.api_client import (
    ApiDenied,
    ApiRefused,
    ApiUnreachable,
    NoApiAddress,
    list_files,
    list_tables,
    retry_file,
    show_file,
    sweep_files,
)
from lake.control import ControlTable, NewFile
from lake.keys import file_id
from lake.manifests import MaintenanceManifest, write_document
from tests.integration.control_api.conftest import OPENAPI
from tests.integration.control_api.schemathesis_runs import schemathesis

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """Everything that is deployed on a laptop, with the variables that a connected command has."""
    folder = tmp_path_factory.mktemp("authorised")
    with start_emulator(folder / "emulator", authorize=True) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        deployment = deploy("local", build=folder / "build")
        api = deployment.outputs["control-api"]["ApiId"]
        patch.setenv("DM_API_URL", f"{running.endpoint}/restapis/{api}/v1/_user_request_")
        patch.setenv("DM_SWEEP_FUNCTION", deployment.outputs["ingest-router"]["SweepFilesArn"].rsplit(":", 1)[-1])
        yield deployment


@pytest.fixture(scope="module")
def failed(deployed):
    """Twelve failed files, oldest first."""
    control = ControlTable(deployed.outputs["control"]["TableName"])
    ids = []
    for _ in range(12):
        key = f"raw/beer/{uuid.uuid4().hex}.gz"
        control.files.register_failed(NewFile("stage", key, "v1", "etag", "beer", "json", 10), "NotGzip", "no gzip member at byte 0")
        ids.append(file_id("stage", key, "v1"))
    return ids


def test_files_are_listed_newest_first_over_pages(failed, monkeypatch):
    monkeypatch.setattr("datamaster.platform.api_client.PAGE", 5)
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


def test_a_function_beside_the_api_logs_its_request_and_flushes_its_metrics(deployed):
    now = datetime.now(UTC)
    manifest = f"s3://{deployed.outputs['storage']['LakeBucket']}/batches/beer/one/manifest.json"
    write_document(manifest, MaintenanceManifest("one", "dm_silver", "beer", now, now, ("beer_id",)))
    event = {"execution": "one", "table": "beer", "batch_id": "one", "manifest": manifest, "error": {"Error": "Broken"}}
    function = deployed.outputs["control-api"]["SettleMaintenanceArn"]

    answer = boto3.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event), LogType="Tail")

    assert json.loads(answer["Payload"].read())["status"] == "released"
    lines = [json.loads(line) for line in base64.b64decode(answer["LogResult"]).decode().splitlines() if line.startswith("{")]
    [logged] = [line for line in lines if line.get("message") == "maintenance failed"]
    assert logged["function_name"] == "dm-control-api-local-settle_maintenance"
    assert logged["function_request_id"]
    assert [1.0] in [line.get("MaintenanceFailed") for line in lines]


def test_no_signed_request_ends_in_a_failure_or_in_an_answer_that_is_not_described(failed, tmp_path):
    # That check wants 401 for a request without Authorization; API Gateway answers 403, as openapi.yaml says:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    options = ("--max-examples", "5", "--exclude-checks", "missing_required_header")

    schemathesis(os.environ["DM_API_URL"], OPENAPI, tmp_path, "schemathesis_signed", *options)

    assert {"200", "400", "403", "404"} <= set((tmp_path / "statuses").read_text().split())


def test_an_api_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("DM_API_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(ApiUnreachable, match=r"http://127\.0\.0\.1:9/v1/files does not answer"):
        list_files()


def test_without_an_address_the_message_says_how_to_get_one(monkeypatch):
    monkeypatch.delenv("DM_API_URL", raising=False)
    with pytest.raises(NoApiAddress, match="DM_API_URL is not set; start a platform with dm up"):
        list_files()


@pytest.fixture
def caller(deployed, monkeypatch):
    """Become a new user who may do what ``resources`` of the API allow."""

    stage = f"arn:aws:execute-api:us-east-1:000000000000:{deployed.outputs['control-api']['ApiId']}/v1"

    def become(name, *resources):
        iam = boto3.client("iam")
        iam.create_user(UserName=name)
        if resources:
            statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": [f"{stage}/{resource}" for resource in resources]}
            iam.put_user_policy(
                UserName=name, PolicyName="api", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    return become


def test_an_unsigned_request_is_refused(deployed):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{os.environ['DM_API_URL']}/files")
    assert refused.value.code == 403


def test_a_wrong_secret_is_refused(caller, monkeypatch):
    caller("forger", "GET/files")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    with pytest.raises(ApiDenied, match="signature"):
        list_files()


def test_a_caller_without_the_right_is_refused(caller):
    caller("stranger")
    with pytest.raises(ApiDenied, match="not authorized to perform: execute-api:Invoke"):
        list_files()


def test_a_right_on_one_route_is_a_right_on_no_other(caller):
    caller("reader", "GET/files")
    assert isinstance(list_files(), list)
    with pytest.raises(ApiDenied, match="not authorized"):
        list_tables()
