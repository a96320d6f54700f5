"""A stream, the router's transform function deployed on the emulator, and the worker as a process of its own."""

from __future__ import annotations

import base64
import gzip
import io
import os
import re
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest

from beer import CONTRACTS
from datamaster.aws.deploy.package import package_app
from datamaster.laptop.delivery import wait_until_delivered
from datamaster.laptop.emulator import Emulator
from datamaster.laptop.process import spawn, stop
from lake.contract.store import publish
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "templates" / "streaming-delivery.yaml"
ROLE = "arn:aws:iam::000000000000:role/router"


def change(operation: str = "insert", table: str = "beer", lsn: int = 1, **row: Any) -> bytes:
    """A DMS data record of a contracted table."""
    place = f"{0:08X}/{lsn:08X}"
    about = {
        "timestamp": "2024-07-29T00:58:17.983670Z",
        "record-type": "data",
        "operation": operation,
        "schema-name": "dm_core",
        "table-name": table,
        "transaction-id": lsn,
        "commit-timestamp": "2024-07-29T00:58:17.974340Z",
        "stream-position": f"{place}.1.{place}",
    }
    return orjson.dumps({"data": row, "metadata": about})


class Delivery:
    """A stream and what becomes of it: ``put`` records, run a ``worker``, look at ``lines`` and ``errors``."""

    def __init__(self, function: str, environment: dict[str, str], folder: Path, shards: int = 2) -> None:
        self.name = f"changes-{uuid.uuid4().hex[:8]}"
        self.bucket = f"stage-{self.name}"
        self.state = folder / "state"
        self.log = folder / "worker.log"
        self.environment = environment
        self.function = function
        self.s3, self.kinesis = boto3.client("s3"), boto3.client("kinesis")
        self.s3.create_bucket(Bucket=self.bucket)
        self.kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        self.kinesis.get_waiter("stream_exists").wait(StreamName=self.name, WaiterConfig={"Delay": 1})
        self.workers: list[subprocess.Popen[bytes]] = []

    def put(self, *records: bytes) -> None:
        """Put records on the stream, spread over its shards."""
        for start in range(0, len(records), 500):
            entries = [{"Data": data, "PartitionKey": str(start + n)} for n, data in enumerate(records[start : start + 500])]
            assert self.kinesis.put_records(StreamName=self.name, Records=entries)["FailedRecordCount"] == 0

    def worker(self, interval: float = 60, retries: int | None = None) -> subprocess.Popen[bytes]:
        """Start the worker as the platform does; with ``retries`` the template asks for that many."""
        template = TEMPLATE
        if retries is not None:
            template = self.log.with_suffix(".yaml")
            template.write_text(TEMPLATE.read_text().replace('ParameterValue: "300"', f'ParameterValue: "{retries}"'))
        parameters = {
            "Environment": "local",
            "StreamArn": f"arn:aws:kinesis:us-east-1:000000000000:stream/{self.name}",
            "StageBucket": self.bucket,
            "TransformFunctionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{self.function}",
        }
        given = [part for name, value in parameters.items() for part in ("--parameter", f"{name}={value}")]
        command = [sys.executable, "-m", "datamaster.laptop.delivery", "--template", str(template), *given]
        process = spawn(
            [*command, "--state", str(self.state), "--interval-seconds", str(interval)], os.environ | self.environment, self.log
        )
        self.workers.append(process)
        return process

    def delivered(self) -> None:
        """Wait until everything on the stream lies in the bucket."""
        self.state.mkdir(exist_ok=True)
        wait_until_delivered(self.state, self.name, 60)

    def wait_for_objects(self, count: int) -> None:
        """Wait until that many objects lie in the bucket."""
        eventually(lambda: len(self.keys()) >= count, self.log.read_text)

    def wait_for_log(self, text: str) -> None:
        """Wait until the worker says so."""
        eventually(lambda: text in self.log.read_text(), self.log.read_text)

    def wait_until_transformed(self, count: int) -> None:
        """Wait until the worker holds what that many records became."""
        transformed = re.compile(r"(\d+) records transformed")
        eventually(lambda: sum(map(int, transformed.findall(self.log.read_text()))) >= count, self.log.read_text)

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def _read(self, prefix: str) -> Iterator[dict[str, Any]]:
        for key in self.keys(prefix):
            body = gzip.decompress(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
            yield from map(orjson.loads, body.splitlines())

    def lines(self, table: str = "beer") -> list[dict[str, Any]]:
        """Every raw line of a table."""
        return list(self._read(f"raw/{table}/"))

    def errors(self) -> list[dict[str, Any]]:
        """Every error record, with its raw data decoded."""
        return [{**line, "rawData": base64.b64decode(line["rawData"])} for line in self._read("errors/")]


@pytest.fixture(scope="module")
def transform_function(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> str:
    """transform_records as packaged for AWS, deployed, with the project's contracts published."""
    boto3.client("s3").create_bucket(Bucket="artifacts")
    publish(CONTRACTS, "s3://artifacts/contracts/")
    code = package_app("ingest-router", tmp_path_factory.mktemp("package")).code.read_bytes()
    boto3.client("lambda").create_function(
        FunctionName="transform_records",
        Runtime="python3.12",
        Role=ROLE,
        Handler="app.transform_records",
        Code={"ZipFile": code},
        Timeout=60,
        Environment={"Variables": {"CONTRACTS_URI": "s3://artifacts/contracts/"}},
    )
    return "transform_records"


@pytest.fixture(scope="module")
def function_of(emulator: Emulator) -> Callable[[str], str]:
    """``function_of(source)`` deploys a Python module with a ``handler`` and returns its name."""

    def deploy(source: str) -> str:
        name = f"f-{uuid.uuid4().hex[:8]}"
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("module.py", source)
        boto3.client("lambda").create_function(
            FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="module.handler", Code={"ZipFile": archive.getvalue()}, Timeout=30
        )
        return name

    return deploy


@pytest.fixture
def delivery_of(emulator: Emulator, tmp_path: Path) -> Iterator[Callable[[str], Delivery]]:
    """``delivery_of(function)`` makes a stream and a bucket for that function; workers end with the test."""
    made: list[Delivery] = []

    def make(function: str) -> Delivery:
        made.append(Delivery(function, emulator.environment, tmp_path))
        return made[-1]

    yield make
    for one in made:
        for process in one.workers:
            stop(process)


@pytest.fixture
def delivery(delivery_of: Callable[[str], Delivery], transform_function: str) -> Delivery:
    """A stream delivered through the router's own function."""
    return delivery_of(transform_function)


@pytest.fixture
def dms_change() -> Callable[..., bytes]:
    """``dms_change(operation, table, lsn, **row)`` is a DMS data record."""
    return change
