"""``dm deploy`` and ``dm destroy`` as an operator meets them, on an emulator in the place of an account."""

from __future__ import annotations

import io
from collections.abc import Callable

import boto3
import pytest

from datamaster.aws.deploy.environments import load_environment
from datamaster.aws.deploy.stacks import deployed
from datamaster.cli import run
from tests.waiting import eventually

pytestmark = pytest.mark.integration
QUICK = ["--env", "dev", "--set", "poll_seconds=0.05"]
DATA = ["--stack", "control", "--stack", "storage"]
Command = Callable[..., tuple[int, str]]

FAILS = """
Resources:
  Changes: {Type: "AWS::Kinesis::Stream", Properties: {ShardCount: many}}
"""


@pytest.fixture
def dm(emulator: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command with what is typed; returns its exit code and all that it wrote."""

    def command(*arguments: str, typed: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = run(list(arguments))
        written = capsys.readouterr()
        return code, written.out + written.err

    return command


@pytest.fixture
def account(dm: Command) -> Command:
    """An account with keys, buckets, control table and stream."""
    assert dm("deploy", *QUICK, *DATA, "--stack", "streaming", "--yes")[0] == 0
    return dm


@pytest.fixture
def empty(dm: Command) -> Command:
    """An account with nothing of this environment."""
    assert dm("destroy", *QUICK, "--delete-data", "--yes")[0] == 0
    return dm


def statuses() -> dict[str, str]:
    return {name: stack["StackStatus"] for name, stack in deployed(load_environment("dev")).items()}


def times() -> dict[str, object]:
    """When each stack was touched last."""
    return {name: stack.get("LastUpdatedTime", stack["CreationTime"]) for name, stack in deployed(load_environment("dev")).items()}


def test_a_second_deployment_touches_no_stack(account: Command):
    before = times()

    code, text = account("deploy", *QUICK, *DATA, "--stack", "streaming", "--yes")

    assert code == 0
    assert statuses().keys() == {"control", "security", "storage", "streaming"}
    assert "0 stacks changed, 4 unchanged" in text
    assert times() == before


def test_a_change_is_shown_before_it_is_made_and_a_no_leaves_everything_as_it_was(account: Command):
    before = times()

    code, text = account("deploy", *QUICK, "--set", "retention_hours=48", "--stack", "streaming", typed="n\n")

    assert code == 1
    assert "~ Changes AWS::Kinesis::Stream" in text
    assert "not agreed" in text
    assert times() == before
    waiting = boto3.client("cloudformation").list_change_sets(StackName="dm-dev-streaming")["Summaries"]
    assert [summary for summary in waiting if summary["ExecutionStatus"] == "AVAILABLE"] == []


def test_a_change_that_is_agreed_to_is_made_in_its_stack_alone(account: Command):
    before = times()

    code, _ = account("deploy", *QUICK, "--set", "retention_hours=48", "--stack", "streaming", "--stack", "control", typed="y\n")

    assert code == 0
    assert {name for name, touched in times().items() if touched != before[name]} == {"streaming"}


def test_a_no_to_a_new_stack_leaves_no_trace(empty: Command):
    code, text = empty("deploy", *QUICK, "--stack", "security", typed="n\n")

    assert code == 1
    assert "+ LakeKey AWS::KMS::Key" in text
    assert statuses() == {}


def test_what_was_changed_by_hand_is_shown_and_a_clean_account_says_so(account: Command):
    assert account("deploy", *QUICK, "--drift")[0] == 0
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="dm-arrivals-dev")["QueueUrl"]

    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    code, text = account("deploy", *QUICK, "--drift")

    assert code == 1
    assert "Arrivals" in text
    assert "VisibilityTimeout" in text


def test_destroy_asks_for_the_environments_name_and_keeps_the_stacks_that_hold_data(account: Command):
    refused = account("destroy", *QUICK, typed="prod\n")
    agreed = account("destroy", *QUICK, typed="dev\n")

    assert refused[0] == 1
    assert agreed[0] == 0
    assert "stays: data" in agreed[1]
    assert statuses().keys() == {"control", "security", "storage"}


def test_a_stack_that_holds_data_is_not_deleted_by_name_unless_the_data_may_go(account: Command):
    code, text = account("destroy", *QUICK, "--stack", "storage", "--yes")

    assert code == 2
    assert "--delete-data" in text
    assert "storage" in statuses()


def test_with_delete_data_every_version_every_table_and_every_secret_is_gone_and_the_keys_are_scheduled(dm: Command):
    dm("deploy", *QUICK, *DATA, "--yes")
    s3, kms = boto3.client("s3"), boto3.client("kms")
    bucket = "dm-datalake-dev-000000000000"
    for content in (b"old", b"new"):
        s3.put_object(Bucket=bucket, Key="silver/beer/x.parquet", Body=content)
    s3.delete_object(Bucket=bucket, Key="silver/beer/x.parquet")

    code, text = dm("destroy", *QUICK, "--delete-data", "--yes")

    states = {kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in kms.list_keys()["Keys"]}
    assert code == 0
    assert bucket in text
    assert (statuses(), s3.list_buckets()["Buckets"]) == ({}, [])
    assert boto3.client("dynamodb").list_tables()["TableNames"] == []
    assert boto3.client("secretsmanager").list_secrets()["SecretList"] == []
    assert boto3.client("sqs").list_queues().get("QueueUrls", []) == []
    assert states == {"PendingDeletion"}


def test_data_that_an_interrupted_removal_left_is_found_again(dm: Command):
    dm("deploy", *QUICK, *DATA, "--yes")
    for name in ("control", "storage"):
        boto3.client("cloudformation").delete_stack(StackName=f"dm-dev-{name}")
    eventually(lambda: not {"control", "storage"} & statuses().keys(), "the end of both stacks")

    assert dm("destroy", *QUICK, "--delete-data", "--yes")[0] == 0
    assert boto3.client("s3").list_buckets()["Buckets"] == []


def test_a_stack_that_never_came_up_is_made_by_the_next_deployment(empty: Command):
    boto3.client("cloudformation").create_stack(StackName="dm-dev-streaming", TemplateBody=FAILS)
    eventually(lambda: statuses()["streaming"] == "ROLLBACK_COMPLETE", "the rollback")

    assert empty("deploy", *QUICK, "--stack", "streaming", "--yes")[0] == 0
    assert statuses()["streaming"] == "CREATE_COMPLETE"


def test_a_template_that_is_too_long_for_a_call_is_read_from_the_artifacts_bucket(empty: Command, monkeypatch: pytest.MonkeyPatch):
    assert empty("deploy", *QUICK, "--stack", "storage", "--yes")[0] == 0
    monkeypatch.setattr("datamaster.aws.deploy.change_sets.INLINE_BYTES", 100)

    assert empty("deploy", *QUICK, "--stack", "streaming", "--yes")[0] == 0
    listed = boto3.client("s3").list_objects_v2(Bucket="dm-artifacts-dev-000000000000", Prefix="templates/streaming/")
    assert listed["KeyCount"] == 1
    assert statuses()["streaming"] == "CREATE_COMPLETE"


def test_a_bucket_name_that_is_taken_is_named_with_the_next_step(empty: Command):
    s3 = boto3.client("s3", region_name="us-west-2")
    s3.create_bucket(Bucket="dm-stage-dev-000000000000", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})

    code, text = empty("deploy", *QUICK, "--stack", "storage", "--yes")

    assert code == 1
    assert "Stage: Resource of type 'AWS::S3::Bucket' with identifier 'dm-stage-dev-000000000000' already exists" in text
    assert "Next: something of this name is there" in text
    assert "Traceback" not in text
    s3.delete_bucket(Bucket="dm-stage-dev-000000000000")


def test_another_region_in_the_shell_is_refused_by_name(dm: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    code, text = dm("deploy", *QUICK, "--stack", "security", "--yes")

    assert code == 2
    assert "AWS_REGION is eu-west-1, but environments/dev.yaml says us-east-1" in text


def test_an_account_that_the_environment_is_not_meant_for_is_refused(dm: Command):
    code, text = dm("deploy", *QUICK, "--set", "account=123456789012", "--stack", "security", "--yes")

    assert code == 2
    assert "for account 000000000000, but environments/dev.yaml says 123456789012" in text


def test_without_credentials_the_next_step_is_named(dm: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: object):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, f"{tmp_path}/none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    code, text = dm("deploy", *QUICK, "--yes")

    assert code == 3
    assert "no AWS credentials" in text
    assert "aws sso login" in text


def test_a_protected_environment_is_not_deleted(dm: Command):
    code, text = dm("destroy", "--env", "prod", "--yes")

    assert code == 2
    assert "termination_protection: false" in text


def test_protection_is_set_on_each_stack_as_the_environment_says_and_taken_away_before_a_removal(empty: Command):
    assert empty("deploy", *QUICK, "--set", "termination_protection=true", "--stack", "security", "--yes")[0] == 0
    [stack] = boto3.client("cloudformation").describe_stacks(StackName="dm-dev-security")["Stacks"]

    assert stack["EnableTerminationProtection"] is True
    assert empty("destroy", *QUICK, "--delete-data", "--yes")[0] == 0
    assert statuses() == {}
