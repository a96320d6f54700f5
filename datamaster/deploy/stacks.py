"""Launches and deletes CloudFormation stacks in the order of their dependencies. Sceptre holds order, parameters and outputs.

https://docs.sceptre-project.org/4.7.0/docs/python_usage.html
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from sceptre.connection_manager import ConnectionManager
from sceptre.context import SceptreContext
from sceptre.exceptions import SceptreException
from sceptre.plan.actions import StackActions
from sceptre.plan.executor import SceptrePlanExecutor
from sceptre.plan.plan import SceptrePlan
from sceptre.stack import Stack
from sceptre.stack_status import StackStatus

from datamaster.deploy.environments import Environment
from datamaster.deploy.package import APPS
from datamaster.project import PROJECT
from lake.errors import TerminalError

Outputs = dict[str, dict[str, str]]
EVERY_STACK = ""
# What a deletion, or a look at the order, does not need to know of the artifacts.
UNKNOWN_ARTIFACTS: dict[str, Any] = {
    "functions": {app: {"template": "unknown", "key": "unknown"} for app in APPS},
    "definitions": dict.fromkeys(("convert-file", "bronze-to-silver", "silver-to-gold", "maintenance"), "unknown"),
    "layers": {"libraries": "unknown", "arrow": "unknown"},
    "jobs_prefix": "unknown",
    "spark_release": "unknown",
    "spark_submit_parameters": "unknown",
}


class StackFailed(TerminalError):
    """CloudFormation could not bring a stack to the state that its template describes."""

    def __init__(self, stack: str, reason: str) -> None:
        super().__init__(f'stack "{stack}" failed: {reason}')


class _Actions(StackActions):  # type: ignore[misc]
    """Sceptre's own actions, asking CloudFormation as often as the environment says instead of every four seconds."""

    poll_seconds = 4.0

    def _wait_for_completion(self, timeout: int = 0, boto_response: dict[str, Any] | None = None) -> StackStatus:
        deadline = time.monotonic() + 60 * timeout if timeout else float("inf")
        status = StackStatus.IN_PROGRESS
        while status == StackStatus.IN_PROGRESS and time.monotonic() < deadline:
            status = self._get_simplified_status(self._get_status())
            if status == StackStatus.IN_PROGRESS:
                time.sleep(self.poll_seconds)
        return status


class _Executor(SceptrePlanExecutor):  # type: ignore[misc]
    def __init__(self, command: str, order: list[set[Stack]], poll_seconds: float) -> None:
        super().__init__(command, order, None)
        self.actions = type("_Actions", (_Actions,), {"poll_seconds": poll_seconds})

    def _execute(self, stack: Stack, *arguments: object) -> tuple[Stack, StackStatus]:
        try:
            return stack, getattr(self.actions(stack), self.command)(*arguments)
        except (BotoCoreError, ClientError, SceptreException) as error:
            raise StackFailed(stack.external_name, str(error)) from error


def launch(environment: Environment, stacks: Iterable[str] = (EVERY_STACK,)) -> Outputs:
    """Create or update stacks and what they depend on; all of them where none is named.

    Returns each stack's outputs by its short name ("storage"). Stacks that do not depend on one another go at once.
    Raises ``StackFailed`` with CloudFormation's reason.
    """
    found: Outputs = {}
    for name in stacks:
        plan = _plan(environment, name, "launch")
        for stack, status in _run(plan, "launch", environment).items():
            if status != StackStatus.COMPLETE:
                raise StackFailed(stack.external_name, failure_reason(stack.external_name))
            found[stack.name] = outputs(stack.external_name)
    return found


def delete(environment: Environment, stacks: Iterable[str] = (EVERY_STACK,)) -> list[str]:
    """Delete stacks and all that depends on them, last launched first; returns the names of those that were there."""
    gone: list[str] = []
    for name in stacks:
        plan = _plan(environment, name, "delete", reverse=True)
        for stack, status in _run(plan, "delete", environment).items():
            if status != StackStatus.COMPLETE:
                raise StackFailed(stack.external_name, failure_reason(stack.external_name))
            gone.append(stack.name)
    return gone


def launch_order(environment: Environment) -> list[list[str]]:
    """The names of the stacks, level by level: a level needs only those before it."""
    plan = _plan(environment, EVERY_STACK, "launch")
    return [sorted(stack.name for stack in level) for level in plan.launch_order]


def outputs(stack: str) -> dict[str, str]:
    """What a deployed stack gives away, by name."""
    [described] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def failure_reason(stack: str) -> str:
    """The first failure of the stack's last operation, in CloudFormation's own words."""
    try:
        pages = boto3.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
        events = [event for page in pages for event in page["StackEvents"]]
    except ClientError as error:
        return str(error)
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED") and event.get("ResourceStatusReason")]
    if not failed:
        return "CloudFormation gave no reason"
    first = min(failed, key=lambda event: event["Timestamp"])
    return f"{first['LogicalResourceId']}: {first['ResourceStatusReason']}"


def _plan(environment: Environment, name: str, command: str, reverse: bool = False) -> SceptrePlan:
    logging.getLogger("sceptre").setLevel(logging.WARNING)
    # Sceptre keeps its clients for the life of the process, also when the environment leads elsewhere by now.
    ConnectionManager._boto_sessions.clear()
    ConnectionManager._clients.clear()
    context = SceptreContext(
        project_path=str(PROJECT),
        command_path=f"{name}.yaml" if name else "",
        user_variables=UNKNOWN_ARTIFACTS | environment.variables,
        full_scan=reverse,
    )
    plan = SceptrePlan(context)
    plan.resolve(command, reverse)
    kept = [{stack for stack in level if not stack.ignore} for level in plan.launch_order]
    plan.launch_order = [level for level in kept if level]
    return plan


def _run(plan: SceptrePlan, command: str, environment: Environment) -> dict[Stack, StackStatus]:
    executor = _Executor(command, plan.launch_order, float(environment.variables["poll_seconds"]))
    statuses: dict[Stack, StackStatus] = executor.execute()
    return statuses
