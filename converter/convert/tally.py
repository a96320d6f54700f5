"""What a conversion counts while rows pass: operations, times, fences, unknown columns, reasons of rejects."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from convert.parse import ParsedBlock
from lake.cdc import BUILT_AT, FENCE, FENCE_KIND, OPERATION
from lake.control import Fence

NAMED_UNKNOWN_COLUMNS = 200
"""So many unknown columns are named on the control record, an item of at most 400 KB; the rest is one sum."""

OTHERS = "(others)"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tally:
    """Counts of one conversion, kept by the one thread that writes."""

    def __init__(self) -> None:
        self.written = 0
        self.rejected = 0
        self.lines = 0
        self.operations: Counter[str] = Counter()
        self.unknown_columns: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.fences: list[Fence] = []
        self._earliest: int | None = None
        self._latest: int | None = None

    @property
    def read(self) -> int:
        """Records read: written and rejected."""
        return self.written + self.rejected

    @property
    def built_at_min(self) -> datetime | None:
        """The earliest ``cdc_built_at`` of a row that is no fence."""
        return _moment(self._earliest)

    @property
    def built_at_max(self) -> datetime | None:
        """The latest ``cdc_built_at`` of a row that is no fence."""
        return _moment(self._latest)

    def take(self, block: ParsedBlock) -> None:
        """Count a block's rows and rejects."""
        self.written += block.batch.num_rows
        self.operations.update(block.operations)
        if block.operations.get(FENCE):
            self._take_fences(block.batch)
        if block.built_at is not None:
            earliest, latest = block.built_at
            self._earliest = earliest if self._earliest is None else min(self._earliest, earliest)
            self._latest = latest if self._latest is None else max(self._latest, latest)
        self.rejected += len(block.rejects)
        self.reasons.update((reject.reason, reject.column) for reject in block.rejects)
        self.unknown_columns.update(block.extra)

    def _take_fences(self, rows: pa.RecordBatch) -> None:
        values = (rows.column(OPERATION), rows.column(BUILT_AT).view(pa.int64()), rows.column(FENCE_KIND))
        for operation, micros, kind in zip(*(column.to_pylist() for column in values), strict=True):
            moment = _moment(micros)
            if operation == FENCE and moment is not None:
                self.fences.append(Fence(moment, kind or "create-table"))

    def commonest_unknown_columns(self) -> dict[str, int]:
        """The values of unknown columns by name, the commonest 200; those of all other names under ``(others)``."""
        named = dict(self.unknown_columns.most_common(NAMED_UNKNOWN_COLUMNS))
        others = self.unknown_columns.total() - sum(named.values())
        return {**named, OTHERS: others} if others else named

    def worst(self, limit: int = 5) -> str:
        """The commonest reasons of rejects, for a message."""
        named = (f"{count:,} x {reason}{f' in {column}' if column else ''}" for (reason, column), count in self.reasons.most_common(limit))
        return "; ".join(named)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)
