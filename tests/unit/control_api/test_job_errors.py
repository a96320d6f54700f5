"""A failed table says in one line what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batches.job_errors import LINE_CHARACTERS, failure_line

TRACE = """exit code 1
Traceback (most recent call last):
  File "tables.py", line 20, in run
    first()
ValueError: first

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "merge_job.py", line 20, in run
    ensure_silver(contract)
    ~~~~~~~~~~~~~^^^^^^^^^^
jobs.iceberg.tables.UnsafeEvolution: table "item", column "amount": the lake holds int
and the contract now says boolean
"""
MESSAGE = 'UnsafeEvolution: table "item", column "amount": the lake holds int and the contract now says boolean'


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ({"Error": "TaskFailed", "Cause": TRACE}, MESSAGE),
        ({"Error": "States.TaskFailed", "Cause": json.dumps({"JobRun": {"StateDetails": f"Job failed.\n{TRACE}"}})}, MESSAGE),
        ({"Error": "States.TaskFailed", "Cause": json.dumps({"StateDetails": "No capacity"})}, "No capacity"),
        ({"Error": "States.Timeout", "Cause": ""}, "States.Timeout"),
        ({"Error": "Stopped", "Cause": "it took longer\nthan 5 s"}, "Stopped it took longer than 5 s"),
        ("a text", "a text"),
    ],
)
def test_the_line_is_the_last_exceptions_without_its_frames(error: Any, line: str) -> None:
    assert failure_line(error) == line


def test_a_long_one_is_cut() -> None:
    assert len(failure_line({"Error": "E", "Cause": "x" * 10_000})) == LINE_CHARACTERS
