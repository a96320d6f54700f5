"""Run every query of every dashboard and report the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from datamaster.aws.dashboards.panels import Json
from datamaster.aws.dashboards.queries import Query, answer, panels, put_in, queries, resolved
from datamaster.platform.query import Athena, QueryFailed

SINCE = timedelta(hours=3)


@dataclass(frozen=True)
class PanelCheck:
    """One panel: the number of rows or points from its queries, and the reason of a failure ("" without one)."""

    dashboard: str
    panel: str
    found: int
    problem: str = ""

    @property
    def good(self) -> bool:
        """Whether it shows data."""
        return self.found > 0 and not self.problem


def check(
    dashboards: Mapping[str, Json], athena: Athena, cloudwatch: Any, given: Mapping[str, str] | None = None, since: timedelta = SINCE
) -> list[PanelCheck]:
    """Run every query, with ``given`` values of variables. A failed query is reported with its reason."""
    found: list[PanelCheck] = []
    for name, dashboard in dashboards.items():
        try:
            values = resolved(dashboard, athena, given)
        except QueryFailed as error:
            found.append(PanelCheck(name, "its variables", 0, str(error)))
            continue
        by_panel: dict[str, list[Query]] = {put_in(panel["title"], values): [] for panel in panels(dashboard)}
        for query in queries(dashboard, values):
            by_panel[query.panel].append(query)
        found += [_checked(name, title, asked, athena, cloudwatch, since) for title, asked in by_panel.items()]
    return found


def _checked(name: str, title: str, asked: list[Query], athena: Athena, cloudwatch: Any, since: timedelta) -> PanelCheck:
    total = 0
    for query in asked:
        try:
            total += answer(query, athena, cloudwatch, since)
        except QueryFailed as error:
            return PanelCheck(name, title, total, f"query {query.ref}: {error}")
    return PanelCheck(name, title, total)
