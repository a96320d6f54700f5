"""A process that dies between two steps: the next call of one function raises ``Killed``, before or after it did its work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from jobs.silver import history, merge, merge_job
from lake.control import ControlTable
from lake.control.batches import Batches
from lake.control.file_states import FileStates
from lake.control.target_items import PendingMonths, TargetStates


class Killed(BaseException):
    """The process is gone: nothing after this runs, no handler of failures either."""


@contextmanager
def armed(name: str, settle: Any) -> Iterator[list[str]]:
    """Kill once at the point called ``name`` (none for an empty one); the list holds it once that has happened.

    ``settle`` is the module of the control API that settles.
    """
    points: dict[str, tuple[Any, str, int, bool]] = {
        "plan before it opens a batch": (Batches, "open", 1, False),
        "plan before it assigns a file": (FileStates, "assign", 1, False),
        "job before touched.json": (merge_job, "write_document", 1, False),
        "job before MERGE": (merge, "merge_parts", 1, False),
        "job after MERGE": (merge_job.Batch, "_keep_history", 1, False),
        "job between the history's changes and versions": (history.History, "_derive", 1, False),
        "job before outcome.json": (merge_job, "write_document", 2, False),
        "settle before the months": (PendingMonths, "request", 1, False),
        "settle before a file": (FileStates, "settle", 1, False),
        "settle after a file": (FileStates, "settle", 1, True),
        "settle before it looks for fences": (settle.Settler, "_requeue_behind_new_fences", 1, False),
        "settle before the tags": (settle.Tags, "settle", 1, False),
        "settle before the state": (TargetStates, "keep", 1, False),
        "settle before it closes the batch": (Batches, "close", 1, False),
        "settle after it closed the batch": (Batches, "close", 1, True),
        "converter before it publishes": (ControlTable, "complete", 1, False),
    }
    happened: list[str] = []
    if not name:
        yield happened
        return
    owner, function, number, after = points[name]
    original = getattr(owner, function)
    calls = 0

    def dies(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            happened.append(name)
            raise Killed(name)
        answer = original(*arguments, **named)
        if calls == number:
            happened.append(name)
            raise Killed(name)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, function, dies)
        yield happened
