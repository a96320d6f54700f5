"""Whatever a source does and however its records arrive, silver is the fold of what was settled, and the source in the end.

``make property-silver`` runs it, ``make property-silver SEED=7`` group 7 again, ``SEED=7/3`` scenario 3 of group 7 alone.
A group has 64 scenarios, or as many as ``GROUP=…`` says.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from pprint import pformat
from typing import Any

import pytest

from tests.property.group import Broken
from tests.property.scenarios import Course, Scenario, courses, drawn, scenarios
from tests.property.shrinking import shrunk

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1_800)]
IN_A_GROUP = int(os.environ.get("DM_GROUP") or "64")
SCENARIOS = int(os.environ.get("DM_SCENARIOS", "320"))
SEED, _, ALONE = os.environ.get("DM_SEED", "").partition("/")
GROUPS = [int(SEED)] if SEED else range(1, 1 + -(-SCENARIOS // IN_A_GROUP))
DONE = Path(os.environ["DM_PROPERTY_STATE"]) if "DM_PROPERTY_STATE" in os.environ else None
UNTIL = time.monotonic() + float(os.environ.get("DM_PROPERTY_MINUTES", "inf")) * 60


def group_of(number: int) -> tuple[dict[int, Scenario], Course]:
    """The scenarios of a group, by number, and their course: the same for the same number."""
    return dict(enumerate(drawn(scenarios, number, IN_A_GROUP))), drawn(courses(), number, 10)[-1]


def done() -> dict[str, Any]:
    """The groups that a long run has behind it."""
    return json.loads(DONE.read_text()) if DONE is not None and DONE.exists() else {}


@pytest.mark.parametrize("number", GROUPS)
def test_silver_is_the_fold_and_then_the_source(platform: Any, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    if str(number) in done():
        return
    if time.monotonic() > UNTIL:
        pytest.fail(f"the time is over; {len(done())} groups are done, the same command goes on")
    some, course = group_of(number)
    if ALONE:
        some = {int(ALONE): some[int(ALONE)]}
    began = time.monotonic()
    try:
        group = platform.run(number, some, course)
    except Broken as broken:
        with capsys.disabled():
            print(f" group {number} failed; looking for the smallest scenario that does. {broken}", flush=True)
        pytest.fail(explained(platform, number, some, course, broken), pytrace=False)
    line = {"scenarios": len(some), "records": len(group.records), "merges": group.merges, "seconds": round(time.monotonic() - began, 1)}
    with capsys.disabled():
        print(f" group {number}: " + ", ".join(f"{value:,} {name}" for name, value in line.items()), flush=True)
    if DONE is not None:
        DONE.parent.mkdir(exist_ok=True)
        DONE.write_text(json.dumps(done() | {str(number): line}, indent=1))


@pytest.mark.skipif(bool(SEED) or DONE is not None, reason="a seed and the long run name groups of tables with changes")
@pytest.mark.parametrize("number", [1, 2])
def test_a_table_without_changes_is_its_last_export(platform: Any, number: int) -> None:
    some = dict(enumerate(drawn(scenarios, number, IN_A_GROUP)))
    course = drawn(courses(first=("export",), events=("export", "follow")), number, 10)[-1]

    platform.run(number, some, course, contracts="contracts_without_changes")


def explained(platform: Any, number: int, some: dict[int, Scenario], course: Course, broken: Broken) -> str:
    """What failed, how to run it again, and the smallest scenario that fails."""
    parts = [str(broken), f"course: {pformat(course, width=140)}"]
    size = f" GROUP={IN_A_GROUP}" if IN_A_GROUP != 64 else ""
    failed = min(broken.found, key=lambda n: (n < 0, some[n].size if n in some else 0))
    if failed not in some:
        return "\n".join([*parts, f"again: make property-silver SEED={number}{size}"])
    smallest = shrunk(lambda others, same: platform.run(number, others, same), failed, some[failed], course)
    if smallest is None:
        return "\n".join(
            [
                *parts,
                f"scenario {failed}: {pformat(some[failed], width=140)}",
                f"again (it fails in company only): make property-silver SEED={number}{size}",
            ]
        )
    scenario, lines = smallest
    again = f"again: make property-silver SEED={number}/{failed}{size}"
    return "\n".join([*parts, again, f"scenario {failed}, shrunk: {pformat(scenario, width=140)}", *lines])
