"""The objectives of dashboards/objectives.yaml: a promise, the metric that shows it, and the threshold that breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from datamaster.project import PROJECT
from lake.errors import TerminalError

OBJECTIVES = PROJECT / "dashboards" / "objectives.yaml"
ENVIRONMENTS = ("local", "lean", "dev", "staging", "prod")
FIELDS = ("name", "promise", "metric", "periods", "threshold", "period", "first_look", "repair")


class InvalidObjective(TerminalError):
    """An objective lacks a field or has an invalid one."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f'objectives.yaml: objective "{name}": {problem}')


@dataclass(frozen=True)
class Objective:
    """One promise. ``threshold`` (in the metric's unit) and ``period`` (seconds) are by environment.

    A value above the threshold is a breach, or below it if ``below`` is set. ``missing`` is CloudWatch's treatment of missing data.
    ``dimensions_if`` holds other dimensions of the metric by the condition of the template under which they hold.
    """

    name: str
    promise: str
    namespace: str
    metric: str
    statistic: str
    unit: str
    periods: int
    first_look: str
    repair: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    threshold: Mapping[str, float] = field(default_factory=dict)
    period: Mapping[str, int] = field(default_factory=dict)
    dimensions_if: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    below: bool = False
    missing: str = "notBreaching"

    @property
    def logical_id(self) -> str:
        """The alarm's logical id in its template."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    def alarm(self, environment: str) -> str:
        """The alarm's name in an account."""
        return f"dm-{environment}-{self.name}"


def objectives(path: Path = OBJECTIVES) -> list[Objective]:
    """Every objective, in the file's order. Raises ``InvalidObjective``."""
    found = [_objective(entry) for entry in yaml.safe_load(path.read_text())["objectives"]]
    names = [objective.name for objective in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidObjective(name, "named twice")
    return found


def _objective(entry: Mapping[str, Any]) -> Objective:
    name = str(entry.get("name", "?"))
    for wanted in FIELDS:
        if wanted not in entry:
            raise InvalidObjective(name, f"{wanted} is missing; needed are {', '.join(FIELDS)}")
    for by_environment in ("threshold", "period"):
        if tuple(entry[by_environment]) != ENVIRONMENTS:
            raise InvalidObjective(name, f"{by_environment} needs a value for each of {', '.join(ENVIRONMENTS)}")
    metric = entry["metric"]
    return Objective(
        name=name,
        promise=entry["promise"],
        namespace=metric["namespace"],
        metric=metric["name"],
        statistic=metric["statistic"],
        unit=metric["unit"],
        periods=entry["periods"],
        first_look=entry["first_look"],
        repair=entry["repair"],
        dimensions=metric["dimensions"],
        threshold=entry["threshold"],
        period=entry["period"],
        dimensions_if=entry.get("dimensions_if", {}),
        below=entry.get("below", False),
        missing=entry.get("missing", "notBreaching"),
    )
