"""The control API over a real control table, asked by its own test client."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
import yaml
from chalice.test import Client, HTTPResponse
from jsonschema import Draft7Validator

from beer import CONTRACTS
from control_api import door
from datamaster.aws.deploy.stacks import Outputs
from lake.contract.store import publish
from lake.control import ControlTable, NewFile, Outcome
from lake.keys import file_id
from tests.conftest import fresh

ROOT = Path(__file__).resolve().parents[3]
APP = ROOT / "control-api"
OPENAPI: dict[str, Any] = yaml.safe_load((APP / "openapi.yaml").read_text())


@dataclass
class Files:
    """Registers files of one table and takes them through their life."""

    control: ControlTable
    table: str
    known: list[str] = field(default_factory=list)

    def pending(self) -> str:
        key = f"raw/{self.table}/{uuid.uuid4().hex}.gz"
        self.control.files.register(NewFile("stage", key, "v1", "etag", self.table, "json", 10))
        self.known.append(file_id("stage", key, "v1"))
        return self.known[-1]

    def failed(self) -> str:
        key = self.pending()
        self.control.files.fail(key, "NotGzip", "no gzip member at byte 0")
        return key

    def silver(self, rejected: int = 0) -> str:
        record = self.control.files.start(self.pending(), "execution", 60)
        self.control.complete(
            record.file_id,
            str(record.lease_token),
            Outcome(
                3, 3 - rejected, rejected, ("bronze/a",), operations={"load": 3}, reject_reasons={"ragged": rejected} if rejected else {}
            ),
        )
        self.control.files.assign(record.file_id, "batch")
        self.control.files.settle(record.file_id, "batch", "42")
        return record.file_id


@dataclass
class Api:
    """Calls the API and holds every answer against openapi.yaml."""

    client: Client

    def __call__(self, method: str, path: str, status: int = 200, **sent: Any) -> Any:
        return self.answer(method, path, status, **sent).json_body

    def answer(self, method: str, path: str, status: int = 200, **sent: Any) -> HTTPResponse:
        """The whole answer; ``sent`` are headers and body."""
        answer = self.client.http.request(method, path, **sent)
        assert answer.status_code == status, answer.body
        self.validate(answer, method, path.partition("?")[0])
        return answer

    def validate(self, answer: HTTPResponse, method: str, path: str) -> None:
        parts = ["{file_id}" if place == 2 and path.startswith("/files/") else part for place, part in enumerate(path.split("/"))]
        response = OPENAPI["paths"]["/".join(parts)][method.lower()]["responses"][str(answer.status_code)]
        if "$ref" in response:
            response = OPENAPI["components"]["responses"][response["$ref"].rpartition("/")[2]]
        assert set(response["headers"]) <= set(answer.headers)
        if not answer.body:
            assert "content" not in response
            return
        schema = response["content"][answer.headers.get("Content-Type", "application/json")]["schema"]
        Draft7Validator({"components": OPENAPI["components"], **schema}).validate(answer.json_body)


@pytest.fixture(scope="module")
def stacks(lake_stacks: Outputs) -> Outputs:
    bucket = lake_stacks["storage"]["ArtifactsBucket"]
    publish(CONTRACTS, f"s3://{bucket}/contracts/")
    return lake_stacks


@pytest.fixture
def control_app(stacks: Outputs, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("CONTROL_TABLE", stacks["control"]["TableName"])
    monkeypatch.setenv("CONTRACTS_URI", f"s3://{stacks['storage']['ArtifactsBucket']}/contracts/")
    monkeypatch.setenv("STAGE_BUCKET", stacks["storage"]["StageBucket"])
    monkeypatch.setenv("STREAM_ARN", "arn:aws:kinesis:us-east-1:000000000000:stream/changes-of-the-inbox")
    monkeypatch.setenv("LAKE_BUCKET", stacks["storage"]["LakeBucket"])
    return fresh(door)


@pytest.fixture
def api(control_app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    # The client puts a plain dict in the place of os.environ; a session made meanwhile would keep that for ever.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with Client(control_app.app, stage_name="lake", project_dir=str(APP)) as client:
        yield Api(client)


@pytest.fixture
def files(stacks: Outputs) -> Files:
    return Files(ControlTable(stacks["control"]["TableName"]), f"t{uuid.uuid4().hex[:10]}")
