"""Starts a state machine's execution and waits for its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import orjson

from lake.errors import TerminalError

POLL_SECONDS = 0.5


class ExecutionFailed(TerminalError):
    """An execution ended otherwise than by success."""

    def __init__(self, arn: str, status: str, reason: str) -> None:
        super().__init__(f"execution {arn.rsplit(':', 1)[-1]} ended {status}: {reason}")


@dataclass(frozen=True)
class Execution:
    """A finished execution: its output and its duration."""

    arn: str
    output: Any
    seconds: float


def run(state_machine_arn: str, payload: Mapping[str, Any] | None = None, progress: Callable[[str], None] | None = None) -> Execution:
    """Run a state machine to its end. ``progress`` is called with the name of every state entered. Raises ``ExecutionFailed``."""
    client = boto3.client("stepfunctions")
    begin = time.monotonic()
    arn = client.start_execution(stateMachineArn=state_machine_arn, input=orjson.dumps(payload or {}).decode())["executionArn"]
    while True:
        described = client.describe_execution(executionArn=arn)
        if described["status"] != "RUNNING":
            break
        if progress is not None:
            progress(_current_state(client, arn))
        time.sleep(POLL_SECONDS)
    if described["status"] != "SUCCEEDED":
        raise ExecutionFailed(arn, described["status"], _reason(described))
    return Execution(arn, orjson.loads(described.get("output") or "null"), time.monotonic() - begin)


def _current_state(client: Any, arn: str) -> str:
    events = client.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=20)["events"]
    return next((event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event), "")


def _reason(described: Mapping[str, Any]) -> str:
    return " ".join(f"{described.get('error') or ''} {described.get('cause') or ''}".split()) or "no reason given"
