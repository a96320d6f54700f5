"""From a scenario that fails in a group to the smallest one that fails alone.

Candidates share a MERGE as scenarios do: each attempt runs one group whose scenarios are the ways to make the failing one
smaller, and goes on with the smallest that still fails.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.property.group import Broken
from tests.property.scenarios import Course, Scenario

ATTEMPTS = 6
CANDIDATES = 60

Run = Callable[[dict[int, Scenario], Course], object]


def failing(run: Run, scenarios: dict[int, Scenario], course: Course) -> dict[int, list[str]]:
    """The differences of the scenarios that fail first; empty where none does."""
    try:
        run(scenarios, course)
    except Broken as broken:
        return broken.found
    return {}


def shrunk(run: Run, number: int, scenario: Scenario, course: Course) -> tuple[Scenario, list[str]] | None:
    """The smallest scenario found that fails, with its differences; None where it fails in company only."""
    found = failing(run, {number: scenario}, course)
    if number not in found:
        return None
    lines = found[number]
    for _ in range(ATTEMPTS):
        candidates = dict(enumerate(scenario.smaller()[:CANDIDATES]))
        still = {n: some for n, some in failing(run, candidates, course).items() if n in candidates}
        if not still:
            break
        best = min(still, key=lambda n: candidates[n].size)
        scenario, lines = candidates[best], still[best]
    return scenario, lines
