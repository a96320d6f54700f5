"""What a conversion counts stays small, whatever a file holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from convert import parse
from convert import tally as tally_module
from convert.tally import Tally

NOTHING = pa.record_batch({"operation": pa.array([], pa.string())})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def tally() -> Any:
    return Tally()


@pytest.fixture
def block() -> Callable[..., Any]:
    """A block's outcome: unknown columns, operations, times."""
    parsed = parse.ParsedBlock

    def made(extra: Mapping[str, int] | None = None, batch: pa.RecordBatch = NOTHING, **counts: Any) -> Any:
        return parsed(batch, batch.num_rows, 0, [], extra or {}, **counts)

    return made


def test_unknown_columns_beyond_two_hundred_are_one_sum(tally: Any, block: Callable[..., Any]) -> None:
    tally.take(block({f"column_{n}": 1 for n in range(1_000)} | {"common": 7}), 1, 0)

    counts = tally.commonest_unknown_columns()

    assert len(counts) == 201
    assert (counts["common"], counts["(others)"]) == (7, 801)


def test_as_many_values_are_named_in_the_order_of_their_names_whatever_order_they_came_in(block: Callable[..., Any]) -> None:
    names = [f"column_{n}" for n in range(tally_module.COUNTED_UNKNOWN_COLUMNS + 1_000)]
    forth, back = Tally(), Tally()
    forth.take(block(dict.fromkeys(names, 1)), 1, 0)
    back.take(block(dict.fromkeys(reversed(names), 1)), 1, 0)

    assert list(forth.commonest_unknown_columns().items()) == list(back.commonest_unknown_columns().items())


def test_of_as_many_values_the_names_come_in_their_order_whichever_block_had_them_first(tally: Any, block: Callable[..., Any]) -> None:
    for name in ("b", "c", "a"):
        tally.take(block({name: 1}), 1, 0)

    assert list(tally.commonest_unknown_columns()) == ["a", "b", "c"]


def test_the_names_that_are_counted_one_by_one_are_bounded_and_no_value_is_lost(tally: Any, block: Callable[..., Any]) -> None:
    for number in range(30):
        tally.take(block({f"column_{number}_{n}": 1 for n in range(1_000)} | {"common": 1}), 1, 0)

    assert len(tally.unknown_columns) == tally_module.COUNTED_UNKNOWN_COLUMNS + 1
    counts = tally.commonest_unknown_columns()
    assert (counts["common"], sum(counts.values())) == (30, 30_030)


def test_few_unknown_columns_are_all_named(tally: Any, block: Callable[..., Any]) -> None:
    tally.take(block({"a": 1, "b": 2}), 1, 0)

    assert tally.commonest_unknown_columns() == {"a": 1, "b": 2}


def test_times_and_operations_are_those_of_all_blocks(tally: Any, block: Callable[..., Any]) -> None:
    for built_at in (None, (2_000_000, 3_000_000), (1_000_000, 2_000_000)):
        tally.take(block(operations={"insert": 2}, built_at=built_at), 1, 0)

    assert ((tally.built_at_min - EPOCH).seconds, (tally.built_at_max - EPOCH).seconds) == (1, 3)
    assert tally.operations == {"insert": 6}


def test_a_fence_is_kept_with_its_time_and_kind(tally: Any, block: Callable[..., Any]) -> None:
    rows = pa.record_batch(
        {
            "operation": ["insert", "fence"],
            "cdc_built_at": pa.array([1, 5_000_000], pa.timestamp("us", "UTC")),
            "cdc_fence": [None, "drop-table"],
        }
    )
    tally.take(block(batch=rows, operations={"insert": 1, "fence": 1}), 1, 0)

    (fence,) = tally.fences
    assert ((fence.at - EPOCH).seconds, fence.kind) == (5, "drop-table")


def test_the_reasons_on_the_record_are_ten_and_a_sum_and_their_text_is_bounded(tally: Any) -> None:
    kinds = [parse.Reject(0, n, 0, 1, f"column_{n:02d}", "type", "") for n in range(30)]
    long = parse.Reject(0, 40, 0, 1, "n" * 100_000, "unknown_column", "")
    tally.take(parse.ParsedBlock(NOTHING, 36, 36, [*kinds, *[long] * 5, parse.Reject(0, 0, 0, 1, "", "ragged", "")]), 1, 36)

    counts = tally.commonest_reasons()

    assert len(counts) == 11
    assert list(counts)[:2] == [f'unknown_column in column "{"n" * 100}…"', "ragged"]
    assert (counts["(others)"], sum(counts.values())) == (22, 36)
