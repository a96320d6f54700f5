"""Runs the state machines that bring silver and gold up to date, and reads what became of each table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from datamaster import executions
from datamaster.local.state import State

STATE_MACHINES = {"silver": "bronze-to-silver", "gold": "silver-to-gold"}
ROUNDS = 50


@dataclass(frozen=True)
class Result:
    """What a run did: tables settled, skipped with a reason, failed with a reason."""

    settled: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]

    @property
    def summary(self) -> str:
        """The run in one line."""
        counts = [f"{len(set(self.settled))} tables settled"]
        counts += [f"{len(self.skipped)} skipped"] if self.skipped else []
        counts += [f"{len(self.failed)} failed"] if self.failed else []
        return ", ".join(counts)


def run(running: State, layer: str, progress: Callable[[str], None]) -> Result:
    """Bring a layer ("silver" or "gold") up to date: rounds of its state machine until none leaves files behind.

    Raises ``ExecutionFailed`` where the state machine itself fails; a table that fails is in the result.
    """
    settled: list[str] = []
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    for _ in range(ROUNDS):
        output = executions.run(running.state_machines[STATE_MACHINES[layer]], {}, progress).output
        skipped = {entry["table"]: entry["reason"] for entry in output.get("skipped", ())}
        more = False
        for answer in _answers(output):
            if answer.get("error"):
                failed[answer["table"]] = _reason(answer["error"])
            else:
                settled.append(answer["table"])
                more = more or bool(answer.get("more"))
        if failed or not more:
            break
    return Result(tuple(settled), tuple(skipped.items()), tuple(failed.items()))


def _answers(output: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for layer in ("silver", "review_flat", "gold"):
        yield from output.get(layer) or ()


def _reason(error: Any) -> str:
    if isinstance(error, Mapping):
        return " ".join(f"{error.get('Error', '')} {error.get('Cause', '')}".split())
    return str(error)
