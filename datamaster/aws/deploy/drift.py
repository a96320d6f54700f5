"""Drift: changes to resources that did not go through CloudFormation.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.stacks import cloudformation, deployed, launch_order
from datamaster.aws.deploy.watch import UNWATCHED, Watch

CHECKABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


@dataclass(frozen=True)
class Drift:
    """One property that differs from the template. The property is empty for a deleted resource."""

    stack: str
    resource: str
    kind: str
    property: str
    expected: str
    actual: str


def drift(environment: Environment, stacks: Collection[str] = (), watch: Watch = UNWATCHED) -> list[Drift]:
    """Differences between deployed stacks and their templates. Some resource types do not support drift detection.

    Without ``stacks`` it takes all of them.
    """
    client = cloudformation(environment)
    wanted = {name for level in launch_order(environment, ()) for name in level if not stacks or name in stacks}
    found = []
    for name, described in sorted(deployed(environment).items()):
        if name in wanted and described["StackStatus"] in CHECKABLE:
            watch.progress(name)
            detection = client.detect_stack_drift(StackName=described["StackName"])["StackDriftDetectionId"]
            while (
                client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)["DetectionStatus"] == "DETECTION_IN_PROGRESS"
            ):
                time.sleep(float(environment.variables["poll_seconds"]))
            found += [line for drifted in _drifted(client, described["StackName"]) for line in _told(name, drifted)]
    return found


def _drifted(client: Any, stack: str) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while not pages or token:
        answer = client.describe_stack_resource_drifts(StackName=stack, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"], **token)
        pages += answer["StackResourceDrifts"] or [{}]
        token = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
    return [drifted for drifted in pages if drifted]


def _told(stack: str, drifted: dict[str, Any]) -> list[Drift]:
    resource, kind = drifted["LogicalResourceId"], drifted["ResourceType"]
    if drifted["StackResourceDriftStatus"] == "DELETED":
        return [Drift(stack, resource, kind, "", "there", "deleted")]
    return [
        Drift(stack, resource, kind, difference["PropertyPath"], difference["ExpectedValue"], difference["ActualValue"])
        for difference in drifted["PropertyDifferences"]
    ]
