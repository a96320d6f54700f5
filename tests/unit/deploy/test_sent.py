"""What a deployment sends, judged as AWS judges it, for every environment; and each rule finds what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.deploy.aws_refusals import refusals
from datamaster.aws.deploy.environments import Environment, load_environment
from datamaster.aws.deploy.package import Package, package_apps
from datamaster.aws.deploy.sent import Sent, sent

ELSEWHERE = "eu-central-1"
ENVIRONMENTS = ("lean", "dev", "staging", "prod")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    return package_apps(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def of(packages: dict[str, Package], tmp_path_factory: pytest.TempPathFactory) -> Callable[[Environment], Sent]:
    return lambda environment: sent(environment, packages, tmp_path_factory.mktemp("sent"))


@pytest.fixture(scope="module")
def dev(of: Callable[[Environment], Sent]) -> Sent:
    return of(load_environment("dev"))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_aws_refuses_nothing_of_an_environment(of: Callable[[Environment], Sent], name: str):
    assert refusals(of(load_environment(name))) == []


def test_aws_refuses_nothing_in_another_region(of: Callable[[Environment], Sent]):
    here = load_environment("prod").with_variables({"region": ELSEWHERE})
    found = of(Environment(here.name, ELSEWHERE, here.variables))

    assert refusals(found) == []
    assert "costs-export" not in found.bodies
    assert ELSEWHERE in found.parameters["processing"]["SparkSubmitParameters"]


def test_the_collection_is_every_stack_of_the_environment_with_every_value_filled_in(dev: Sent):
    assert {"security", "control-api", "processing", "streaming-dms", "api-account-role"} <= dev.bodies.keys()
    assert dev.parameters["control-api"]["ControlTable"] == "dm-control-dev"
    assert dev.definitions.keys() == {"bronze-to-silver", "convert-file", "maintenance", "silver-to-gold"}


def planted(dev: Sent, tmp_path: Path, stack: str, before: str, after: str) -> list[str]:
    """The rules that find a fault which was put into a template."""
    body = dev.bodies[stack]
    assert before in body, f"{stack} has no {before}"
    path = tmp_path / f"{stack}.yaml"
    path.write_text(body.replace(before, after))
    faulty = replace(
        dev,
        bodies=dev.bodies | {stack: path.read_text()},
        rendered=dev.rendered | {stack: Template(path, dev.parameters[stack])},
    )
    return sorted({finding.check for finding in refusals(faulty)})


@pytest.mark.parametrize(
    ("rule", "stack", "before", "after"),
    [
        ("SYNTAX", "streaming", "Resources:", "Metadata: {a: &same [], b: *same}\nResources:"),
        ("SYNTAX", "streaming", "Resources:", "Metadata: !Environ x\nResources:"),
        ("SIZES", "streaming", "Resources:", f"Metadata: {{a: {'x' * 1_000_000}}}\nResources:"),
        ("NETWORK", "converter", ":*/*", ":network-interface/*"),
        ("POLICY_LENGTHS", "security", "athena:BatchGet*", "athena:" + "x" * 600),
        ("DELIVERY", "streaming-delivery", '"300"', '"3"'),
    ],
)
def test_a_planted_fault_is_found_by_its_rule(dev: Sent, tmp_path: Path, rule: str, stack: str, before: str, after: str):
    assert planted(dev, tmp_path, stack, before, after) == [rule]


def test_a_type_of_one_region_is_found_elsewhere(dev: Sent):
    moved = replace(dev, environment=Environment("dev", ELSEWHERE, dev.environment.variables))

    assert {finding.check for finding in refusals(moved)} == {"REGIONS"}


def test_an_api_that_logs_before_the_accounts_role_is_found(dev: Sent):
    bodies = {name: body for name, body in dev.bodies.items() if name != "api-account-role"}

    assert {finding.check for finding in refusals(replace(dev, bodies=bodies))} == {"API_LOGS"}


def test_a_reservation_of_the_function_before_firehose_is_found(dev: Sent, tmp_path: Path):
    before = '"FunctionName":{"Fn::Sub":"dm-ingest-router-${Environment}-transform_records"}'

    assert planted(dev, tmp_path, "ingest-router", before, f'{before},"ReservedConcurrentExecutions":20') == ["DELIVERY"]
