"""Operate an environment in an AWS account: its stacks' outputs give the names, the identity of this process the rights."""

from datamaster.aws.operation.installation import NotDeployed, find

__all__ = ["NotDeployed", "find"]
