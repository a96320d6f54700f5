"""What a Catch says of a failed task, in two texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from convert import failure

FUNCTION = json.dumps({"errorType": "Runtime.OutOfMemory", "errorMessage": "signal: killed"})
TASK = json.dumps({"StoppedReason": "Essential container in task exited", "Containers": [{"ExitCode": 137}]})


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"Error": "Lambda.Unknown", "Cause": FUNCTION}, ("Runtime.OutOfMemory", "signal: killed")),
        (
            {"Error": "States.TaskFailed", "Cause": TASK},
            ("States.TaskFailed", "Essential container in task exited; exit codes [137]"),
        ),
        ({"Error": "States.Timeout", "Cause": "after 900 s"}, ("States.Timeout", "after 900 s")),
        ({"Error": "States.Timeout", "Cause": "[1]"}, ("States.Timeout", "[1]")),
        ({}, ("States.TaskFailed", "no cause was given")),
    ],
)
def test_the_reason_is_the_task_s_own_where_it_gave_one(error: dict[str, Any], reason: tuple[str, str]) -> None:
    assert failure.reason(error) == reason
