"""Results come in order, failures surface where they belong, and no thread stays behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convert import pipeline


@pytest.fixture
def in_order() -> Any:
    return pipeline.in_order


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 4))
def test_results_come_in_the_order_of_the_blocks_whoever_is_faster(in_order: Any, waits: list[int], workers: int) -> None:
    def work(block: tuple[int, int]) -> int:
        time.sleep(block[1] / 2000)
        return block[0]

    assert list(in_order(enumerate(waits), [work] * workers)) == list(range(len(waits)))


def test_a_worker_s_failure_is_raised_after_the_results_before_it(in_order: Any) -> None:
    def work(block: int) -> int:
        if block == 3:
            raise ValueError("block 3")
        return block

    results = in_order(range(10), [work, work])

    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="block 3"):
        next(results)


def test_the_reader_s_failure_is_raised_after_the_results_before_it(in_order: Any) -> None:
    def blocks() -> Iterator[int]:
        yield 0
        raise ValueError("half a file")

    results = in_order(blocks(), [lambda block: block])

    assert next(results) == 0
    with pytest.raises(ValueError, match="half a file"):
        next(results)


def test_the_reader_stays_a_few_blocks_ahead_of_the_caller(in_order: Any) -> None:
    read = []

    def blocks() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    with closing(in_order(blocks(), [lambda block: block])) as results:
        next(results)
        time.sleep(0.3)

    assert len(read) < 10


def test_leaving_early_ends_every_thread(in_order: Any) -> None:
    before = threading.active_count()

    with closing(in_order(range(1000), [lambda block: block] * 3)) as results:
        next(results)

    assert threading.active_count() == before
