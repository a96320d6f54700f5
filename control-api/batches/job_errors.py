"""Reduces a failed job's error to one line, because a state machine's error holds a whole trace or a service's JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LINE_CHARACTERS = 600
_TRACE = "Traceback (most recent call last):"
_CLASS_PATH = re.compile(r"^(?:\w+\.)+(?=\w+:)")


def failure_line(error: Any) -> str:
    """The line with the cause, from a state's ``{"Error", "Cause"}`` or from a text."""
    if not isinstance(error, Mapping):
        return _line(str(error))
    cause = str(error.get("Cause") or "")
    details = _details(cause)
    return _line(details) if details else _line(f"{error.get('Error', '')} {cause}" if _TRACE not in cause else cause)


def _details(cause: str) -> str:
    """EMR's details of a job run: https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_JobRun.html."""
    try:
        document = json.loads(cause)
    except ValueError:
        return ""
    run = document.get("JobRun", document) if isinstance(document, dict) else {}
    return str(run.get("StateDetails") or "")


def _line(text: str) -> str:
    """The last exception of a trace without its frames. Any other text is joined to one line."""
    if _TRACE in text:
        lines = text.rpartition(_TRACE)[2].strip("\n").splitlines()
        frames = [number for number, line in enumerate(lines) if line.startswith("  ")]
        text = _CLASS_PATH.sub("", " ".join(lines[frames[-1] + 1 if frames else 0 :]).strip())
    text = " ".join(text.split())
    return text if len(text) <= LINE_CHARACTERS else f"{text[: LINE_CHARACTERS - 1]}…"
