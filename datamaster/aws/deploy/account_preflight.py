"""Check the account for problems that would stop a deployment, before the first change set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from datamaster.aws.cloudformation.rendering import PSEUDO, Template
from datamaster.aws.deploy import docker, quotas
from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.gaps import Asking, Gap
from datamaster.aws.deploy.lake_access import EVERYONE
from datamaster.project import PROJECT

NO_EMR = {"us-east-1": frozenset({"use1-az3"})}
"""Zone ids without EMR Serverless: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/endpoints-quotas.html"""
LINKED_ROLES = {
    "ingestion": ("ecs.amazonaws.com", "AWSServiceRoleForECS"),
    "database": ("rds.amazonaws.com", "AWSServiceRoleForRDS"),
    "processing-emr": ("ops.emr-serverless.amazonaws.com", "AWSServiceRoleForAmazonEMRServerless"),
}
"""Roles that a service creates at its first use, too late for that use itself:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html"""
DEFAULTS = ("CreateDatabaseDefaultPermissions", "CreateTableDefaultPermissions")


def preflight(environment: Environment, stacks: frozenset[str], there: frozenset[str], identity: str) -> list[Gap]:
    """The account's gaps for the wanted stacks. ``there`` are the deployed stacks. A check that cannot be made is a gap too."""
    asking = Asking(environment, stacks, there, identity)
    found: list[Gap] = []
    for check in CHECKS:
        if check.stacks & stacks:
            try:
                found += check.ask(asking)
            except (BotoCoreError, ClientError, LookupError) as error:
                found.append(Gap(f"{check.about} could not be asked for: {error}", "give this identity the right, or look at it by hand"))
    return found


def region(asking: Asking) -> Iterator[Gap]:
    """Gaps for services that AWS does not offer in every region."""
    here = asking.environment.region
    if here not in boto3.Session().get_available_regions("emr-serverless"):
        yield Gap(f"{here} has no EMR Serverless", f"another region in {asking.file}", blocks=True)


def zones(asking: Asking) -> Iterator[Gap]:
    """Gaps for the network's two zones: every endpoint and EMR Serverless must exist in both."""
    ec2, variables = asking.client("ec2"), asking.environment.variables
    every = {zone["ZoneName"]: zone["ZoneId"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
    ordered = sorted(every)
    wanted = [variables["zone_a"] or ordered[0], variables["zone_b"] or ordered[1]]
    lacking = {name: ["EMR Serverless"] for name, number in every.items() if number in NO_EMR.get(asking.environment.region, ())}
    for detail in ec2.describe_vpc_endpoint_services(ServiceNames=endpoints(asking.environment))["ServiceDetails"]:
        for name in every.keys() - set(detail["AvailabilityZones"]):
            lacking.setdefault(name, []).append(detail["ServiceName"])
    for name in wanted:
        if name not in every:
            yield Gap(f'"{name}" is no zone of this region', f"zone_a and zone_b as two of {', '.join(ordered)}", blocks=True)
    if bad := [name for name in wanted if name in lacking]:
        able = [name for name in ordered if name not in lacking][:2]
        told = "; ".join(f"{name} lacks {', '.join(lacking[name])}" for name in bad)
        step = f"zone_a: {able[0]}, zone_b: {able[1]} in {asking.file}" if len(able) == 2 else "another region"
        yield Gap(told, step, blocks=True)


def endpoints(environment: Environment) -> list[str]:
    """Names of the services that get an interface or gateway endpoint in the network."""
    template = Template(PROJECT / "templates" / "network.yaml", {"Endpoints": environment.variables["network"]})
    found = template.of_type("AWS::EC2::VPCEndpoint").values()
    return sorted(str(door["ServiceName"]).replace(PSEUDO["AWS::Region"], environment.region) for door in found)


def existing_source(asking: Asking) -> Iterator[Gap]:
    """Gaps for the network of a source that is there already: subnets and group in it, in two zones at least."""
    ec2, variables = asking.client("ec2"), asking.environment.variables
    network, wanted = variables["source_vpc"], str(variables["source_subnets"]).split(",")
    try:
        subnets = ec2.describe_subnets(SubnetIds=wanted)["Subnets"]
        [group] = ec2.describe_security_groups(GroupIds=[variables["source_group"]])["SecurityGroups"]
    except ClientError as error:
        yield Gap(error.response["Error"]["Message"], f"source_subnets and source_group in {asking.file}", blocks=True)
        return
    for name, found in [(subnet["SubnetId"], subnet["VpcId"]) for subnet in subnets] + [(group["GroupId"], group["VpcId"])]:
        if found != network:
            yield Gap(f"{name} is in {found}, not in {network}", f"values of one network in {asking.file}", blocks=True)
    zones = sorted({subnet["AvailabilityZone"] for subnet in subnets})
    if len(zones) == 1:
        step = f"a subnet of another zone in source_subnets of {asking.file}"
        yield Gap(f"source_subnets are all in {zones[0]}, and DMS wants two zones", step, blocks=True)


def api_logs(asking: Asking) -> Iterator[Gap]:
    """Gaps for API Gateway's logging role. An account has one per region."""
    role = asking.client("apigateway").get_account().get("cloudwatchRoleArn", "")
    ours = role.endswith(f":role/dm-api-logs-{asking.environment.region}")
    file, made = asking.file, asking.environment.variables["api_account_role"]
    if made and role and not ours:
        yield Gap(
            f"API Gateway logs by {role} already, which the deployment would replace",
            f"api_account_role: false in {file}",
            True,
        )
    if not made and not role:
        yield Gap("API Gateway has no role for logs, so the API's stage would fail", f"api_account_role: true in {file}", True)


def dms_roles(asking: Asking) -> Iterator[Gap]:
    """Gaps for DMS's roles. DMS prescribes their names, so an account has them once."""
    made, file = asking.environment.variables["dms_account_roles"], asking.file
    is_there = _role(asking, "dms-vpc-role")
    if made and is_there and "dms-account-roles" not in asking.there:
        yield Gap("dms-vpc-role is in this account already", f"dms_account_roles: false in {file}", blocks=True)
    if not made and not is_there:
        yield Gap("dms-vpc-role is not in this account, and DMS works by it", f"dms_account_roles: true in {file}", blocks=True)


def linked_roles(asking: Asking) -> Iterator[Gap]:
    """Gaps for service-linked roles. A stack fails and is retried if its service has no role yet, which takes minutes."""
    iam = asking.client("iam")
    for stack, (service, role) in LINKED_ROLES.items():
        if stack in asking.stacks - asking.there and not _role(asking, role):

            def create(service: str = service) -> None:
                iam.create_service_linked_role(AWSServiceName=service)

            yield Gap(f"{role} is not in this account yet", f"aws iam create-service-linked-role --aws-service-name {service}", fix=create)


def administrator(asking: Asking) -> Iterator[Gap]:
    """A gap if the deploying identity is not the role that the stacks make administrator of Lake Formation."""
    role = asking.environment.variables["deploy_role"]
    if f"/{role}/" not in asking.identity and not asking.identity.endswith(f":role/{role}"):
        yield Gap(
            f'{asking.identity} deploys, and the stacks make the role "{role}" administrator of Lake Formation; grants would be refused',
            f"take the role {role}, or name another as deploy_role in {asking.file}",
            blocks=True,
        )


def lake_defaults(asking: Asking) -> Iterator[Gap]:
    """A gap if the account opens each new database to everyone. The lake's own databases are closed in any case."""
    client = asking.client("lakeformation")
    settings = client.get_data_lake_settings()["DataLakeSettings"]
    if any(entry["Principal"] == EVERYONE for name in DEFAULTS for entry in settings.get(name, [])):

        def close() -> None:
            client.put_data_lake_settings(DataLakeSettings=settings | {name: [] for name in DEFAULTS})

        yield Gap(
            "each new database of this account is open to IAM_ALLOWED_PRINCIPALS; those of the lake are closed one by one",
            "aws lakeformation put-data-lake-settings with both lists of default permissions empty",
            fix=close,
        )


def images(_asking: Asking) -> Iterator[Gap]:
    """A gap if Docker is missing. It builds the converter's image and the jobs' interpreter."""
    if not docker.available():
        yield Gap(
            "Docker does not run here: image and archive are not made, and without them the replication is not started", "start Docker"
        )


def readers(asking: Asking) -> Iterator[Gap]:
    """A gap if no address receives the alarms and the budget's notices."""
    if not asking.environment.variables.get("alarm_email"):
        file = asking.file
        yield Gap("alarm_email is empty: alarms and the budget reach nobody", f"an address as alarm_email in {file}")


def costs(asking: Asking) -> Iterator[Gap]:
    """A gap outside us-east-1. Only there AWS exports costs and CloudFormation makes budgets."""
    if asking.environment.region != "us-east-1":
        yield Gap("the cost export and its budget are stacks of us-east-1 alone, so this environment has none", "aws budgets create-budget")


def _role(asking: Asking, name: str) -> bool:
    iam = asking.client("iam")
    try:
        iam.get_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        return False
    return True


@dataclass(frozen=True)
class AccountCheck:
    """A check of the account. It runs if one of its stacks is wanted."""

    about: str
    stacks: frozenset[str]
    ask: Callable[[Asking], Iterator[Gap]]


def _check(about: str, stacks: str, ask: Callable[[Asking], Iterator[Gap]]) -> AccountCheck:
    return AccountCheck(about, frozenset(stacks.split()), ask)


CHECKS = (
    _check("the region's services", "processing-emr", region),
    _check("the zones of the network", "network", zones),
    _check("the network of the source", "source-existing", existing_source),
    _check("Lambda's concurrency", "ingest-router converter control-api", quotas.concurrency),
    _check("Fargate's quota", "ingestion", quotas.containers),
    _check("EMR Serverless's quota", "processing-emr", quotas.spark),
    _check("Firehose's quota", "streaming-delivery", quotas.partitions),
    _check("API Gateway's role for logs", "control-api", api_logs),
    _check("DMS's roles", "streaming-dms", dms_roles),
    _check("service-linked roles", " ".join(LINKED_ROLES), linked_roles),
    _check("Lake Formation's administrator", "catalog governance-grants", administrator),
    _check("Lake Formation's defaults", "catalog", lake_defaults),
    _check("Docker", "ingestion", images),
    _check("alarms' readers", "observability", readers),
    _check("costs", "costs", costs),
)
