"""The environments that the lakehouse is deployed to. Each has a file under environments/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from datamaster.project import PROJECT
from lake.errors import TerminalError

ENVIRONMENTS = PROJECT / "environments"
CONFIG = PROJECT / "config"
SOURCES = ("own", "existing")
EXISTING_SOURCE: dict[str, Any] = {
    "source": "existing",
    "source_engine": "aurora-postgresql",
    "source_name": "shop",
    "source_host": "shop.cluster-0123456789ab.us-east-1.rds.amazonaws.com",
    "source_port": 5432,
    "source_database": "shop",
    "source_schema": "public",
    "source_vpc": "vpc-0123456789abcdef0",
    "source_subnets": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "source_group": "sg-0123456789abcdef0",
    "source_endpoints": True,
    "container_subnets": "subnet-0123456789abcdef2",
}
"""The values of a database that is there already, as docs/deploy.md shows them."""


class UnknownEnvironment(TerminalError):
    """No file describes an environment of this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f'environment "{name}" has no file under environments/; there is {", ".join(known)}. '
            f"Next: --env with one of these, or write environments/{name}.yaml"
        )


class EnvironmentIncomplete(TerminalError):
    """An environment's file lacks a value that a stack's configuration needs."""

    def __init__(self, name: str, missing: Iterable[str]) -> None:
        wanted = list(missing)
        readers = [
            f"config/{path.name}" for path in sorted(CONFIG.glob("*.yaml")) if any(f"var.{value}" in path.read_text() for value in wanted)
        ]
        read_by = ", ".join(readers) or "every stack"
        super().__init__(f"environments/{name}.yaml lacks {', '.join(wanted)}, read by {read_by}; the other environments show a value")


class InvalidSource(TerminalError):
    """The values of an environment's source contradict each other."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"environments/{name}.yaml: {problem}")


@dataclass(frozen=True)
class Environment:
    """An environment's name, and its variables for the stacks' configuration under config/."""

    name: str
    region: str
    variables: dict[str, Any]

    @property
    def contracts(self) -> Path:
        """The folder of the contracts and derived tables."""
        return PROJECT / str(self.variables["contracts"])

    @property
    def migrations(self) -> Path:
        """The folder of the source database's migrations."""
        return PROJECT / str(self.variables["migrations"])

    def require_valid_source(self) -> None:
        """Raise ``InvalidSource`` if the source's values contradict each other."""
        source = self.variables.get("source")
        if source not in SOURCES:
            raise InvalidSource(self.name, f"source: {source}; one of {', '.join(SOURCES)}")
        if source == "existing" and self.variables.get("working_hours"):
            raise InvalidSource(self.name, "working_hours: true would stop a database that others use; with source: existing it is false")

    def with_variables(self, variables: Mapping[str, Any]) -> Environment:
        """A copy with some variables added or replaced."""
        changed = replace(self, variables=self.variables | dict(variables))
        changed.require_valid_source()
        return changed


def known_environments() -> list[str]:
    """The names of all environments."""
    return sorted(known.stem for known in ENVIRONMENTS.glob("*.yaml"))


def load_environment(name: str) -> Environment:
    """Read environments/<name>.yaml. Raises ``UnknownEnvironment`` and ``EnvironmentIncomplete``."""
    path = ENVIRONMENTS / f"{name}.yaml"
    if not path.is_file():
        raise UnknownEnvironment(name, known_environments())
    variables = yaml.safe_load(path.read_text()) or {}
    missing = [key for key in ("environment", "region", "laptop", "poll_seconds", "contracts", "migrations") if key not in variables]
    if missing:
        raise EnvironmentIncomplete(name, missing)
    environment = Environment(variables["environment"], variables["region"], variables)
    environment.require_valid_source()
    return environment
