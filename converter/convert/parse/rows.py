"""What both fallback parsers share: rows collected, checked as wholes, and turned into one batch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from convert.parse.arrow_columns import Places, text_array
from convert.parse.outcome import ParsedBlock, Problem, Reason, Reject
from convert.parse.schema import NAME_LIMIT, RowSchema
from lake.cdc import BUILT_AT, DELETE, FENCE, LOAD, OPERATION, UNCHANGED, UPDATE


class RowCollector:
    """Takes a block's records, each as a row or as a reject; those taken one by one come in order."""

    def __init__(self, schema: RowSchema, file_format: str) -> None:
        self._schema = schema
        self._format = file_format
        self._operation = schema.index[OPERATION]
        self._unchanged = schema.index[UNCHANGED]
        self._rows: list[list[Any]] = []
        self._offsets: list[int] = []
        self._batch: pa.RecordBatch | None = None
        self._batch_offsets: Places = np.zeros(0, dtype=np.int64)
        self._rejects: list[Reject] = []
        self._extra: Counter[str] = Counter()

    def keep_batch(self, offsets: Places, batch: pa.RecordBatch | None) -> None:
        """Take rows that are checked already, with the places of their records."""
        if batch is not None:
            self._batch_offsets, self._batch = offsets, batch

    def keep(self, offset: int, row: list[Any], unknown: list[str]) -> None:
        """Take a record's row (values of the fields, then ``_extra``) and the names of its unknown columns.

        Raises ``Problem`` where the operation or a required value is missing.
        """
        self._check(row)
        self._offsets.append(offset)
        self._rows.append(row)
        self._extra.update(unknown)

    def reject(self, problem: Problem, line: int, offset: int, length: int) -> None:
        """Take a record that is no row."""
        column = problem.column[:NAME_LIMIT]
        detail = self._schema.detail(problem.reason, column, self._format)
        self._rejects.append(Reject(0, line, offset, length, column, problem.reason.value, detail))

    def _check(self, row: list[Any]) -> None:
        operation = row[self._operation]
        if operation is None:
            raise Problem(Reason.OPERATION, OPERATION)
        if operation == FENCE:
            return
        places = self._schema.keys if operation == DELETE else self._schema.required
        unchanged = (row[self._unchanged] or ()) if operation == UPDATE else ()
        for place in places:
            if row[place] is None and self._schema.fields[place].name not in unchanged:
                raise Problem(Reason.REQUIRED, self._schema.fields[place].name)

    def block(self, lines: int) -> ParsedBlock:
        """The outcome, once every record was taken: rows in the order of their records."""
        schema = self._schema.arrow_schema
        offsets = np.concatenate((self._batch_offsets, np.array(self._offsets, dtype=np.int64)))
        batch = self._batch
        if self._rows or batch is None:
            columns = zip(*self._rows, strict=True) if self._rows else ((),) * len(schema)
            arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
            alone = pa.RecordBatch.from_arrays(arrays, schema=schema)
            batch = alone if batch is None else pa.concat_batches([batch, alone]).take(pa.array(np.argsort(offsets)))
        rejects = _numbered(self._rejects, offsets) if self._rejects else []
        operations = batch.column(OPERATION)
        counts = {str(entry["values"]): entry["counts"] for entry in operations.value_counts().to_pylist()}
        return ParsedBlock(batch, len(offsets) + len(rejects), lines, rejects, dict(self._extra), counts, _built_at(batch))


def _numbered(rejects: list[Reject], offsets: Places) -> list[Reject]:
    """The rejects with their records' numbers, by the places of the rows around them."""
    places = np.array([reject.offset for reject in rejects], dtype=np.int64)
    numbers = np.searchsorted(np.sort(offsets), places) + np.arange(len(places))
    return [reject._replace(record=int(number)) for reject, number in zip(rejects, numbers, strict=True)]


def _built_at(batch: pa.RecordBatch) -> tuple[int, int] | None:
    is_fence = pc.is_in(batch.column(OPERATION), text_array(FENCE))
    times = pc.min_max(batch.column(BUILT_AT).view(pa.int64()).filter(pc.invert(is_fence))).as_py()
    return None if times["min"] is None else (times["min"], times["max"])


def blank_row(schema: RowSchema, default_operation: bool = False) -> list[Any]:
    """A row of nulls; with ``default_operation`` it is a load."""
    row: list[Any] = [None] * (len(schema.fields) + 1)
    if default_operation:
        row[schema.index[OPERATION]] = LOAD
    return row
