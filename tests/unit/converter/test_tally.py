"""What a conversion counts stays small, whatever a file holds."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType


def test_unknown_columns_beyond_two_hundred_are_one_sum(chalice_app: Callable[..., ModuleType]) -> None:
    tally = chalice_app("converter", "chalicelib.tally").Tally()
    tally.rejects([], {f"column_{n}": 1 for n in range(1_000)} | {"common": 7})

    counts = tally.commonest_unknown_columns()

    assert len(counts) == 201
    assert (counts["common"], counts["(others)"]) == (7, 801)


def test_few_unknown_columns_are_all_named(chalice_app: Callable[..., ModuleType]) -> None:
    tally = chalice_app("converter", "chalicelib.tally").Tally()
    tally.rejects([], {"a": 1, "b": 2})

    assert tally.commonest_unknown_columns() == {"a": 1, "b": 2}
