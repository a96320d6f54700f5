"""Generations of a table. Each begins with a fence, the control record at the start of a load.

A record belongs to its table's newest fence that is not younger than its message. The rules are in docs/semantics.md, "Order".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

CREATED, DROPPED = "create-table", "drop-table"
"""The kinds of fences, named after DMS's control records."""


@dataclass(frozen=True, order=True)
class Fence:
    """The line that starts a load generation of its table. ``kind`` is ``CREATED`` or ``DROPPED``."""

    at: datetime
    kind: str = CREATED

    @property
    def generation(self) -> int:
        """Microseconds since 1970-01-01 UTC. Records behind the fence have this value in ``cdc_generation``."""
        return int(self.at.timestamp()) * 1_000_000 + self.at.microsecond


def newest(fences: Iterable[Fence]) -> Fence | None:
    """The fence of the table's current generation. None while it has none.

    A load announces the drop before the creation. Of two fences with the same time, the creation is therefore the newer.
    """
    return max(fences, key=lambda fence: (fence.at, fence.kind == CREATED), default=None)


def frozen_reason(fences: Iterable[Fence]) -> str | None:
    """The reason why a table is frozen: its newest fence reports a drop. None if the table is not frozen."""
    last = newest(fences)
    if last is None or last.kind != DROPPED:
        return None
    return f"dropped at its source at {last.at.astimezone(UTC).isoformat()}; kept as it was until it is loaded again"
