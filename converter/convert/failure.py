"""Reads the error that Step Functions passes to a Catch, as two short texts for the control record.

https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html: ``Error`` is a name, ``Cause`` a text.
The text is a JSON object if a Lambda function or an ECS task failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

UNKNOWN = "States.TaskFailed"


def reason(error: Mapping[str, Any]) -> tuple[str, str]:
    """Error type and message of a Catch's error."""
    name = str(error.get("Error") or UNKNOWN)
    text = str(error.get("Cause") or "no cause was given")
    try:
        cause = orjson.loads(text)
    except orjson.JSONDecodeError:
        return name, text
    if not isinstance(cause, dict):
        return name, text
    if "errorMessage" in cause:
        return str(cause.get("errorType") or name), str(cause["errorMessage"])
    stopped = cause.get("StoppedReason") or cause.get("stoppedReason")
    codes = [container.get("ExitCode") for container in cause.get("Containers") or () if isinstance(container, dict)]
    if stopped or codes:
        return name, f"{stopped or 'the task stopped'}; exit codes {codes}"
    return name, text
