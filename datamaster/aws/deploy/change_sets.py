"""Change sets: they show CloudFormation's changes to each stack before a launch executes them in order.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.package import digest
from datamaster.aws.deploy.stack_files import Output, Stack
from datamaster.aws.deploy.stacks import Outputs, StackFailed, failure_reason, in_full, levels, outputs_of
from datamaster.aws.deploy.watch import UNWATCHED, ResourceChange, StackChanges, Waiting, Watch
from lake.errors import TerminalError

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")  # SAM templates have the second
UNFINISHED = ("CREATE_PENDING", "CREATE_IN_PROGRESS")
INLINE_BYTES = 40_000
"""The longest template that a call carries itself. The limit is 51,200 bytes for a call and 1 MB for an object in a bucket:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
NEVER_CAME_UP = "ROLLBACK_COMPLETE"
PASSING = re.compile(r"service.linked role|cannot be assumed|unable to assume|not authorized to perform: sts:AssumeRole", re.IGNORECASE)
"""A new role takes seconds to reach every service. A second attempt finds it."""


class Declined(TerminalError):
    """The user did not approve a change."""

    def __init__(self, stacks: Collection[str]) -> None:
        super().__init__(f"not agreed: {', '.join(stacks)} stay as they were, and what needs them too")


class StackStuck(TerminalError):
    """A stack is in a state from which no deployment can start."""

    def __init__(self, environment: str, name: str, status: str, reason: str) -> None:
        super().__init__(f'stack "dm-{environment}-{name}" is in {status}: {_explained(environment, name, status, reason)}')


def _explained(environment: str, name: str, status: str, reason: str) -> str:
    again = f"then dm deploy --env {environment} again"
    remove = f"dm destroy --env {environment} --stack {name}"
    if status == "UPDATE_ROLLBACK_FAILED":
        command = f"aws cloudformation continue-update-rollback --stack-name dm-{environment}-{name}"
        return f"an update failed and could not be undone ({reason}).\nNext: remove what stands in its way, {command}, {again}."
    if status.endswith("IN_PROGRESS"):
        return f"someone is at work on it.\nNext: wait until that ends, {again}."
    if status == "DELETE_FAILED":
        return f"it could not be deleted ({reason}).\nNext: remove what stands in its way, {remove}, {again}."
    return f"it could not be created ({reason}), and CloudFormation cannot update what was never made.\nNext: {remove}, {again}."


def launch(environment: Environment, stacks: Collection[str] = (), *, done: Collection[str] = (), watch: Watch = UNWATCHED) -> Outputs:
    """Create or update stacks and their dependencies. Without names it takes all stacks. It skips the stacks in ``done``.

    Stacks go level by level. The change sets of a level are shown together. Approved ones are executed in parallel, and a stack without
    changes is not touched. CloudFormation rolls a failed stack back.

    Returns each stack's outputs by its short name ("storage"). Raises ``StackFailed`` with CloudFormation's reason, ``StackStuck`` for a
    stack that has to be repaired first, and ``Declined``.
    """
    order = [[stack for stack in level if stack.name not in done] for level in levels(environment, stacks)]
    return _Launch(environment, watch).run(order)


class _Launch(Waiting):
    def run(self, order: Sequence[Sequence[Stack]]) -> Outputs:
        found: Outputs = {}
        for level in order:
            self.watch.progress(f"looking at {', '.join(stack.name for stack in level)}")
            proposed = self.side_by_side(level, self._propose)
            changed = [changes for changes in proposed if changes]
            if changed and not self.watch.approve(changed):
                for refused in changed:
                    self._discard(refused)
                raise Declined([changes.name for changes in changed])
            self.side_by_side([pair for pair in zip(level, proposed, strict=True) if pair[1]], self._execute)
            for stack, changes in zip(level, proposed, strict=True):
                found[stack.name] = self._settle(stack)
                if not changes:
                    self.end(stack.name, "unchanged")
        return found

    def _propose(self, stack: Stack) -> StackChanges | None:
        """The change set that brings a stack to its template, or None if nothing would change."""
        try:
            described = self._describe(stack)
            if described is not None and described["StackStatus"] == NEVER_CAME_UP:
                self._remove_record(stack)
                described = None
            if described is not None and not _updatable(described["StackStatus"]):
                reason = failure_reason(self.client, stack.external_name)
                raise StackStuck(self.environment.name, stack.name, described["StackStatus"], reason)
            new = described is None or described["StackStatus"] == "REVIEW_IN_PROGRESS"
            created = self.client.create_change_set(
                StackName=stack.external_name,
                ChangeSetName=f"dm-{secrets.token_hex(6)}",
                ChangeSetType="CREATE" if new else "UPDATE",
                Capabilities=list(CAPABILITIES),
                Parameters=self._parameters(stack),
                Tags=[{"Key": key, "Value": value} for key, value in stack.tags.items()],
                **self._template(stack),
            )
            return self._read(stack, created["Id"], new)
        except (BotoCoreError, ClientError) as error:
            raise StackFailed(stack.external_name, str(error)) from error

    def _remove_record(self, stack: Stack) -> None:
        """Delete the record of a stack whose creation failed. It has no resources, and CloudFormation cannot update it."""
        self.watch.progress(f"{stack.name} never came up; its record goes")
        self.client.delete_stack(StackName=stack.external_name)
        if self.wait(stack.name, stack.external_name) != "DELETE_COMPLETE":
            raise StackFailed(stack.external_name, failure_reason(self.client, stack.external_name))

    def _parameters(self, stack: Stack) -> list[dict[str, str]]:
        """A stack's parameters, with the values that other stacks give."""
        given = {name: self._outputs(name) for name in {value.stack for value in stack.parameters.values() if isinstance(value, Output)}}
        values: dict[str, str] = {}
        for parameter, value in stack.parameters.items():
            if isinstance(value, Output) and value.name not in given[value.stack]:
                raise StackFailed(stack.external_name, f'parameter "{parameter}" is {value}, and that stack gives no such output')
            values[parameter] = given[value.stack][value.name] if isinstance(value, Output) else value
        return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]

    def _outputs(self, stack: str) -> dict[str, str]:
        [described] = self.client.describe_stacks(StackName=f"dm-{self.environment.name}-{stack}")["Stacks"]
        return outputs_of(described)

    def _template(self, stack: Stack) -> dict[str, str]:
        """How a call carries a stack's template: in itself, or by its place in the artifacts bucket if it is long."""
        body = stack.body.encode()
        if len(body) <= INLINE_BYTES:
            return {"TemplateBody": stack.body}
        bucket, key = self._outputs("storage")["ArtifactsBucket"], f"templates/{stack.name}/{digest(body)}"
        s3 = boto3.client("s3", region_name=self.environment.region)
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        return {"TemplateURL": f"{s3.meta.endpoint_url}/{bucket}/{key}"}

    def _read(self, stack: Stack, change_set: str, new: bool) -> StackChanges | None:
        while (found := self.client.describe_change_set(ChangeSetName=change_set))["Status"] in UNFINISHED:
            if self.interrupted.wait(self.poll_seconds):
                break
        pages = [found]
        while token := pages[-1].get("NextToken"):
            pages.append(self.client.describe_change_set(ChangeSetName=change_set, NextToken=token))
        changes = [change["ResourceChange"] for page in pages for change in page.get("Changes", [])]
        named = tuple(
            ResourceChange(c["Action"], c["LogicalResourceId"], c["ResourceType"], c.get("Replacement") == "True") for c in changes
        )
        proposal = StackChanges(stack.external_name, stack.name, change_set, new, named)
        if found["Status"] != "FAILED":
            return proposal
        reason = in_full(self.client, found.get("StatusReason", "CloudFormation gave no reason"), ChangeSetName=change_set)
        self._discard(proposal)
        if any(words in reason for words in NO_CHANGES):
            return None
        raise StackFailed(stack.external_name, reason)

    def _discard(self, changes: StackChanges) -> None:
        """Delete a change set. A new stack's change set comes with an empty stack, so delete that too."""
        self.client.delete_change_set(ChangeSetName=changes.change_set)
        if changes.new:
            self.client.delete_stack(StackName=changes.stack)

    def _execute(self, pair: tuple[Stack, StackChanges]) -> None:
        """Execute a stack's changes. A new stack is tried once more if the reason of its failure passes by itself."""
        stack, changes = pair
        reason = self._failure(changes)
        if changes.new and PASSING.search(reason) and (again := self._propose(stack)):
            self.watch.progress(f"{stack.name} once more, as this passes: {reason}")
            reason = self._failure(again)
        if reason:
            self.end(stack.name, "failed")
            left = "\nNothing of it is left but its record, which the next dm deploy removes." if changes.new else ""
            raise StackFailed(changes.stack, reason + left)
        self.end(stack.name, "created" if changes.new else "updated")

    def _failure(self, changes: StackChanges) -> str:
        """Execute a change set. Returns the reason if its stack failed, or an empty text."""
        try:
            self.client.execute_change_set(ChangeSetName=changes.change_set)
            status = self.wait(changes.name, changes.stack)
        except (BotoCoreError, ClientError) as error:
            raise StackFailed(changes.stack, str(error)) from error
        return "" if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE") else failure_reason(self.client, changes.stack)

    def _settle(self, stack: Stack) -> dict[str, str]:
        """Set the environment's termination protection on a stack. Returns the stack's outputs."""
        described = self._describe(stack)
        if described is None:
            raise StackFailed(stack.external_name, "it is gone; someone deleted it meanwhile")
        protected = bool(self.environment.variables.get("termination_protection"))
        if bool(described.get("EnableTerminationProtection")) != protected:
            self.client.update_termination_protection(StackName=stack.external_name, EnableTerminationProtection=protected)
        return outputs_of(described)

    def _describe(self, stack: Stack) -> dict[str, Any] | None:
        try:
            [described] = self.client.describe_stacks(StackName=stack.external_name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if described["StackStatus"] == "DELETE_COMPLETE" else described


def _updatable(status: str) -> bool:
    """Whether a change set can start from a stack's status."""
    return status.endswith("COMPLETE") or status == "REVIEW_IN_PROGRESS"
