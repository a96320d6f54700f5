"""``dm deploy --dry-run`` and the checks that need no account."""

from __future__ import annotations

import re
from pathlib import Path

import boto3
import orjson
import pytest
import yaml

from datamaster.aws.cloudformation.reading import read_template
from datamaster.aws.deploy import environments
from datamaster.aws.deploy.deployment import READ_ARTIFACTS
from datamaster.aws.deploy.environments import EXISTING_SOURCE, InvalidSource, load_environment
from datamaster.aws.deploy.preview import MissingParameter, parameter_problems, parameters_of, require_parameters, resources_of
from datamaster.aws.deploy.stacks import UnknownStack, launch_order, levels
from datamaster.aws.pages.stacks_page import PAGE, page
from datamaster.cli import WRONG_INPUT, run
from datamaster.project import PROJECT

ACCOUNTS = ["lean", "dev", "staging", "prod"]

TEMPLATE = """
Parameters:
  Size: {Type: String, AllowedValues: [small, large]}
  Nat: {Type: String, Default: "false"}
  Zone: {Type: String, Default: ""}
Conditions:
  Large: !Equals [!Ref Size, large]
  Both: !And [!Condition Large, !Not [!Equals [!Ref Nat, "false"]]]
  Either: !Or [!Equals [!Ref Zone, a], !Condition Large]
Resources:
  Always: {Type: "AWS::SQS::Queue"}
  Big: {Type: "AWS::SQS::Queue", Condition: Large}
  Way: {Type: "AWS::EC2::NatGateway", Condition: Both}
  Any: {Type: "AWS::SNS::Topic", Condition: Either}
"""


def test_a_dry_run_shows_order_parameters_and_resources_without_credentials(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def unreachable(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a dry run asked AWS")

    monkeypatch.setattr(boto3, "client", unreachable)
    monkeypatch.setattr(boto3.Session, "client", unreachable)

    assert run(["deploy", "--env", "dev", "--dry-run", "--json"]) == 0

    shown = {stack["stack"]: stack for stack in orjson.loads(capsys.readouterr().out)}
    assert list(shown) == [name for level in launch_order(load_environment("dev")) for name in level]
    assert shown["storage"]["resources"]["AWS::S3::Bucket"] == 5
    assert all(stack["about"].endswith(".") for stack in shown.values())
    assert shown["storage"]["parameters"]["LakeKeyArn"] == "security.LakeKeyArn"
    assert re.fullmatch(r"functions/converter/[0-9a-f]{16}\.zip", shown["converter"]["parameters"]["PackageKey"])


def test_only_what_the_conditions_let_through_is_counted():
    template = read_template(TEMPLATE)

    assert resources_of(template, {"Size": "small"}) == {"AWS::SQS::Queue": 1}
    assert resources_of(template, {"Size": "large"}) == {"AWS::SNS::Topic": 1, "AWS::SQS::Queue": 2}
    assert resources_of(template, {"Size": "large", "Nat": "true"})["AWS::EC2::NatGateway"] == 1


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, 'config/network.yaml gives no value for parameter "Size"'),
        ({"Size": "huge"}, 'config/network.yaml: parameter "Size" is "huge"; one of small, large'),
        ({"Size": "small", "Colour": "red"}, 'gives a parameter "Colour" that the template does not have; it has Size, Nat, Zone'),
    ],
)
def test_a_parameter_that_cannot_be_is_named_with_what_would_be_valid(given: dict[str, str], problem: str):
    [found] = parameter_problems("network", read_template(TEMPLATE), given)

    assert problem in found


@pytest.mark.parametrize("name", ACCOUNTS)
def test_every_environment_gives_every_template_its_parameters(name: str):
    environment = load_environment(name)

    require_parameters(environment, [stack for level in launch_order(environment) for stack in level])


@pytest.mark.parametrize("laptop", [True, False])
def test_the_laptops_file_has_every_value_that_a_stack_reads_also_those_it_has_no_use_for(laptop: bool):
    environment = load_environment("local").with_variables({"laptop": laptop})

    assert launch_order(environment)


def test_a_value_that_a_template_does_not_allow_stops_before_anything_is_called():
    with pytest.raises(MissingParameter, match=r'config/network\.yaml: parameter "Endpoints" is "perhaps"; one of endpoints, nat, public'):
        require_parameters(load_environment("dev").with_variables({"network": "perhaps"}), ["network"])


def test_a_value_missing_from_an_environment_is_named_with_who_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    lacking = {key: value for key, value in load_environment("dev").variables.items() if key != "cidr"}
    (tmp_path / "dev.yaml").write_text(yaml.safe_dump(lacking))
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)

    assert run(["deploy", "--env", "dev", "--dry-run"]) == WRONG_INPUT
    assert "environments/dev.yaml lacks cidr, read by config/network-nat.yaml, config/network.yaml" in capsys.readouterr().err


def given(**variables: object) -> dict[str, dict[str, str]]:
    """Every stack's parameters in dev, with some values of its file replaced."""
    environment = load_environment("dev").with_variables(variables)
    return {stack.name: dict(parameters_of(stack)) for level in levels(environment) for stack in level}


def test_one_value_chooses_the_processor_of_everything_that_has_one():
    parameters = given(architecture="arm64")
    templates = {path.stem for path in (PROJECT / "templates").glob("*.yaml") if "  Architecture:" in path.read_text()}

    chosen = {name for name, values in parameters.items() if values.get("Architecture") == "arm64"}
    assert chosen == {name.removeprefix("functions-").removesuffix(".merge") for name in templates}
    assert len(chosen) == 6


def test_spot_a_replication_on_an_instance_warm_executors_and_a_backup_of_the_source_are_a_value_each():
    usual = given(spot_containers=False)
    other = given(spot_containers=True, replication_instance_class="dms.t3.medium", warm_executors=2, source_backup=True)

    assert [usual["ingestion"]["CapacityProvider"], other["ingestion"]["CapacityProvider"]] == ["FARGATE", "FARGATE_SPOT"]
    assert [usual["streaming-dms"]["InstanceClass"], other["streaming-dms"]["InstanceClass"]] == ["", "dms.t3.medium"]
    assert [usual["streaming-delivery"]["SourceBackup"], other["streaming-delivery"]["SourceBackup"]] == ["false", "true"]
    assert [usual["processing-emr"]["WarmExecutors"], other["processing-emr"]["WarmExecutors"]] == ["0", "2"]


def test_an_unknown_stack_is_refused_with_those_that_exist():
    with pytest.raises(UnknownStack, match=r'"dev" has no stack "storrage"; it has .*storage'):
        launch_order(load_environment("dev"), ["storrage"])


def test_the_laptop_is_not_deployed_to_by_dm_deploy(capsys: pytest.CaptureFixture[str]):
    assert run(["deploy", "--env", "local", "--dry-run"]) == WRONG_INPUT
    assert "dm up" in capsys.readouterr().err


def test_a_value_to_set_that_no_environment_has_is_refused(capsys: pytest.CaptureFixture[str]):
    assert run(["deploy", "--env", "dev", "--dry-run", "--set", "shard=2"]) == WRONG_INPUT
    assert "retention_hours" in capsys.readouterr().err


def test_the_stacks_that_read_artifacts_are_those_whose_configuration_names_one():
    names = r"var\.(functions|definitions|layers|jobs_prefix|spark_)"

    assert {path.stem for path in (PROJECT / "config").glob("*.yaml") if re.search(names, path.read_text())} == READ_ARTIFACTS


@pytest.mark.parametrize("name", ACCOUNTS)
def test_nothing_is_granted_by_default_before_the_first_database_exists(name: str):
    order = launch_order(load_environment(name))
    level = {stack: number for number, stacks in enumerate(order) for stack in stacks}

    assert level["lake-formation"] < min(level["catalog"], level["audit"])


def test_every_template_is_a_stack_of_some_account():
    templates = {path.stem for path in (PROJECT / "templates").glob("*.yaml") if ".merge" not in path.name}
    apps = {path.name.removeprefix("functions-").removesuffix(".merge.yaml") for path in (PROJECT / "templates").glob("*.merge.yaml")}

    existing = load_environment("lean").with_variables(EXISTING_SOURCE)
    launched = {stack for account in (*map(load_environment, ACCOUNTS), existing) for level in launch_order(account) for stack in level}
    assert launched == templates | apps


def test_a_source_that_is_there_takes_the_place_of_network_and_database():
    existing = load_environment("lean").with_variables(EXISTING_SOURCE)
    found = {stack.name: dict(parameters_of(stack)) for level in levels(existing) for stack in level}

    assert not found.keys() & {"network", "network-nat", "database", "database-rotation"}
    assert found["streaming-dms"]["ReplicationUserArn"] == "source-existing.ReplicationUserArn"
    assert found["streaming-dms"]["Subnets"] == "source-existing.Subnets"
    assert found["ingestion"]["Subnets"] == EXISTING_SOURCE["container_subnets"]
    assert found["observability"]["SourceName"] == EXISTING_SOURCE["source_name"]
    require_parameters(existing, list(found))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"source": "other"}, "environments/lean.yaml: source: other; one of own, existing"),
        ({"source": "existing", "working_hours": True}, "working_hours: true would stop a database that others use"),
    ],
)
def test_values_of_a_source_that_contradict_each_other_are_refused(values: dict[str, object], said: str):
    with pytest.raises(InvalidSource, match=said):
        load_environment("lean").with_variables(values)


def test_the_page_of_the_deployment_shows_the_values_of_a_source_that_is_there():
    block = (PROJECT / "docs" / "deploy.md").read_text().split("```yaml\nsource: existing", 1)[1].split("```", 1)[0]

    assert yaml.safe_load("source: existing" + block) == EXISTING_SOURCE


def test_the_page_of_interfaces_says_what_templates_and_configuration_say():
    assert PAGE.read_text() == page(), "python -m datamaster.aws.pages.stacks_page"
