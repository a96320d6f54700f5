"""What a conversion counts while rows pass: operations, times, fences, unknown columns, reasons of rejects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from lake.cdc import BUILT_AT, FENCE, FENCE_KIND, OPERATION
from lake.control import Fence

NAMED_UNKNOWN_COLUMNS = 200
"""So many unknown columns are named on the control record, an item of at most 400 KB; the rest is one sum."""

OTHERS = "(others)"

ROWS_AT_ONCE = 65_536
"""Rows that wait until they are counted together: Arrow's functions cost as much a call as a thousand rows."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTED = [OPERATION, BUILT_AT, FENCE_KIND]


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
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

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

    def rows(self, batch: pa.RecordBatch) -> None:
        """Take accepted rows. They are counted by ``end``, or before that once there are many."""
        self.written += batch.num_rows
        self._waiting.append(batch.select(_COUNTED))
        self._waiting_rows += batch.num_rows
        if self._waiting_rows >= ROWS_AT_ONCE:
            self.end()

    def end(self) -> None:
        """Count the rows that wait."""
        if self._waiting_rows == 0:
            return
        rows = pa.Table.from_batches(self._waiting)
        self._waiting, self._waiting_rows = [], 0
        operations = rows.column(OPERATION)
        counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(operations).to_pylist()}
        self.operations.update({name: count for name, count in counts.items() if name is not None})
        if counts.get(FENCE):
            is_fence = pc.fill_null(pc.equal(operations, FENCE), False)
            self._take_fences(rows.filter(is_fence))
            rows = rows.filter(pc.invert(is_fence))
        times = pc.min_max(rows.column(BUILT_AT).cast(pa.int64()))
        low, high = times["min"].as_py(), times["max"].as_py()
        if low is not None:
            self._earliest = low if self._earliest is None else min(self._earliest, low)
            self._latest = high if self._latest is None else max(self._latest, high)

    def _take_fences(self, rows: pa.Table) -> None:
        moments = rows.column(BUILT_AT).cast(pa.int64()).to_pylist()
        for micros, kind in zip(moments, rows.column(FENCE_KIND).to_pylist(), strict=True):
            moment = _moment(micros)
            if moment is not None:
                self.fences.append(Fence(moment, kind or "create-table"))

    def rejects(self, reasons: Iterable[tuple[str, str]], extra: Mapping[str, int]) -> None:
        """Count rejected records by reason and column, and values of unknown columns by name."""
        for reason in reasons:
            self.reasons[reason] += 1
            self.rejected += 1
        self.unknown_columns.update(extra)

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
