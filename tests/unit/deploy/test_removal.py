"""What a second deployment retains is removed with the data, and what services write late does not stand in the way of the next."""

from __future__ import annotations

from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from datamaster.aws.cloudformation.rendering import Template, stack
from datamaster.aws.deploy import removal
from datamaster.aws.deploy.environments import load_environment
from datamaster.aws.deploy.removal import WRITTEN_LATE, Kept, NotRemoved, delete_data
from datamaster.project import PROJECT

DEV = load_environment("dev")
LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:dm-arrow-x86-64-python312-dev"
RETAINED = {"Retain", "RetainExceptOnCreate", "Snapshot"}


def test_every_type_that_a_template_retains_has_a_remover(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    retained = {
        resource["Type"]
        for path in (PROJECT / "templates").glob("*.yaml")
        if ".merge" not in path.name
        for resource in Template(path).document["Resources"].values()
        if {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} & RETAINED
    }

    assert retained >= {"AWS::Lambda::LayerVersion", "AWS::ECS::TaskDefinition"}
    assert retained - removal._removers(DEV).keys() == set()


def test_a_layer_is_removed_by_name_and_version(monkeypatch: pytest.MonkeyPatch):
    client = boto3.client("lambda", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(client)
    stub.add_response("get_layer_version_by_arn", {}, {"Arn": f"{LAYER}:3"})
    stub.add_response("delete_layer_version", {}, {"LayerName": LAYER, "VersionNumber": 3})
    monkeypatch.setattr("boto3.client", lambda service, **_how: client if service == "lambda" else SimpleNamespace())

    remover = removal._removers(DEV)["AWS::Lambda::LayerVersion"]
    with stub:
        assert remover.there(f"{LAYER}:3")
        remover.remove(f"{LAYER}:3")


def test_an_unknown_kind_is_told_after_everything_else_is_gone(monkeypatch: pytest.MonkeyPatch):
    gone: list[str] = []
    found = [Kept("AWS::New::Thing", "odd"), Kept("AWS::S3::Bucket", "lake")]
    monkeypatch.setattr(removal, "left_behind", lambda _environment: found)
    monkeypatch.setattr(removal, "_removers", lambda _environment: {"AWS::S3::Bucket": removal.Remover(lambda _name: True, gone.append)})

    with pytest.raises(NotRemoved, match="AWS::New::Thing odd is still there"):
        delete_data(DEV)
    assert gone == ["lake"]


def test_the_groups_into_which_services_write_late_are_those_of_the_templates():
    named = set()
    for name in WRITTEN_LATE:
        for kind in ("", "dms.t3.medium"):
            template = Template(PROJECT / "templates" / f"{name}.yaml", {"Environment": "dev", "InstanceClass": kind})
            named |= {group["LogGroupName"].replace("-dev", "-{}") for group in template.of_type("AWS::Logs::LogGroup").values()}

    assert {pattern for patterns in WRITTEN_LATE.values() for pattern in patterns} <= named


def test_a_group_that_is_gone_already_stops_nothing():
    client = boto3.client("logs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_client_error("delete_log_group", "ResourceNotFoundException")
        stub.add_response("delete_log_group", {}, {"logGroupName": "dms-tasks-dm-dev"})
        removal._remove_logs(client, "dev", ["streaming-dms", "storage"])
        stub.assert_no_pending_responses()


def test_an_execution_that_began_before_a_deployment_finds_its_revision():
    resources = stack("ingestion", "dev").document["Resources"].values()
    tasks = [entry for entry in resources if entry["Type"] == "AWS::ECS::TaskDefinition"]

    assert [task["UpdateReplacePolicy"] for task in tasks] == ["Retain"]
