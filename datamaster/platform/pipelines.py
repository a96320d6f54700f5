"""Run the state machines of silver, gold and maintenance, and read each table's result."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from datamaster.platform import Platform, executions
from datamaster.platform.counts import counted

STATE_MACHINES = {"silver": "bronze-to-silver", "gold": "silver-to-gold", "maintenance": "maintenance"}
SKIPPED = ("skipped", "review_flat_skipped")
ROUNDS = 50
ERROR_LINE = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Failed|Lost|Missing|Refused)\b")


@dataclass(frozen=True)
class RunResult:
    """What a run did: tables settled, skipped with a reason, failed with a reason; their sizes where they were maintained."""

    settled: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]
    maintained: tuple[Mapping[str, Any], ...] = ()

    @property
    def summary(self) -> str:
        """The run in one line."""
        counts = [f"{counted(len(set(self.settled)), 'table')} settled"]
        counts += [f"{len(self.skipped)} skipped"] if self.skipped else []
        counts += [f"{len(self.failed)} failed"] if self.failed else []
        return ", ".join(counts)


def run(running: Platform, layer: str, progress: Callable[[str], None], asked: Mapping[str, Any] = MappingProxyType({})) -> RunResult:
    """Bring a layer ("silver" or "gold") up to date: rounds of its state machine until none leaves files behind. Or look
    after the tables ("maintenance"). ``asked`` is the executions' input.

    It runs the state machine until no files are left. ``asked`` is the executions' input. Raises ``ExecutionFailed`` if the state machine
    itself fails. A failed table is in the result.
    """
    settled: list[str] = []
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    maintained: list[Mapping[str, Any]] = []
    for _ in range(ROUNDS):
        output = executions.run(running.state_machines[STATE_MACHINES[layer]], asked, progress).output
        skipped = {entry["table"]: entry["reason"] for name in SKIPPED for entry in output.get(name, ())}
        more = False
        for answer in _answers(output):
            if answer.get("error"):
                failed[answer["table"]] = _reason(answer["error"])
            else:
                settled.append(answer["table"])
                maintained += answer.get("tables", ())
                more = more or bool(answer.get("more"))
        if failed or not more:
            break
    return RunResult(tuple(settled), tuple(skipped.items()), tuple(failed.items()), tuple(maintained))


def _answers(output: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for layer in ("silver", "review_flat", "gold", "maintenance"):
        yield from output.get(layer) or ()


def _reason(error: Any) -> str:
    """An error for people: its name and the last line of its cause, which is the message at the end of a trace."""
    if not isinstance(error, Mapping):
        return _last_line(str(error))
    name, cause = str(error.get("Error") or ""), str(error.get("Cause") or "")
    try:
        told = orjson.loads(cause)
    except orjson.JSONDecodeError:
        told = {}
    if isinstance(told, dict) and "errorMessage" in told:
        name, cause = str(told.get("errorType") or name), str(told["errorMessage"])
    return ": ".join(filter(None, (name, _last_line(cause)))) or "no reason given"


def _last_line(text: str) -> str:
    """The last line. For a Python trace, its message with all following lines."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if not any(line.startswith("Traceback") for line in lines):
        return " ".join(text.split())
    start = max((place for place, line in enumerate(lines) if ERROR_LINE.match(line)), default=len(lines) - 1)
    return " ".join(" ".join(lines[start:]).split())
