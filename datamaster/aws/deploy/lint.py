"""The result type of all checks of the deployment's files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class LintFinding:
    """A resource that fails a check."""

    check: str
    resource: str
    where: str = ""
