"""What every check of the deployment's files answers with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One check that one resource fails."""

    check: str
    resource: str
    where: str = ""
