"""What a check of the account answers with, and what it may ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3

from datamaster.aws.deploy.environments import Environment


@dataclass(frozen=True)
class Gap:
    """Something that the account lacks, and the command that closes it.

    ``blocks`` says that the deployment would fail. ``fix`` closes it for those gaps that nothing else in the account can feel.
    """

    what: str
    next: str
    blocks: bool = False
    fix: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Asking:
    """Whom a check asks: the stacks that are wanted, those that are there, and as whom."""

    environment: Environment
    stacks: frozenset[str]
    there: frozenset[str]
    identity: str
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The environment's file."""
        return f"environments/{self.environment.name}.yaml"

    def client(self, service: str) -> Any:
        """A client in the environment's region."""
        if service not in self._clients:
            self._clients[service] = boto3.client(service, region_name=self.environment.region)
        return self._clients[service]
