"""The decisions on a file's columns: stored ones, new ones if there is enough evidence, or a wait for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Any

from lake.contract import Contract
from lake.control import ControlRecord, ControlTable
from lake.control.records import parse_timestamp
from lake.privacy import PERSONAL, Evidence, decide, undecided
from lake.privacy.detection import Detector
from lake.telemetry import count

Sampler = Callable[[Sequence[str]], Mapping[str, Sequence[str]]]

STRICT = PERSONAL
"""The decision on a column whose files have waited long enough."""


class Decisions:
    """Finds the decisions that a conversion must follow.

    ``units_a_day`` limits the cost of detection per table and UTC day, in Comprehend's units. Files beyond it wait, as for a decision.
    """

    def __init__(self, control: ControlTable, detector: Detector, wait_seconds: int, units_a_day: int) -> None:
        self._control = control
        self._detector = detector
        self._wait = wait_seconds
        self._units_a_day = units_a_day

    def of(self, record: ControlRecord, contract: Contract, sampler: Sampler) -> dict[str, str] | None:
        """The decision on each column that detection decides. None if the file must wait for one.

        ``sampler`` returns values of columns from the whole file and is called only if a column is undecided. A file does not
        wait if it has no value in an undecided column or has waited long enough. The strict default then applies. Decisions that
        an earlier attempt pinned on the record stay.
        """
        decided = {**self.stored(contract), **(record.pii_decision or {})}
        open_columns = undecided(contract, decided)
        if not open_columns:
            return decided
        waits = False
        for column, values in sampler(open_columns).items():
            decision = self._decide(record, contract, column, values) if values else None
            waits = waits or (decision is None and bool(values))
            decided[column] = decision or STRICT
        return None if waits and not self._has_waited(record) else decided

    def stored(self, contract: Contract) -> dict[str, str]:
        """The decisions on the contract's columns so far."""
        found = ((column.name, self._control.decisions.get(contract.table, column.id)) for column in contract.detected_columns)
        return {name: str(item["decision"]) for name, item in found if item is not None}

    def _decide(self, record: ControlRecord, contract: Contract, column: str, values: Sequence[str]) -> str | None:
        """Add this file's evidence, and decide if that of all files is enough. The first writer decides for all."""
        units = self._detector.units(values)
        if not self._control.decisions.spend(record.table_name, datetime.now(UTC).date().isoformat(), units, self._units_a_day):
            count("PiiUnitsRefused", units, table=record.table_name)
            return None
        count("PiiUnits", units, table=record.table_name)
        own, identity = self._detector.examine(values), contract.by_name[column].id
        items = self._control.decisions.add_evidence(record.table_name, identity, record.file_id, asdict(own))
        total = reduce(add, (_evidence(item) for item in items), Evidence())
        verdict = decide(total)
        if verdict is None:
            return None
        decision = {"decision": verdict, "score": total.score, "schema_version": contract.version, **asdict(total)}
        held = self._control.decisions.decide(record.table_name, identity, decision)
        self._control.files.wake(record.table_name)
        return str(held["decision"])

    def _has_waited(self, record: ControlRecord) -> bool:
        waited = datetime.now(UTC) - parse_timestamp(record.created_at)
        return waited.total_seconds() >= self._wait


def _evidence(item: Mapping[str, Any]) -> Evidence:
    return Evidence(
        seen=int(item["seen"]),
        flagged=int(item["flagged"]),
        entities={kind: int(count) for kind, count in item["entities"].items()},
        scores={kind: float(score) for kind, score in item["scores"].items()},
    )
