"""What an account lacks is told before anything is made, with the command that closes it.

The emulator has no quotas, service-linked roles or Lake Formation, so botocore's stubs answer: each answer is held to AWS's own model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from datamaster.aws.deploy import account_preflight, docker, quotas
from datamaster.aws.deploy.environments import EXISTING_SOURCE, Environment, load_environment
from datamaster.aws.deploy.gaps import Asking, Gap
from datamaster.aws.deploy.package import APPS
from datamaster.aws.deploy.stacks import launch_order

DEV = load_environment("dev")
DEPLOYER = "arn:aws:sts::123456789012:assumed-role/dm-deploy/me"
EVERY = frozenset(name for level in launch_order(DEV) for name in level)
EVERYONE_ALL = [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}]
Answer = tuple[Any, ...]


def asking(
    answers: dict[str, Iterable[Answer]], environment: Environment = DEV, there: frozenset[str] = frozenset(), who: str = DEPLOYER
) -> Asking:
    """An account that answers in order: operation, answer (a text is the code of an error), and what has to be asked."""
    clients = {}
    for service, given in answers.items():
        clients[service] = boto3.client(service, region_name=environment.region, aws_access_key_id="x", aws_secret_access_key="x")
        stub = Stubber(clients[service])
        for operation, answer, *expected in given:
            if isinstance(answer, str):
                stub.add_client_error(operation, answer)
            else:
                stub.add_response(operation, answer, *expected)
        stub.activate()
    return Asking(environment, EVERY, there, who, clients)


def limits(total: int, unreserved: int) -> list[Answer]:
    account_limit = {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": unreserved}
    return [("get_account_settings", {"AccountLimit": account_limit})]


def quota(name: str, value: float) -> list[Answer]:
    listed = {"Quotas": [{"QuotaName": name, "QuotaCode": "L-1", "Value": value}]}
    return [("list_service_quotas", {"Quotas": []}), ("list_aws_default_service_quotas", listed)]


def test_an_account_of_ten_executions_is_told_what_the_functions_reserve_and_what_to_ask_for():
    [gap] = quotas.concurrency(asking({"lambda": limits(10, 10)}))

    assert gap.blocks
    assert f"reserve {sum(quotas.reserved(DEV, app) for app in APPS)} executions" in gap.what
    assert "--quota-code L-B99A9384 --desired-value 1000" in gap.next


def test_functions_that_are_there_have_their_reservation_already():
    assert list(quotas.concurrency(asking({"lambda": limits(1000, 150)}, there=frozenset(APPS)))) == []
    assert list(quotas.concurrency(asking({"lambda": limits(1000, 1000)}))) == []


@pytest.mark.parametrize(
    ("check", "name", "told"),
    [
        (quotas.containers, "Fargate Spot vCPU resource count", "one container for a large file takes 4 vCPU, and this account has 1"),
        (quotas.spark, "Max concurrent vCPUs per account", "jobs that run at once take 16 vCPU, and this account has 1"),
        (quotas.partitions, "Dynamic partitions", "tables that change at once take 4 partitions, and this account has 1"),
    ],
)
def test_a_small_quota_is_told_with_the_command_that_asks_for_more(check: Any, name: str, told: str):
    [gap] = check(asking({"service-quotas": quota(name, 1)}))

    assert told in gap.what
    assert gap.next.startswith("aws service-quotas request-service-quota-increase --service-code ")
    assert list(check(asking({"service-quotas": quota(name, 500)}))) == []


def ec2(lacks: dict[str, set[str]]) -> dict[str, list[Answer]]:
    """A region of four zones, of which a door may lack some."""
    names = {f"us-east-1{letter}": f"use1-az{number}" for letter, number in zip("abcd", (4, 3, 1, 2), strict=True)}
    zones = [{"ZoneName": name, "ZoneId": number} for name, number in names.items()]
    details = [
        {"ServiceName": service, "AvailabilityZones": sorted(names.keys() - lacks.get(service, set()))}
        for service in account_preflight.endpoints(DEV)
    ]
    return {
        "ec2": [
            ("describe_availability_zones", {"AvailabilityZones": zones}),
            ("describe_vpc_endpoint_services", {"ServiceDetails": details}),
        ]
    }


def test_a_zone_without_a_door_or_without_emr_is_told_with_two_that_have_all():
    [gap] = account_preflight.zones(asking(ec2({"com.amazonaws.us-east-1.kinesis-streams": {"us-east-1a"}})))

    assert gap.blocks
    assert gap.what == "us-east-1a lacks com.amazonaws.us-east-1.kinesis-streams; us-east-1b lacks EMR Serverless"
    assert gap.next == "zone_a: us-east-1c, zone_b: us-east-1d in environments/dev.yaml"


def its_network(zones: str, network: str = EXISTING_SOURCE["source_vpc"]) -> dict[str, list[Answer]]:
    names = EXISTING_SOURCE["source_subnets"].split(",")
    subnets = [
        {"SubnetId": name, "VpcId": network, "AvailabilityZone": f"us-east-1{zone}"} for name, zone in zip(names, zones, strict=True)
    ]
    group = {"GroupId": EXISTING_SOURCE["source_group"], "VpcId": EXISTING_SOURCE["source_vpc"]}
    return {"ec2": [("describe_subnets", {"Subnets": subnets}), ("describe_security_groups", {"SecurityGroups": [group]})]}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (its_network("ab"), []),
        (its_network("aa"), ["source_subnets are all in us-east-1a, and DMS wants two zones"]),
        (its_network("ab", "vpc-other"), [f"{name} is in vpc-other, not in" for name in EXISTING_SOURCE["source_subnets"].split(",")]),
        ({"ec2": [("describe_subnets", "InvalidSubnetID.NotFound")]}, [""]),
    ],
)
def test_the_network_of_a_source_that_is_there_is_looked_at_before_anything_is_made(answers: dict[str, list[Answer]], told: list[str]):
    lean = load_environment("lean").with_variables(EXISTING_SOURCE)
    gaps = list(account_preflight.existing_source(asking(answers, lean)))

    assert [gap.what.startswith(text) for gap, text in zip(gaps, told, strict=True)] == [True] * len(told)
    assert all(gap.blocks and "environments/lean.yaml" in gap.next for gap in gaps)


def test_two_chosen_zones_that_have_everything_are_enough():
    chosen = DEV.with_variables({"zone_a": "us-east-1c", "zone_b": "us-east-1d"})

    assert list(account_preflight.zones(asking(ec2({}), chosen))) == []


@pytest.mark.parametrize(
    ("made", "role", "told"),
    [
        (True, "", None),
        (True, "arn:aws:iam::123456789012:role/dm-api-logs-us-east-1", None),
        (True, "arn:aws:iam::123456789012:role/of-another-project", "which the deployment would replace"),
        (False, "", "the API's stage would fail"),
        (False, "arn:aws:iam::123456789012:role/of-another-project", None),
    ],
)
def test_the_accounts_role_for_api_logs_is_neither_lacking_nor_replaced(made: bool, role: str, told: str | None):
    answer = {"cloudwatchRoleArn": role} if role else {}
    environment = DEV.with_variables({"api_account_role": made})

    found = list(account_preflight.api_logs(asking({"apigateway": [("get_account", answer)]}, environment)))

    assert [told in gap.what and gap.blocks for gap in found] == ([] if told is None else [True])


ROLE = {"Role": {"Path": "/", "RoleName": "x", "RoleId": "A" * 16, "Arn": "arn:aws:iam::1:role/x", "CreateDate": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("made", "answer", "count"), [(True, ROLE, 1), (True, "NoSuchEntity", 0), (False, "NoSuchEntity", 1), (False, ROLE, 0)]
)
def test_dmss_roles_are_made_once_an_account(made: bool, answer: Any, count: int):
    found = list(account_preflight.dms_roles(asking({"iam": [("get_role", answer)]}, DEV.with_variables({"dms_account_roles": made}))))

    assert len(found) == count


def test_service_linked_roles_that_are_lacking_are_made_by_fix():
    created = ("create_service_linked_role", ROLE)
    asked = asking({"iam": [("get_role", "NoSuchEntity"), created, ("get_role", ROLE), ("get_role", ROLE)]})
    checking = account_preflight.linked_roles(asked)

    gap = next(checking)
    assert gap.next == "aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com"
    assert gap.fix
    gap.fix()

    assert list(checking) == []


@pytest.mark.parametrize(("who", "count"), [(DEPLOYER, 0), ("arn:aws:iam::123456789012:user/someone", 1)])
def test_someone_else_than_the_administrator_of_lake_formation_is_refused(who: str, count: int):
    assert len(list(account_preflight.administrator(asking({}, who=who)))) == count


def test_the_accounts_defaults_change_by_fix_alone_and_its_administrators_stay():
    settings = {"DataLakeAdmins": [{"DataLakePrincipalIdentifier": "arn:aws:iam::1:role/x"}], "CreateTableDefaultPermissions": EVERYONE_ALL}
    closed = settings | {"CreateDatabaseDefaultPermissions": [], "CreateTableDefaultPermissions": []}
    put = ("put_data_lake_settings", {}, {"DataLakeSettings": closed})
    [gap] = account_preflight.lake_defaults(asking({"lakeformation": [("get_data_lake_settings", {"DataLakeSettings": settings}), put]}))

    assert not gap.blocks
    assert gap.fix
    gap.fix()  # the stub refuses another call, or other settings


def test_a_region_without_emr_serverless_is_refused_by_name():
    elsewhere = Environment("dev", "us-nowhere-1", DEV.variables)

    [gap] = account_preflight.region(asking({}, elsewhere))

    assert gap.blocks
    assert gap.what == "us-nowhere-1 has no EMR Serverless"


def test_what_cannot_be_asked_is_told_and_stops_nothing(monkeypatch: pytest.MonkeyPatch):
    refused = asking({"lambda": [("get_account_settings", "AccessDeniedException")]})
    monkeypatch.setattr(account_preflight, "Asking", lambda *_of: refused)

    [gap] = account_preflight.preflight(DEV, frozenset({"converter"}), frozenset(), DEPLOYER)

    assert not gap.blocks
    assert gap.what.startswith("Lambda's concurrency could not be asked for: ")


def test_a_readerless_alarm_and_a_missing_docker_are_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(docker, "available", lambda: False)

    found: list[Gap] = [*account_preflight.readers(asking({})), *account_preflight.images(asking({}))]

    assert [gap.what.split(":")[0] for gap in found] == ["alarm_email is empty", "Docker does not run here"]
    assert list(account_preflight.readers(asking({}, DEV.with_variables({"alarm_email": "me@example.com"})))) == []


def test_every_stack_that_a_check_names_is_one():
    assert frozenset().union(*(check.stacks for check in account_preflight.CHECKS)) <= EVERY | {"source-existing"}
