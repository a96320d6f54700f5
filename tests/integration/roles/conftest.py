"""Every function of the apps, run in this process by the credentials of its own role on an emulator that checks rights.

The emulator decides by the policies of the very templates; what the handlers call is recorded on the way.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import boto3
import pytest

from beer import CONTRACTS
from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.environments import load_environment
from datamaster.laptop.comprehend.operations import OPERATIONS
from datamaster.laptop.emulator import start_emulator
from datamaster.project import PROJECT
from datamaster.wire import ACCOUNT
from datamaster.wire.aws_json import AwsJsonServer
from lake.contract.store import publish
from tests.conftest import fresh

from .rights import Places

TEMPLATES = {
    "ingest-router": ("TransformRecords", "RegisterFiles", "StartConversions", "SweepFiles"),
    "converter": ("ConvertFile", "RecordFailure"),
    "control-api": (
        "PlanSilver", "SettleSilver", "PlanReviewFlat", "SettleReviewFlat", "PlanGold", "SettleGold",
        "PlanMaintenance", "SettleMaintenance", "APIHandler", "ReportState"
    ),
}  # fmt: skip
FUNCTIONS = {function: app for app, functions in TEMPLATES.items() for function in functions}
LONG_AGO = "2024-01-01T00:00:00.000000Z"
MACHINE = "dm-convert-file-local"


@dataclass
class Context:
    """What Lambda tells a function of its invocation."""

    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:function"
    aws_request_id: str = "0"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def role_of(function: str) -> str:
    """The logical id of a function's role."""
    return f"{'ApiHandler' if function == 'APIHandler' else function}Role"


DOORS = {"ingest-router": "ingest.door", "converter": "convert.door", "control-api": "control_api.door"}


@dataclass
class Guarded:
    """A lake on an emulator that checks rights; this process is the administrator but in ``acts_as``."""

    outputs: Any
    values: dict[str, str]
    endpoints: dict[str, str]
    machine: str
    roles: dict[str, boto3.Session] = field(default_factory=dict)

    @property
    def storage(self) -> Mapping[str, str]:
        return self.outputs["storage"]

    def template(self, app: str) -> Template:
        """The app's merge template with the names of this lake."""
        return Template(PROJECT / "templates" / f"functions-{app}.merge.yaml", self.values)

    def policies(self, function: str) -> list[dict[str, Any]]:
        return self.template(FUNCTIONS[function]).policies_of(role_of(function))

    @property
    def places(self) -> Places:
        """Where the functions work, and the key of each place."""
        lake, stage = self.values["LakeKeyArn"], self.values["StageKeyArn"]
        buckets = {self.storage["StageBucket"]: stage, self.storage["LakeBucket"]: lake, self.storage["ArtifactsBucket"]: lake}
        return Places(
            self.values["ControlTableArn"], buckets, self.values["MaskKeyArn"], self.values["SecretsKeyArn"], self.values["StreamKeyArn"]
        )

    @contextmanager
    def acts_as(self, function: str, **environment: str) -> Iterator[ModuleType]:
        """The app's module, fresh, with the role's credentials in every client that it makes."""
        app = FUNCTIONS[function]
        variables = {
            "CONTRACTS_URI": f"s3://{self.storage['ArtifactsBucket']}/contracts/",
            "CONTROL_TABLE": self.outputs["control"]["TableName"],
            "STAGE_BUCKET": self.storage["StageBucket"],
            "LAKE_BUCKET": self.storage["LakeBucket"],
            "STREAM_ARN": self.values["StreamArn"],
            "CONVERT_STATE_MACHINE_ARN": self.machine,
            "MASK_KEY_SECRET": self.values["MaskKeyArn"],
            "LEASE_SECONDS": "60",
            "PII_WAIT_SECONDS": "3600",
            "POWERTOOLS_SERVICE_NAME": app,
            **self.endpoints,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (variables | environment).items():
                patch.setenv(name, value)
            patch.setattr(boto3, "DEFAULT_SESSION", self.roles[function])
            yield fresh(importlib.import_module(DOORS[app]))


@pytest.fixture(scope="module")
def comprehend() -> Iterator[str]:
    server = AwsJsonServer(OPERATIONS)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, comprehend: str) -> Iterator[Guarded]:
    with start_emulator(tmp_path_factory.mktemp("guarded"), authorize=True) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        outputs = launch(load_environment("local"), ["streaming", "catalog", "control"])
        publish(CONTRACTS, f"s3://{outputs['storage']['ArtifactsBucket']}/contracts/")
        lake = Guarded(outputs, {}, {"AWS_ENDPOINT_URL_COMPREHEND": comprehend}, _machine())
        lake.values.update(_values(outputs, lake.machine))
        for function in FUNCTIONS:
            lake.roles[function] = _session(function, lake.policies(function))
        yield lake


def _machine() -> str:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = boto3.client("iam").create_role(RoleName="states", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    definition = json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}})
    created = boto3.client("stepfunctions").create_state_machine(name=MACHINE, definition=definition, roleArn=role)
    return str(created["stateMachineArn"])


def _values(outputs: Any, machine: str) -> dict[str, str]:
    storage, security = outputs["storage"], outputs["security"]
    # The emulator's Ref of a secret is its name; AWS gives the ARN that the policies need.
    mask_key = boto3.client("secretsmanager").describe_secret(SecretId=security["MaskKeyArn"])["ARN"]
    return {
        "Environment": "local",
        "Subnets": "subnet-a,subnet-b",
        **{name: storage[name] for name in ("StageBucket", "LakeBucket", "ArtifactsBucket", "ArrivalsQueueArn")},
        **{name: security[name] for name in ("StageKeyArn", "LakeKeyArn", "StreamKeyArn", "SecretsKeyArn")},
        "MaskKeyArn": mask_key,
        "StreamArn": outputs["streaming"]["StreamArn"],
        "ControlTable": outputs["control"]["TableName"],
        "ControlTableArn": outputs["control"]["TableArn"],
        "ControlStreamArn": outputs["control"]["StreamArn"],
        "ConvertStateMachineArn": machine,
        "ReplicationConfigArn": f"arn:aws:dms:us-east-1:{ACCOUNT}:replication-config:ONE",
        "ReplicationTaskArn": f"arn:aws:dms:us-east-1:{ACCOUNT}:task:ONE",
    }


def _session(function: str, policies: list[dict[str, Any]]) -> boto3.Session:
    """A session that took a role with the function's policies."""
    iam, name = boto3.client("iam"), f"probe-{function}"
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    for number, policy in enumerate(policies):
        iam.put_role_policy(RoleName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))
    keys = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="probe")["Credentials"]
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
