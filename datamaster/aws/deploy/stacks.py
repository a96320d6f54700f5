"""The stacks of an environment: their order, and CloudFormation's description of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from graphlib import TopologicalSorter
from typing import Any

import boto3
from botocore.exceptions import ClientError

from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.package import APPS
from datamaster.aws.deploy.spark_submit import RELEASE_LABEL
from datamaster.aws.deploy.stack_files import Stack, read_stacks
from lake.errors import TerminalError

Outputs = dict[str, dict[str, str]]
BY_ITS_PACKAGE = "by its package"
"""A placeholder for a value that is only known after packaging."""
# A deletion or a look at the order does not need the artifacts' values.
UNKNOWN_ARTIFACTS: dict[str, Any] = {
    "functions": {app: {"template": BY_ITS_PACKAGE, "key": BY_ITS_PACKAGE} for app in APPS},
    "definitions": dict.fromkeys(("convert-file", "bronze-to-silver", "silver-to-gold", "maintenance"), BY_ITS_PACKAGE),
    "layers": {"libraries": BY_ITS_PACKAGE, "arrow": BY_ITS_PACKAGE},
    "jobs_prefix": BY_ITS_PACKAGE,
    "spark_release": RELEASE_LABEL,
    "spark_submit_parameters": BY_ITS_PACKAGE,
}


class UnknownStack(TerminalError):
    """The environment has no stack of this name under config/."""

    def __init__(self, name: str, environment: str, known: Iterable[str]) -> None:
        super().__init__(f'environment "{environment}" has no stack "{name}"; it has {", ".join(sorted(known))}')


class StackFailed(TerminalError):
    """CloudFormation could not bring a stack to its template's state."""

    def __init__(self, stack: str, reason: str) -> None:
        super().__init__(f'stack "{stack}" failed: {reason}{next_step(reason)}')


def next_step(reason: str) -> str:
    """The next step after a failure, from CloudFormation's reason. Empty if the reason needs no addition."""
    if re.search(r"already exists|BucketAlready", reason):
        return (
            "\nNext: something of this name is there that no stack of this environment holds. A bucket's name is taken across all accounts."
            " If an earlier deployment left it, dm destroy --delete-data removes it with what is in it; then dm deploy again."
        )
    if re.search(r"AccessDenied|not authorized|UnauthorizedOperation", reason):
        return "\nNext: give the identity that deploys this right (docs/deploy.md), then dm deploy again."
    if re.search(r"LimitExceeded|[Qq]uota|UnreservedConcurrentExecution", reason):
        return "\nNext: ask for more under Service Quotas (docs/deploy.md names them), then dm deploy again."
    if re.search(r"InvalidResourceState.*replication|replication.*InvalidResourceState", reason, re.IGNORECASE | re.DOTALL):
        return (
            "\nNext: DMS changes no replication that runs, and no serverless one that ever ran. dm destroy --stack streaming-dms stops it"
            " and takes it away; dm deploy then makes it anew, and it loads every table again."
        )
    return ""


def levels(environment: Environment, names: Collection[str] = (), *, reverse: bool = False) -> list[list[Stack]]:
    """The stacks, level by level: a level needs only those before it.

    With ``names`` it returns those and their dependencies. With ``reverse``, as for a deletion, it returns those and their dependents, last
    launched first. Raises ``UnknownStack`` and ``EnvironmentIncomplete``.
    """
    every = read_stacks(environment, UNKNOWN_ARTIFACTS | environment.variables)
    here = {name for name, stack in every.items() if not stack.ignored}
    for name in {*names} - here | {needed for stack in every.values() for needed in stack.needs} - every.keys():
        raise UnknownStack(name, environment.name, here)
    before: dict[str, set[str]] = {name: set() for name in every}
    for stack in every.values():
        for needed in stack.needs:
            first, then = (stack.name, needed) if reverse else (needed, stack.name)
            before[then].add(first)
    wanted = _reached(names, before) if names else here
    kept = [[every[name] for name in sorted(wanted & here & level)] for level in _in_order(before)]
    return [level for level in kept if level]


def _in_order(before: Mapping[str, Collection[str]]) -> Iterator[set[str]]:
    order = TopologicalSorter(before)
    order.prepare()
    while order.is_active():
        yield set(ready := order.get_ready())
        order.done(*ready)


def _reached(names: Collection[str], before: Mapping[str, Collection[str]]) -> set[str]:
    """Stacks by name, and all that come before them, at any distance."""
    found, due = set(names), list(names)
    while due:
        next_ones = set(before[due.pop()]) - found
        due += next_ones
        found |= next_ones
    return found


def launch_order(environment: Environment, names: Collection[str] = ()) -> list[list[str]]:
    """The names of the stacks, level by level. A level only depends on the levels before it."""
    return [[stack.name for stack in level] for level in levels(environment, names)]


def cloudformation(environment: Environment) -> Any:
    """A CloudFormation client in the environment's region."""
    return boto3.client("cloudformation", region_name=environment.region)


def deployed(environment: Environment) -> dict[str, dict[str, Any]]:
    """CloudFormation's description of every existing stack of an environment, by short name."""
    prefix = f"dm-{environment.name}-"
    pages = cloudformation(environment).get_paginator("describe_stacks").paginate()
    stacks = [stack for page in pages for stack in page["Stacks"]]
    here = [stack for stack in stacks if stack["StackName"].startswith(prefix) and stack["StackStatus"] != "DELETE_COMPLETE"]
    return {stack["StackName"].removeprefix(prefix): stack for stack in here}


def outputs_by_name(client: Any, names: Iterable[str]) -> Outputs:
    """The outputs of those stacks that are there. Each is asked for by its name, which takes no right to list stacks."""

    def found(name: str) -> dict[str, str] | None:
        try:
            [described] = client.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return outputs_of(described)

    listed = list(names)
    with ThreadPoolExecutor(len(listed)) as pool:
        return {name: held for name, held in zip(listed, pool.map(found, listed), strict=True) if held is not None}


def outputs(stack: str) -> dict[str, str]:
    """A deployed stack's outputs, by name."""
    [described] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return outputs_of(described)


def outputs_of(described: dict[str, Any]) -> dict[str, str]:
    """The outputs in a stack's description, by name."""
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def failure_reason(client: Any, stack: str) -> str:
    """The first failure of the stack's last operation, in CloudFormation's words.

    ``stack`` is a name, or the id of a deleted stack.
    """
    events: list[dict[str, Any]] = []
    with suppress(ClientError):
        for page in client.get_paginator("describe_stack_events").paginate(StackName=stack):
            events += page["StackEvents"]
    last = _last_operation(events)
    failed = [event for event in last if event["ResourceStatus"].endswith("FAILED") and event.get("ResourceStatusReason")]
    if not failed:
        return "CloudFormation gave no reason"
    first = min(failed, key=lambda event: event["Timestamp"])
    return in_full(client, f"{first['LogicalResourceId']}: {first['ResourceStatusReason']}", StackName=stack)


def in_full(client: Any, reason: str, **operation: str) -> str:
    """A failure's reason. If only a validation failed, it names each failed resource and its reason.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html
    """
    if "DescribeEvents" not in reason:
        return reason
    events = client.describe_events(**operation)["OperationEvents"]
    failed = [event for event in events if event.get("ValidationStatus") == "FAILED"]
    return "; ".join(f"{event['LogicalResourceId']}: {event['ValidationStatusReason']}" for event in failed) or reason


def _last_operation(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events since the start of the stack's last create, update or delete. Events come newest first."""
    begun = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS")
    for number, event in enumerate(events):
        if event["ResourceType"] == "AWS::CloudFormation::Stack" and event["ResourceStatus"] in begun:
            return events[: number + 1]
    return events
