from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from jobs.iceberg import commits


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def failing(*failures: Exception) -> Callable[[], str]:
    """A commit that fails in these ways, one a run, and then succeeds."""
    left = list(failures)

    @commits.retried
    def commit() -> str:
        if left:
            raise left.pop(0)
        return "committed"

    return commit


def test_a_commit_that_another_was_faster_than_is_run_again_after_a_longer_wait_each_time(waits: list[float]) -> None:
    assert failing(*[CommitFailedException("faster")] * 7)() == "committed"
    assert all(least <= wait <= least + 0.2 for wait, least in zip(waits, [0.2 * 2**n for n in range(7)], strict=True))


def test_after_eight_attempts_the_error_is_the_callers(waits: list[float]) -> None:
    with pytest.raises(CommitFailedException, match="faster"):
        failing(*[CommitFailedException("faster")] * 8)()
    assert len(waits) == 7


def test_a_commit_of_unknown_state_is_not_run_again(waits: list[float]) -> None:
    with pytest.raises(CommitStateUnknownException):
        failing(CommitStateUnknownException("lost"))()
    assert waits == []
