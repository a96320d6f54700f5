"""Delete stacks in reverse launch order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from botocore.exceptions import ClientError

from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.stack_files import Stack
from datamaster.aws.deploy.stacks import StackFailed, failure_reason, levels
from datamaster.aws.deploy.watch import UNWATCHED, Waiting, Watch


def delete(environment: Environment, stacks: Collection[str] = (), *, spared: Collection[str] = (), watch: Watch = UNWATCHED) -> list[str]:
    """Delete stacks and their dependents, except those in ``spared``. Returns the names of the deleted stacks.

    The stack launched last goes first. Raises ``StackFailed``.
    """
    order = [[stack for stack in level if stack.name not in spared] for level in levels(environment, stacks, reverse=True)]
    return _Deletion(environment, watch).run(order)


class _Deletion(Waiting):
    def run(self, order: Sequence[Sequence[Stack]]) -> list[str]:
        gone: list[str] = []
        for level in order:
            there = self.side_by_side(level, self._delete)
            gone += [stack.name for stack, deleted in zip(level, there, strict=True) if deleted]
        return gone

    def _delete(self, stack: Stack) -> bool:
        """Delete one stack. Returns whether it existed."""
        name = stack.external_name
        try:
            [described] = self.client.describe_stacks(StackName=name)["Stacks"]
            if described["StackStatus"] == "DELETE_COMPLETE":
                return False
            if described.get("EnableTerminationProtection"):
                self.client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
            self.client.delete_stack(StackName=described["StackId"])
            status = self.wait(stack.name, described["StackId"])
        except ClientError as error:
            if "does not exist" in str(error):
                return False
            raise StackFailed(name, str(error)) from error
        if status != "DELETE_COMPLETE":
            self.end(stack.name, "failed")
            raise StackFailed(name, failure_reason(self.client, described["StackId"]))
        self.end(stack.name, "deleted")
        return True
