"""Every stack of the laptop, from the very files: deployed, changed in place, deleted; and what is never deployed there, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
import yaml
from ministack.services.cloudformation import provisioners

from datamaster.deploy import deploy
from datamaster.deploy.deployment import CONTRACTS, Deployment, plan
from datamaster.deploy.environments import load_environment
from datamaster.deploy.stacks import StackFailed, delete, launch
from datamaster.project import PROJECT

pytestmark = pytest.mark.integration
ACTIVITIES = ("dm-run-task-local", "dm-start-job-run-local")

# The laptop has no use for these, but the emulator knows their types (test_account_stacks.py deploys them).
ACCOUNT_ONLY = ("network", "database", "layers")
# The emulator has the type but pushes inside PutRecords and neither buffers nor compresses: a worker reads its properties instead.
WORKER_INSTEAD = {"AWS::KinesisFirehose::DeliveryStream"}


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as plain values."""


def _short_form(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _short_form)


@pytest.fixture(scope="module")
def deployment(emulator: object, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    states = boto3.client("stepfunctions")
    for name in ACTIVITIES:
        states.create_activity(name=name)
    return deploy("local", build=tmp_path_factory.mktemp("build"))


def statuses() -> dict[str, str]:
    stacks = boto3.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in stacks}


def test_every_stack_of_the_laptop_is_deployed_from_its_file(deployment: Deployment):
    expected = {f"dm-local-{name}" for level in plan("local") for name in level}

    assert statuses() == dict.fromkeys(expected, "CREATE_COMPLETE")


def test_functions_mappings_and_state_machines_are_named_as_the_settings_say(deployment: Deployment):
    functions = {function["FunctionName"] for function in boto3.client("lambda").list_functions()["Functions"]}
    machines = {machine["name"] for machine in boto3.client("stepfunctions").list_state_machines()["stateMachines"]}

    assert "dm-ingest-router-local-register_files" in functions
    assert "dm-converter-local-convert_file" in functions
    assert "dm-control-api-local-plan_silver" in functions
    assert machines == {"dm-convert-file-local", "dm-bronze-to-silver-local", "dm-silver-to-gold-local", "dm-maintenance-local"}


def test_a_state_machine_runs_its_long_tasks_through_the_activities(deployment: Deployment):
    states = boto3.client("stepfunctions")
    arn = deployment.outputs["ingestion"]["ConvertStateMachineArn"]

    definition = orjson.loads(states.describe_state_machine(stateMachineArn=arn)["definition"])

    assert definition["States"]["ConvertInContainer"]["Resource"].endswith(":activity:dm-run-task-local")
    assert "${" not in states.describe_state_machine(stateMachineArn=arn)["definition"]


def test_a_second_deployment_changes_nothing(deployment: Deployment, tmp_path: Path):
    again = deploy("local", build=tmp_path)

    assert again == deployment
    assert set(statuses().values()) == {"CREATE_COMPLETE"}


def test_a_new_table_is_published_without_touching_a_stack(deployment: Deployment, tmp_path: Path):
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    for path in CONTRACTS.glob("*.yaml"):
        (contracts / path.name).write_text(path.read_text())
    text = (CONTRACTS / "brewery.yaml").read_text().replace("dm_core.brewery", "dm_core.pub").replace("name: brewery\n", "name: pub\n")
    (contracts / "pub.yaml").write_text(text)

    changed = deploy("local", contracts=contracts, build=tmp_path / "build")

    assert changed.contracts_version != deployment.contracts_version
    assert set(statuses().values()) == {"CREATE_COMPLETE"}


def test_a_changed_variable_updates_its_stack_in_place_and_no_other(deployment: Deployment, tmp_path: Path):
    deploy("local", build=tmp_path, variables={"convert_lambda_limit": 5})

    function = boto3.client("lambda").get_function_configuration(FunctionName="dm-ingest-router-local-register_files")
    assert function["Environment"]["Variables"]["CONVERT_LAMBDA_LIMIT"] == "5"
    updated = {name for name, status in statuses().items() if status == "UPDATE_COMPLETE"}
    assert updated == {"dm-local-ingest-router"}


def test_a_stack_that_cannot_be_made_is_named_with_cloudformations_reason(emulator: object):
    taken = load_environment("local").with_variables({"environment": "dev", "region": "us-east-1", "shards": "many"})

    with pytest.raises(StackFailed, match="dm-dev-streaming"):
        launch(taken, ["streaming"])


def test_deleting_everything_leaves_no_stack(deployment: Deployment):
    delete(load_environment("local"))

    assert {status for name, status in statuses().items() if name.startswith("dm-local-")} <= {"DELETE_COMPLETE"}


def test_what_is_never_deployed_holds_a_type_that_the_emulator_lacks():
    known = provisioners._RESOURCE_HANDLERS
    deployed = {name for level in plan("local") for name in level} | set(ACCOUNT_ONLY)
    templates = {path.stem for path in (PROJECT / "templates").glob("*.yaml") if ".merge" not in path.name}

    assert len(templates - deployed) > 3
    for name in sorted(templates - deployed):
        template = yaml.load((PROJECT / "templates" / f"{name}.yaml").read_text(), Loader=_Loader)
        types = {resource["Type"] for resource in template["Resources"].values()}
        assert types - known.keys() or types & WORKER_INSTEAD, f"{name}: the emulator knows all of {sorted(types)}"
