"""The one wait of the tests: long, because a busy machine is slow, and over as soon as the condition holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 120.0


def eventually(condition: Callable[[], T], what: str | Callable[[], str], seconds: float = PATIENCE_SECONDS, pause: float = 0.02) -> T:
    """Wait until ``condition`` returns something true, and return that.

    Raises ``AssertionError`` with ``what`` (a text, or a function that returns it) after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what if isinstance(what, str) else what()}"
        time.sleep(pause)
    return value
