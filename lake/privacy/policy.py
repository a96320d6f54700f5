"""The columns to mask, and the evidence that is enough to decide on a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lake.contract import Contract

PERSONAL = "personal"
CLEAR = "clear"
VALUES_TO_DECIDE = 200
"""The number of non-null values to examine before a column is decided."""
PERSONAL_SHARE = 0.05
"""A column is personal if at least this share of its examined values holds personal data."""


@dataclass(frozen=True)
class Evidence:
    """The findings of detection in a column as numbers. It never holds a value.

    ``seen`` counts the examined non-null values, ``flagged`` those with at least one personal entity. ``entities`` counts
    the values by entity type, ``scores`` sums their best scores by type (0 to 1 per value).
    """

    seen: int = 0
    flagged: int = 0
    entities: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The mean of the best scores, 0 to 1. It is 0 if detection found nothing."""
        found = sum(self.entities.values())
        return round(sum(self.scores.values()) / found, 3) if found else 0.0

    def __add__(self, other: Evidence) -> Evidence:
        types = sorted({*self.entities, *other.entities})
        return Evidence(
            self.seen + other.seen,
            self.flagged + other.flagged,
            {name: self.entities.get(name, 0) + other.entities.get(name, 0) for name in types},
            {name: self.scores.get(name, 0.0) + other.scores.get(name, 0.0) for name in types},
        )


def decide(evidence: Evidence) -> str | None:
    """``personal`` or ``clear`` if enough values were examined, else None."""
    if evidence.seen < VALUES_TO_DECIDE:
        return None
    return PERSONAL if evidence.flagged >= evidence.seen * PERSONAL_SHARE else CLEAR


def masks_of(contract: Contract, decisions: Mapping[str, str]) -> dict[str, str]:
    """The mask of every column that must not appear in clear, by column name.

    The contract's classification comes first. Without one, the decision counts. A column with neither is masked.
    """
    masks = {}
    for column in contract.columns:
        personal = column.classification == PERSONAL or (column.may_be_personal and decisions.get(column.name) != CLEAR)
        if personal:
            masks[column.name] = column.mask
    return masks


def undecided(contract: Contract, decisions: Mapping[str, str]) -> tuple[str, ...]:
    """The columns on which detection still has to decide."""
    return tuple(column.name for column in contract.detected_columns if column.name not in decisions)
