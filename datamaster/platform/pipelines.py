"""Runs the state machines that bring silver and gold up to date and look after their tables, and reads what became of each table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from datamaster.platform import Platform, executions
from datamaster.platform.counts import counted

STATE_MACHINES = {"silver": "bronze-to-silver", "gold": "silver-to-gold", "maintenance": "maintenance"}
ROUNDS = 50


@dataclass(frozen=True)
class Result:
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


def run(running: Platform, layer: str, progress: Callable[[str], None], asked: Mapping[str, Any] = MappingProxyType({})) -> Result:
    """Bring a layer ("silver" or "gold") up to date: rounds of its state machine until none leaves files behind. Or look
    after the tables ("maintenance"). ``asked`` is the executions' input.

    Raises ``ExecutionFailed`` where the state machine itself fails; a table that fails is in the result.
    """
    settled: list[str] = []
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    maintained: list[Mapping[str, Any]] = []
    for _ in range(ROUNDS):
        output = executions.run(running.state_machines[STATE_MACHINES[layer]], asked, progress).output
        skipped = {entry["table"]: entry["reason"] for entry in output.get("skipped", ())}
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
    return Result(tuple(settled), tuple(skipped.items()), tuple(failed.items()), tuple(maintained))


def _answers(output: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for layer in ("silver", "review_flat", "gold", "maintenance"):
        yield from output.get(layer) or ()


def _reason(error: Any) -> str:
    if isinstance(error, Mapping):
        return " ".join(f"{error.get('Error', '')} {error.get('Cause', '')}".split())
    return str(error)
