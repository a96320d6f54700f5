"""The property test sees: with a rule taken out of the job on purpose, it fails within fifty scenarios."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from jobs.iceberg.partitions import TOMBSTONES, Month, months_condition
from jobs.silver import changes, lineage, merge
from tests.property.group import Broken
from tests.property.scenarios import courses, drawn, scenarios

pytestmark = [pytest.mark.integration, pytest.mark.slow]
GROUPS, IN_A_GROUP = (12, 9), 25


def without_the_position_condition(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge, "newer", lambda generation, position: f"({generation} is not null)")


def without_the_fence(patch: pytest.MonkeyPatch) -> None:
    ordered = changes.ordered
    patch.setattr(changes, "ordered", lambda frame, fences: ordered(frame, ()))


def without_the_fold_per_column(patch: pytest.MonkeyPatch) -> None:
    """A column that a change leaves out is taken from the change as if it were null."""
    place = f"concat({changes.AT}, coalesce(concat('1', %s), '0'))"
    patch.setattr(
        changes,
        "carried",
        lambda column: f"case when not {changes.IS_DELETE} then {place % f'`{column.name}`'} end",
    )


def without_the_tombstones_partition(patch: pytest.MonkeyPatch) -> None:
    def named(fields: Sequence[str], months: Collection[Month], row: str) -> str:
        return months_condition(fields, {*months} - {TOMBSTONES}, row)

    patch.setattr(merge, "months_condition", named)


def without_the_doubt_about_what_a_load_has_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lineage.Events, "_written_anew", lambda events, origin, at: False)


MUTATIONS = (
    without_the_position_condition,
    without_the_fence,
    without_the_fold_per_column,
    without_the_tombstones_partition,
    without_the_doubt_about_what_a_load_has_read,
)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_rule_that_is_taken_away_is_missed_within_fifty_scenarios(platform: Any, mutation: Any) -> None:
    def run_all() -> None:
        for number in GROUPS:
            platform.run(number, dict(enumerate(drawn(scenarios, number, IN_A_GROUP))), drawn(courses(), number, 10)[-1])

    with pytest.MonkeyPatch.context() as patch:
        mutation(patch)
        with pytest.raises(Broken):
            run_all()
