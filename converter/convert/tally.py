"""The counts of a conversion: operations, times, fences, unknown columns, reasons of rejects."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from convert.parse import ParsedBlock, Reason
from convert.swallowed import NOTHING, Swallowed
from lake.cdc import BUILT_AT, FENCE, FENCE_KIND, OPERATION
from lake.generations import CREATED, Fence

NAMED_UNKNOWN_COLUMNS = 200
"""The number of unknown columns named on the control record, an item of at most 400 KB. The others are one sum."""
COUNTED_UNKNOWN_COLUMNS = 10_000
"""The number of names that are counted one by one. Later names are counted together, which bounds memory."""
COUNTED_REASONS = 1_000
"""The number of kinds of rejects that are counted one by one, since a reject may name an unknown column."""

NAMED_REASONS = 10
"""The number of kinds of rejects named on the control record. The others are one sum."""
LONGEST_COLUMN = 100
"""The characters of a column's name in a kind of reject. A file may bring names of any length."""

OTHERS = "(others)"
NO_OBJECTS = frozenset({Reason.NOT_JSON, Reason.NOT_OBJECT})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tally:
    """Counts of one conversion, kept by the single writing thread."""

    def __init__(self) -> None:
        self.written = 0
        self.rejected = 0
        self.lines = 0
        self.lost_lines = 0
        self.swallowed = 0
        self.first_swallowing = 0
        self.operations: Counter[str] = Counter()
        self.unknown_columns: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], tuple[int, str]] = {}
        self.fences: list[Fence] = []
        self._earliest: int | None = None
        self._latest: int | None = None

    @property
    def read(self) -> int:
        """Records read: written and rejected."""
        return self.written + self.rejected

    @property
    def lines_without_record(self) -> int:
        """Lines of a CSV file that begin no record: blank lines, and lines inside a quoted text."""
        return self.lines - self.lost_lines - self.written

    @property
    def built_at_min(self) -> datetime | None:
        """The earliest ``cdc_built_at`` of a row other than a fence."""
        return _moment(self._earliest)

    @property
    def built_at_max(self) -> datetime | None:
        """The latest ``cdc_built_at`` of a row other than a fence."""
        return _moment(self._latest)

    @property
    def fenced(self) -> int:
        """Rows that are fences."""
        return self.operations[FENCE]

    @property
    def no_objects(self) -> int:
        """Lines of a JSON file that are no objects."""
        return sum(count for (reason, _), count in self.reasons.items() if reason in NO_OBJECTS)

    def take(self, block: ParsedBlock, first_line: int, lost_lines: int, swallowed: Swallowed = NOTHING) -> None:
        """Count the rows and rejects of the block that begins at ``first_line``. Its rejects take ``lost_lines`` lines."""
        if swallowed.rows and not self.swallowed:
            self.first_swallowing = first_line + swallowed.line
        self.swallowed += swallowed.rows
        self.written += block.batch.num_rows
        self.operations.update(block.operations)
        if block.operations.get(FENCE):
            self._take_fences(block.batch)
        if block.built_at is not None:
            earliest, latest = block.built_at
            self._earliest = earliest if self._earliest is None else min(self._earliest, earliest)
            self._latest = latest if self._latest is None else max(self._latest, latest)
        self.lines += block.lines
        self.rejected += len(block.rejects)
        self.lost_lines += lost_lines
        for reject in block.rejects:
            kind = (reject.reason, reject.column)
            if kind not in self.reasons and len(self.reasons) >= COUNTED_REASONS:
                kind = (reject.reason, OTHERS)
            self.reasons[kind] += 1
            self._first.setdefault(kind, (first_line + reject.line, reject.detail))
        for name in sorted(block.extra):
            known = name in self.unknown_columns or len(self.unknown_columns) < COUNTED_UNKNOWN_COLUMNS
            self.unknown_columns[name if known else OTHERS] += block.extra[name]

    def _take_fences(self, rows: pa.RecordBatch) -> None:
        values = (rows.column(OPERATION), rows.column(BUILT_AT).view(pa.int64()), rows.column(FENCE_KIND))
        for operation, micros, kind in zip(*(column.to_pylist() for column in values), strict=True):
            moment = _moment(micros)
            if operation == FENCE and moment is not None:
                self.fences.append(Fence(moment, kind or CREATED))

    def commonest_unknown_columns(self) -> dict[str, int]:
        """The number of values of the 200 commonest unknown columns. All others are summed under ``(others)``."""
        return _commonest(self.unknown_columns, NAMED_UNKNOWN_COLUMNS)

    def commonest_reasons(self) -> dict[str, int]:
        """The number of rejects of the 10 commonest kinds. All others are summed under ``(others)``."""
        counts: Counter[str] = Counter()
        for kind, count in self.reasons.items():
            counts[_named(*kind)] += count
        return _commonest(counts, NAMED_REASONS)

    def worst(self, limit: int = 5) -> tuple[str, ...]:
        """The commonest kinds of rejects: count, the first one's line, and the problem."""
        kinds = sorted(self.reasons.items(), key=lambda kind: (-kind[1], self._first[kind[0]][0]))
        return tuple(self._described(*kind) for kind in kinds[:limit])

    def _described(self, kind: tuple[str, str], count: int) -> str:
        line, detail = self._first[kind]
        return f"{count:,} x {_named(*kind)}, first at line {line:,} ({detail})"


def _commonest(counts: Counter[str], limit: int) -> dict[str, int]:
    counted = sorted((item for item in counts.items() if item[0] != OTHERS), key=lambda item: (-item[1], item[0]))
    named = dict(counted[:limit])
    others = counts.total() - sum(named.values())
    return {**named, OTHERS: others} if others else named


def _named(reason: str, column: str) -> str:
    """A kind of reject in words. It holds no value."""
    shown = column if len(column) <= LONGEST_COLUMN else f"{column[:LONGEST_COLUMN]}…"
    return f'{reason} in column "{shown}"' if column else reason


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)
