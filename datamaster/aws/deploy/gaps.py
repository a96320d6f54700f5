"""A gap that an account check found, and the context that a check works in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3

from datamaster.aws.deploy.environments import Environment


@dataclass(frozen=True)
class Gap:
    """Something that the account lacks, and the command that adds it.

    ``blocks`` means that the deployment would fail. ``fix`` adds it, if that affects nothing else in the account.
    """

    what: str
    next: str
    blocks: bool = False
    fix: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Asking:
    """The context of a check: the environment, the wanted and the deployed ``stacks``, and the caller's ARN."""

    environment: Environment
    stacks: frozenset[str]
    there: frozenset[str]
    identity: str
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The path of the environment's file, for messages."""
        return f"environments/{self.environment.name}.yaml"

    def client(self, service: str) -> Any:
        """A client in the environment's region."""
        if service not in self._clients:
            self._clients[service] = boto3.client(service, region_name=self.environment.region)
        return self._clients[service]
