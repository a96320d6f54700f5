"""The stacks that a laptop has no use for, deployed on the emulator all the same wherever it knows their types."""

from pathlib import Path

import boto3
import pytest

from datamaster.deploy.changes import delete, launch
from datamaster.deploy.environments import load_environment
from datamaster.deploy.package import write_zip

pytestmark = pytest.mark.integration


def status(stack: str) -> str:
    return boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]


def test_the_stacks_that_only_an_account_needs_are_deployed_changed_and_deleted(emulator: object, tmp_path: Path):
    account = load_environment("local").with_variables({"laptop": False})
    artifacts = launch(account, ["storage"])["storage"]["ArtifactsBucket"]
    write_zip(tmp_path / "layer.zip", {"python/x.py": b""})
    boto3.client("s3").upload_file(str(tmp_path / "layer.zip"), artifacts, "layer.zip")
    account = account.with_variables({"layers": {"libraries": "layer.zip", "arrow": "layer.zip"}})

    outputs = launch(account, ["network", "database", "layers"])
    launch(account.with_variables({"database_maximum_capacity": 2}), ["database"])

    assert len(outputs["network"]["Subnets"].split(",")) == 2
    assert status("dm-local-database") == "UPDATE_COMPLETE"
    assert status("dm-local-network") == "CREATE_COMPLETE"
    assert set(delete(account, ["network"])) >= {"network", "database"}
