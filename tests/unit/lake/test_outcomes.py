"""A batch may be settled by a newer release than the job that wrote its outcome."""

from __future__ import annotations

import pytest

from lake.manifests import SilverOutcome

OUTCOME = SilverOutcome(snapshot_id="7", rows_read=3, rows_merged=2, missing={"2024-01": {"body": 2}})


def test_an_outcome_is_read_as_it_was_written() -> None:
    assert SilverOutcome.of(OUTCOME.document()) == OUTCOME


@pytest.mark.parametrize("count", [0, 5])
def test_a_count_without_months_is_left_to_the_next_batch(count: int) -> None:
    assert SilverOutcome.of(OUTCOME.document() | {"missing": count}).missing == {}
