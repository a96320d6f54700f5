"""Operators' commands by ``--env`` on an environment in an account, run with the rights of an operator and no others.

An emulator that checks every signature and policy stands for the account.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
import yaml

from datamaster.athena.__main__ import server
from datamaster.aws.deploy import Deployment, deploy
from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.environments import load_environment
from datamaster.cli import NO, UNREACHABLE, WRONG_INPUT, run
from datamaster.laptop.emulator import start_emulator
from datamaster.project import PROJECT
from datamaster.replicator.statistics_endpoint import serve
from datamaster.replicator.task_state import COMPLETED, TableStatistics
from datamaster.wire import ACCOUNT
from lake.control import ControlTable, NewFile
from lake.keys import file_id

pytestmark = pytest.mark.integration
NAME = "trial"
KEY = "raw/beer/broken.gz"
FILE = file_id("stage", KEY, "v1")
OUTPUTS = {
    "ReplicationConfigArn": f"arn:aws:dms:us-east-1:{ACCOUNT}:replication-config:ONE",
    "ReplicationTaskArn": "",
}
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def reloaded() -> list[str]:
    """The tables that DMS was asked to load again."""
    return []


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, reloaded: list[str]) -> Iterator[Deployment]:
    """An account that holds an environment. This process is its administrator, and no laptop's platform runs."""
    folder = tmp_path_factory.mktemp("account")
    loaded = TableStatistics("dm_core", "beer", inserts=3, load_rows=7, state=COMPLETED, load_started=datetime(2026, 1, 1, tzinfo=UTC))
    dms = serve(0, lambda: [loaded], reloaded.extend)
    with start_emulator(folder / "emulator", authorize=True) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        for name in ("dm-run-task-local", "dm-start-job-run-local"):
            boto3.client("stepfunctions").create_activity(name=name)
        deployment = deploy("local", build=folder / "build")
        launch(load_environment("local"), ["governance"], done=deployment.outputs)
        _replication_stack()
        athena = server(0, "512MB", 2, folder, authorize=True)
        threading.Thread(target=athena.serve_forever, daemon=True).start()
        patch.setenv("AWS_ENDPOINT_URL_ATHENA", athena.url)
        patch.setenv("AWS_ENDPOINT_URL_DATABASE_MIGRATION_SERVICE", f"http://127.0.0.1:{dms.server_address[1]}")
        yield deployment
        athena.shutdown()
    dms.shutdown()


def _replication_stack() -> None:
    """The outputs of streaming-dms, whose types the emulator lacks."""
    body = {
        "Resources": {"Nothing": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {name: {"Value": value} for name, value in OUTPUTS.items()},
    }
    client = boto3.client("cloudformation")
    client.create_stack(StackName="dm-local-streaming-dms", TemplateBody=json.dumps(body))
    client.get_waiter("stack_create_complete").wait(StackName="dm-local-streaming-dms", WaiterConfig={"Delay": 1})


@pytest.fixture(scope="module")
def environments(account: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of environments: the deployed one, not a laptop's here, and one that nobody deployed."""
    folder = tmp_path_factory.mktemp("environments")
    values = yaml.safe_load((PROJECT / "environments" / "local.yaml").read_text()) | {"laptop": False}
    for name, environment in ((NAME, "local"), ("empty", "empty"), ("local", "local")):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values | {"environment": environment}))
    return folder


@pytest.fixture(scope="module")
def operator(account: Deployment) -> dict[str, str]:
    """The keys of a person who has the policies of engineer and operator."""
    iam = boto3.client("iam")
    iam.create_user(UserName="operator")
    for name in ("engineer", "operator"):
        iam.attach_user_policy(UserName="operator", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/dm-{name}-local")
    # The emulator asks for this right on everything. AWS asks for it on alarms, which the policy names.
    alarms = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": "*"}]}
    iam.put_user_policy(UserName="operator", PolicyName="alarms", PolicyDocument=json.dumps(alarms))
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@pytest.fixture
def dm(
    environments: Path, operator: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run a command as an operator, in a folder without a platform. Returns its exit code and all that it wrote."""
    monkeypatch.setattr("datamaster.aws.deploy.environments.ENVIRONMENTS", environments)
    monkeypatch.chdir(tmp_path)
    for name, value in operator.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    def command(*words: str, env: str = NAME) -> tuple[int, str]:
        code = run([*words, "--env", env])
        written = capsys.readouterr()
        return code, written.out + written.err

    return command


@pytest.fixture(scope="module")
def failed(account: Deployment) -> str:
    """A failed file of beer."""
    control = ControlTable(account.outputs["control"]["TableName"])
    control.files.register_failed(NewFile("stage", KEY, "v1", "etag", "beer", "json", 10), "NotGzip", "no gzip member at byte 0")
    return FILE


@pytest.mark.parametrize("layer", ["silver", "gold"])
def test_a_layer_is_run(dm: Command, layer: str) -> None:
    code, text = dm("run", layer)

    assert (code, "0 tables settled" in text) == (0, True), text


def test_files_are_listed_shown_swept_and_sent_again(dm: Command, failed: str) -> None:
    listed, shown, swept, again = dm("files", "ls"), dm("files", "show", failed), dm("files", "sweep"), dm("files", "retry", failed)

    assert (listed[0], failed in listed[1]) == (0, True)
    assert (shown[0], "no gzip member" in shown[1]) == (0, True)
    assert (swept[0], "registered" in swept[1]) == (0, True)
    assert (again[0], f"{failed} is pending, attempt 2" in again[1]) == (0, True)


def test_a_table_is_loaded_again_by_dms(dm: Command, reloaded: list[str]) -> None:
    assert dm("reload", "beer")[0] == 0
    assert reloaded == ["dm_core.beer"]


def test_carried_tables_are_listed_by_dms_statistics(dm: Command) -> None:
    code, text = dm("tables", "ls", "--json")

    assert code == 0
    assert {name: value for name, value in json.loads(text)[0].items() if name not in ("updates", "deletes")} == {
        "table": "dm_core.beer",
        "in the lake": "dm_silver.beer",
        "state": COMPLETED,
        "loaded": 7,
        "inserts": 3,
    }


def test_tables_of_the_lake_are_listed_and_queried(dm: Command) -> None:
    assert dm("table", "ls")[0] == 0
    assert dm("query", "SELECT 1 AS one", "--format", "csv") == (0, "one\n1\n")


def test_refused_records_are_counted_by_the_router_s_log_without_their_rows(dm: Command, account: Deployment) -> None:
    administrator = boto3.Session("test", "test")
    message = {
        "data": {"beer_id": "Meier"},
        "metadata": {"record-type": "data", "operation": "load", "schema-name": "dm_core", "table-name": "beer"},
    }
    record = {"recordId": "1", "approximateArrivalTimestamp": 0, "data": base64.b64encode(json.dumps(message).encode()).decode()}
    event = {"invocationId": "one", "deliveryStreamArn": "arn", "region": "us-east-1", "records": [record]}
    function = account.outputs["ingest-router"]["TransformRecordsArn"]
    answer = administrator.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    assert json.loads(answer["Payload"].read())["records"][0]["result"] == "ProcessingFailed"

    counted, shown = dm("errors", "ls", "--json"), dm("errors", "show", "--table", "beer", "--json")

    assert counted[0] == NO
    assert [(group["table"], group["count"], group["by"]) for group in json.loads(counted[1])] == [("dm_core.beer", 1, "router")]
    [row] = json.loads(shown[1])
    assert (row["operation"], row["row"]) == ("load", None)
    assert "Meier" not in shown[1]


def test_status_names_the_replication_that_does_not_answer_and_the_place(dm: Command) -> None:
    code, text = dm("status", "--json")
    told = json.loads(text)

    assert code == NO
    assert told["place"] == f"Environment local, account {ACCOUNT}, us-east-1"
    assert "replication" in {trouble["kind"] for trouble in told["troubles"]}
    assert told["files"].keys() == {"pending", "running", "bronze", "silver", "failed"}


@pytest.mark.parametrize("words", [["verify"], ["export", "beer"]])
def test_a_source_that_is_out_of_reach_is_named_with_what_opens_it(dm: Command, words: list[str]) -> None:
    code, text = dm(*words)

    assert code == UNREACHABLE
    assert "DM_SOURCE=postgresql://" in text
    assert "aws ssm start-session" in text


def test_the_console_finds_the_environment(dm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    found: dict[str, str] = {}
    monkeypatch.setattr("datamaster.console.serve", lambda *_: found.update(os.environ) or 0)

    assert dm("console")[0] == 0
    assert found["DM_API_URL"].endswith("/v1/_user_request_")
    assert found["DM_WORK_GROUP"] == "dm-lake-local"


def test_an_environment_that_is_not_deployed_is_one_line_with_those_that_are(dm: Command) -> None:
    assert dm("query", "SELECT 1", env="empty") == (
        WRONG_INPUT,
        f'dm: environment "empty" is not deployed in account {ACCOUNT}, us-east-1; there is local. Next: dm deploy --env empty\n',
    )


def test_an_environment_without_a_stack_that_is_needed_names_it(dm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamaster.aws.operation.installation.NEEDED", ("storage", "security", "observatory"))

    assert dm("files", "ls") == (
        WRONG_INPUT,
        f'dm: environment "local" in account {ACCOUNT}, us-east-1 lacks observatory. Next: dm deploy --env local\n',
    )


@pytest.mark.parametrize("words", [["files", "ls"], ["run", "silver", "--no-wait"], ["query", "SELECT 1"], ["table", "ls"]])
def test_credentials_that_aws_does_not_take_are_out_of_reach(dm: Command, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")

    code, text = dm(*words)

    assert code == UNREACHABLE
    assert "AWS refuses these credentials" in text


def test_a_right_that_is_missing_is_named(dm: Command) -> None:
    iam = boto3.Session("test", "test").client("iam")
    iam.detach_user_policy(UserName="operator", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/dm-operator-local")
    try:
        code, text = dm("run", "silver", "--no-wait")
    finally:
        iam.attach_user_policy(UserName="operator", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/dm-operator-local")

    assert code == UNREACHABLE
    assert "cloudformation:DescribeStacks" in text
