"""The router's functions against the real control table, buckets, queue and a state machine."""

from __future__ import annotations

import gzip
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import orjson
import pytest
from boto3.dynamodb.types import TypeSerializer

from beer import CONTRACTS
from ingest import door
from lake.contract.store import publish
from lake.control import ControlRecord, ControlTable
from tests.conftest import fresh
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
LAMBDA_LIMIT = 100


@dataclass
class Context:
    """What Lambda tells a function of its invocation."""

    remaining: int = 900_000
    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:function"
    aws_request_id: str = "0"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining


class Road:
    """Raw objects on their way: ``arrives`` puts one, ``register`` takes the queue's messages, ``record`` looks at the result."""

    def __init__(self, app: ModuleType, outputs: Any, machine: str) -> None:
        self.app = app
        self.bucket = outputs["storage"]["StageBucket"]
        self.queue = outputs["storage"]["ArrivalsQueueUrl"]
        self.control = ControlTable(outputs["control"]["TableName"])
        self.machine = machine
        self.s3, self.sqs, self.states = boto3.client("s3"), boto3.client("sqs"), boto3.client("stepfunctions")

    def arrives(self, key: str, body: bytes) -> str:
        """Put one object; returns its key."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return key

    def lines(self, count: int, table: str = "beer") -> str:
        """Put one object of so many lines; returns its key."""
        return self.arrives(f"raw/{table}/{uuid.uuid4()}.gz", gzip.compress(b'{"n":1}\n' * count))

    def messages(self) -> list[dict[str, Any]]:
        """The queue's messages as Lambda gets them, until none comes for half a second."""
        found: list[dict[str, Any]] = []
        quiet = time.monotonic() + 0.5
        while time.monotonic() < quiet:
            for message in self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", ()):
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                entry = {"messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"]}
                found.append(
                    {
                        **entry,
                        "attributes": {},
                        "messageAttributes": {},
                        "eventSource": "aws:sqs",
                        "eventSourceARN": "arn",
                        "awsRegion": "r",
                    }
                )
                quiet = time.monotonic() + 0.5
        return found

    def register(self, messages: list[dict[str, Any]] | None = None) -> Any:
        """Have the function handle messages, those of the queue where none are given."""
        return self.app.register_files({"Records": self.messages() if messages is None else messages}, Context())

    def changed(self, key: str, number: str = "1", **attributes: Any) -> dict[str, Any]:
        """The stream's record of a file's last change, with attributes as given."""
        stored = self.control.items.table.get_item(Key={"pk": f"file#{self.record(key).file_id}", "sk": "file"})["Item"]
        image = {name: TypeSerializer().serialize(value) for name, value in {**stored, **attributes}.items()}
        change = {"Keys": {name: image[name] for name in ("pk", "sk")}, "NewImage": image, "SequenceNumber": number}
        return {"eventID": number, "eventName": "MODIFY", "eventSource": "aws:dynamodb", "dynamodb": change}

    def start(self, *changes: dict[str, Any]) -> Any:
        """Have the function handle changes of the control table."""
        return self.app.start_conversions({"Records": list(changes)}, Context())

    def sweep(self, remaining: int = 900_000, **detail: Any) -> Any:
        """Run the scheduled function."""
        event = orjson.loads((ROOT / "tests" / "events" / "sweep.json").read_bytes())
        return self.app.sweep_files({**event, "detail": detail}, Context(remaining))

    def records(self, key: str) -> list[ControlRecord]:
        """The control records of a key, one a version."""
        return [record for record in self.control.listing.files() if record.object_key == key]

    def record(self, key: str) -> ControlRecord:
        (record,) = self.records(key)
        return record

    def ages(self, key: str, **attributes: str) -> ControlRecord:
        """Write attributes of a record that only time writes otherwise."""
        names = {f"#{name}": name for name in attributes}
        self.control.items.table.update_item(
            Key={"pk": f"file#{self.record(key).file_id}", "sk": "file"},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={f":{name}": value for name, value in attributes.items()},
        )
        return self.record(key)

    def executions(self, key: str) -> list[str]:
        """The attempts of a file that were started, by number."""
        file_id = self.record(key).file_id
        listed = self.states.list_executions(stateMachineArn=self.machine)["executions"]
        return sorted(entry["name"].removeprefix(f"{file_id}-") for entry in listed if entry["name"].startswith(file_id))

    def wait_for_end(self, key: str) -> None:
        """Wait until no execution of a file runs any more."""
        file_id = self.record(key).file_id

        def running() -> bool:
            listed = self.states.list_executions(stateMachineArn=self.machine, statusFilter="RUNNING")["executions"]
            return any(entry["name"].startswith(file_id) for entry in listed)

        eventually(lambda: not running(), f"the end of {file_id}'s execution")


@pytest.fixture(scope="module")
def machine(emulator: Any) -> Callable[[str], str]:
    """``machine("Pass")`` makes a state machine that ends at once, ``machine("Wait")`` one that does not."""

    def create(kind: str) -> str:
        state = {"Type": kind, "End": True} | ({"Seconds": 600} if kind == "Wait" else {})
        return str(
            boto3.client("stepfunctions").create_state_machine(
                name=f"convert-{uuid.uuid4().hex[:8]}",
                definition=orjson.dumps({"StartAt": "Only", "States": {"Only": state}}).decode(),
                roleArn="arn:aws:iam::000000000000:role/states",
            )["stateMachineArn"]
        )

    return create


@pytest.fixture
def road_to(lake_stacks: Any, machine: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Road]:
    """``road_to("Pass")`` is the road whose state machine is of that kind."""

    def make(kind: str) -> Road:
        contracts = f"s3://{lake_stacks['storage']['ArtifactsBucket']}/contracts/"
        publish(CONTRACTS, contracts)
        arn = machine(kind)
        environment = {
            "CONTRACTS_URI": contracts,
            "CONTROL_TABLE": lake_stacks["control"]["TableName"],
            "STAGE_BUCKET": lake_stacks["storage"]["StageBucket"],
            "CONVERT_STATE_MACHINE_ARN": arn,
            "CONVERT_LAMBDA_LIMIT": str(LAMBDA_LIMIT),
            "MAX_ATTEMPTS": "2",
            "UNSETTLED_SECONDS": "1",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Road(fresh(door), lake_stacks, arn)

    return make


@pytest.fixture
def road(road_to: Callable[[str], Road]) -> Road:
    """The road with a state machine that ends at once."""
    return road_to("Pass")
