"""The converter on real S3, DynamoDB and Secrets Manager of the emulator, with the deployed buckets and control table."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest

from beer import CONTRACTS
from convert import conversion
from convert.settings import Settings
from datamaster.laptop.comprehend.operations import OPERATIONS
from datamaster.wire.aws_json import AwsJsonServer
from lake import keys
from lake.contract.store import publish
from lake.control import ControlRecord, ControlTable, NewFile
from lake.control.items import table_key

ROOT = Path(__file__).resolve().parents[3]
KEY = "0f" * 32
EXECUTION = "arn:aws:states:us-east-1:000000000000:execution:convert-file:one"


class Road:
    """Puts raw objects, registers them, runs the converter on them and reads what it published."""

    def __init__(self, outputs: Any) -> None:
        self.stage, self.lake = outputs["storage"]["StageBucket"], outputs["storage"]["LakeBucket"]
        self.artifacts = outputs["storage"]["ArtifactsBucket"]
        self.table_name = outputs["control"]["TableName"]
        self.control = ControlTable(self.table_name)
        self.s3 = boto3.client("s3")
        self.contracts_uri = f"s3://{self.artifacts}/contracts/"
        publish(CONTRACTS, self.contracts_uri)
        self.secret = boto3.client("secretsmanager").create_secret(Name="mask-key-of-the-test", SecretString=KEY)["ARN"]
        self.conversion = conversion

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CONTRACTS_URI": self.contracts_uri,
            "CONTROL_TABLE": self.table_name,
            "LAKE_BUCKET": self.lake,
            "MASK_KEY_SECRET": self.secret,
        }

    def arrives(self, table: str, name: str, body: bytes, file_format: str = "json") -> str:
        """Put and register a raw object; its file id."""
        key = f"{keys.raw_prefix(table)}{name}"
        put = self.s3.put_object(Bucket=self.stage, Key=key, Body=body)
        version, etag = put.get("VersionId", ""), put["ETag"]
        self.control.files.register(NewFile(self.stage, key, version, etag, table, file_format, len(body)))
        return keys.file_id(self.stage, key, version or etag)

    def converter(self, workers: int = 2, lease_seconds: int = 60, pii_wait_seconds: int = 3600, pii_units_a_day: int = 50_000) -> Any:
        settings = Settings(
            self.contracts_uri, self.table_name, self.lake, self.secret, lease_seconds, pii_wait_seconds, workers, pii_units_a_day
        )
        return self.conversion.Converter(settings)

    def convert(self, file_id: str, **settings: int) -> Any:
        return self.converter(**settings).run(file_id, EXECUTION)

    def container(self, file_id: str) -> subprocess.Popen[bytes]:
        """The container's command on a file, as a process of this machine."""
        command = [sys.executable, "-m", "convert.container", "--file-id", file_id, "--execution", EXECUTION]
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, cwd=ROOT / "converter", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def forget_decisions(self, table: str) -> None:
        """Remove a table's decisions and evidence."""
        for prefix in ("pii#", "evidence#"):
            for item in list(self.control.items.under(table_key(table, prefix))):
                self.control.items.table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})

    def forget_spending(self, table: str) -> None:
        """Give a table its whole allowance of detection back."""
        for item in list(self.control.items.under(table_key(table, "pii-units#"))):
            self.control.items.table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})

    def spent(self, table: str) -> int:
        """Comprehend's units that a table's detection has taken."""
        return sum(int(item["spent"]) for item in self.control.items.under(table_key(table, "pii-units#")))

    def record(self, file_id: str) -> ControlRecord:
        return self.control.files.get(file_id)

    def rows(self, file_id: str) -> list[dict[str, Any]]:
        """The published rows of a file, by its control record."""
        return [row for key in self.record(file_id).bronze_keys for row in self.parquet(key).read().to_pylist()]

    def parquet(self, key: str) -> pq.ParquetFile:
        return pq.ParquetFile(io.BytesIO(self.s3.get_object(Bucket=self.lake, Key=key)["Body"].read()))

    def objects(self, file_id: str) -> list[str]:
        """Every object of a file that lies in the lake, published or not."""
        listed = self.s3.list_objects_v2(Bucket=self.lake).get("Contents", [])
        return [entry["Key"] for entry in listed if file_id in entry["Key"]]

    def unfinished_uploads(self) -> list[Any]:
        return list(self.s3.list_multipart_uploads(Bucket=self.lake).get("Uploads", []))


@pytest.fixture(scope="module")
def comprehend() -> Iterator[str]:
    """The local Comprehend; every client of this process finds it."""
    server = AwsJsonServer(OPERATIONS)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_COMPREHEND", server.url)
        yield server.url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def road(lake_stacks: Any, comprehend: str) -> Iterator[Road]:
    road = Road(lake_stacks)
    yield road
    boto3.client("secretsmanager").delete_secret(SecretId=road.secret, ForceDeleteWithoutRecovery=True)


def gz_lines(*rows: dict[str, Any] | str) -> bytes:
    """Gzip of JSON lines; texts go in as they are."""
    return gzip.compress("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode())


def load(**columns: Any) -> dict[str, Any]:
    """A load line of the columns given."""
    change = {
        "operation": "load",
        "cdc_position": "0000000000000000-0000000000-0",
        "cdc_built_at": "2024-05-01T10:00:00.000000Z",
        "cdc_committed_at": None,
        "cdc_transaction_id": None,
        "cdc_unchanged": None,
        "cdc_fence": None,
    }
    return columns | change
