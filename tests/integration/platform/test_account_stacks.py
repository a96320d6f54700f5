"""The stacks that a laptop has no use for, deployed on the emulator all the same wherever it knows their types."""

from pathlib import Path

import boto3
import pytest

from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.deletion import delete
from datamaster.aws.deploy.environments import load_environment
from datamaster.aws.deploy.package import write_zip
from datamaster.project import PROJECT

pytestmark = pytest.mark.integration


def status(stack: str) -> str:
    return boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]


def test_the_stacks_that_only_an_account_needs_are_deployed_changed_and_deleted(emulator: object, tmp_path: Path):
    account = load_environment("local").with_variables({"laptop": False})
    artifacts = launch(account, ["storage"])["storage"]["ArtifactsBucket"]
    write_zip(tmp_path / "layer.zip", {"python/x.py": b""})
    boto3.client("s3").upload_file(str(tmp_path / "layer.zip"), artifacts, "layer.zip")
    account = account.with_variables({"layers": {"libraries": "layer.zip", "arrow": "layer.zip"}})

    outputs = launch(account, ["network", "database", "layers", "dms-account-roles", "api-account-role"])
    launch(account.with_variables({"database_maximum_capacity": 2}), ["database"])

    assert len(outputs["network"]["Subnets"].split(",")) == 2
    assert status("dm-local-database") == "UPDATE_COMPLETE"
    assert status("dm-local-network") == "CREATE_COMPLETE"
    assert status("dm-local-dms-account-roles") == "CREATE_COMPLETE"
    assert boto3.client("apigateway").get_account()["cloudwatchRoleArn"].endswith("/dm-api-logs-us-east-1")
    assert set(delete(account, ["network", "dms-account-roles"])) >= {"network", "database", "dms-account-roles"}


def test_a_stack_whose_neighbours_the_emulator_lacks_is_deployed_changed_and_deleted_by_itself(emulator: object):
    """Its replication is of a type that the emulator does not know, so its parameters are given here."""
    client = boto3.client("cloudformation")
    body = (PROJECT / "templates" / "working-hours.yaml").read_text()
    cluster = "arn:aws:rds:us-east-1:000000000000:cluster:dm-source-dev"
    given = {
        "Environment": "dev",
        "BoundaryArn": "arn:aws:iam::000000000000:policy/dm-boundary-dev",
        "ClusterArn": cluster,
        "ReplicationConfigArn": "arn:aws:dms:us-east-1:000000000000:replication-config:X",
    }
    call = {"StackName": "dm-dev-working-hours", "TemplateBody": body, "Capabilities": ["CAPABILITY_NAMED_IAM"]}

    client.create_stack(**call, Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()])
    client.get_waiter("stack_create_complete").wait(StackName="dm-dev-working-hours", WaiterConfig={"Delay": 1})
    given["ClusterArn"] += "-other"
    client.update_stack(**call, Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()])
    client.get_waiter("stack_update_complete").wait(StackName="dm-dev-working-hours", WaiterConfig={"Delay": 1})
    client.delete_stack(StackName="dm-dev-working-hours")
    client.get_waiter("stack_delete_complete").wait(StackName="dm-dev-working-hours", WaiterConfig={"Delay": 1})

    assert boto3.client("scheduler").list_schedules()["Schedules"] == []
