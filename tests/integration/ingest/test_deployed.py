"""From the stream to bronze with everything deployed from its templates, each S3 message delivered by the real queue."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import boto3
import orjson
import pytest

from datamaster.aws.deploy.deployment import deploy
from datamaster.laptop.delivery import wait_until_delivered
from datamaster.laptop.process import spawn, stop
from lake.control import ControlTable
from tests.waiting import eventually

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60


@pytest.fixture(scope="module")
def outputs(emulator, tmp_path_factory):
    return deploy("local", build=tmp_path_factory.mktemp("build")).outputs


@pytest.fixture
def worker(emulator, outputs, tmp_path):
    """The delivery worker; the value is its state directory."""
    given = {
        "Environment": "local",
        "StreamArn": outputs["streaming"]["StreamArn"],
        "StageBucket": outputs["storage"]["StageBucket"],
        "TransformFunctionArn": outputs["ingest-router"]["TransformRecordsArn"],
    }
    parameters = [part for name, value in given.items() for part in ("--parameter", f"{name}={value}")]
    template = ROOT / "templates" / "streaming-delivery.yaml"
    command = [sys.executable, "-m", "datamaster.laptop.delivery", "--template", str(template), *parameters, "--state", str(tmp_path)]
    process = spawn(command, os.environ | emulator.environment, tmp_path / "worker.log")
    yield tmp_path
    stop(process)


def beer(number):
    place = f"{0:08X}/{number + 1:08X}"
    about = {
        "timestamp": "2024-07-29T00:58:17.983670Z",
        "record-type": "data",
        "operation": "insert",
        "schema-name": "dm_core",
        "table-name": "beer",
        "transaction-id": number,
        "commit-timestamp": "2024-07-29T00:58:17.974340Z",
        "stream-position": f"{place}.1.{place}",
    }
    return orjson.dumps({"data": {"beer_id": number, "brewery_id": 1, "beer_name": f"Nº {number}"}, "metadata": about})


def test_changes_on_the_stream_reach_bronze_and_a_stray_object_fails_with_its_reason(outputs, worker):
    stream = outputs["streaming"]["StreamName"]
    entries = [{"Data": beer(number), "PartitionKey": str(number)} for number in range(300)]
    boto3.client("kinesis").put_records(StreamName=stream, Records=entries)
    stray = {"Bucket": outputs["storage"]["StageBucket"], "Key": "raw/lager/x.gz"}
    boto3.client("s3").put_object(**stray, Body=b"no gzip")

    wait_until_delivered(worker, stream, SECONDS)
    control = ControlTable(outputs["control"]["TableName"])
    eventually(lambda: {record.status for record in control.listing.files()} == {"bronze", "failed"}, "a file in bronze and a failed one")
    records = {record.table_name: record for record in control.listing.files()}

    assert (records["beer"].status, records["beer"].records_written, records["beer"].records_rejected) == ("bronze", 300, 0)
    assert (records["lager"].status, records["lager"].error_type) == ("failed", "UnknownTable")


def test_the_deployed_sweep_finds_nothing_left_to_do(outputs):
    event = (ROOT / "tests" / "events" / "sweep.json").read_bytes()
    function = outputs["ingest-router"]["SweepFilesArn"]

    answer = boto3.client("lambda").invoke(FunctionName=function, Payload=event)

    assert "FunctionError" not in answer
    swept = orjson.loads(answer["Payload"].read())
    assert swept.pop("objects") == 2
    assert not any(swept.values())
