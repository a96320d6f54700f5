"""Generations of a table: each begins with a fence, the control record that a load of the table starts with.

A record belongs to the newest fence of its table that is not younger than its message. docs/semantics.md, "Order", has the rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

CREATED, DROPPED = "create-table", "drop-table"
"""The kinds of fences, by DMS's words for their control records."""


@dataclass(frozen=True, order=True)
class Fence:
    """The line that starts a load generation of its table; ``kind`` is ``CREATED`` or ``DROPPED``."""

    at: datetime
    kind: str = CREATED

    @property
    def generation(self) -> int:
        """Microseconds since 1970-01-01 UTC: what ``cdc_generation`` holds for the records behind the fence."""
        return int(self.at.timestamp()) * 1_000_000 + self.at.microsecond


def newest(fences: Iterable[Fence]) -> Fence | None:
    """The fence of the table's present generation; None while it has none.

    A load announces the drop before the creation, so of one moment the creation is the newer.
    """
    return max(fences, key=lambda fence: (fence.at, fence.kind == CREATED), default=None)


def frozen_reason(fences: Iterable[Fence]) -> str | None:
    """Why a table is left as it is: its newest fence says that it was dropped. None where it is not."""
    last = newest(fences)
    if last is None or last.kind != DROPPED:
        return None
    return f"dropped at its source at {last.at.astimezone(UTC).isoformat()}; kept as it was until it is loaded again"
