"""The part that both fallback parsers share: collects rows, checks each as a whole, and builds one batch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from convert.parse.outcome import ParsedBlock, Problem, Reason, Reject
from convert.parse.reject_details import Details
from convert.parse.schema import NAME_LIMIT, RowSchema
from lake.cdc import BUILT_AT, DELETE, FENCE, LOAD, OPERATION, UNCHANGED, UNSEEN, UPDATE


class RowCollector:
    """Collects a block's records in order, each as a row or as a reject."""

    def __init__(self, schema: RowSchema, details: Details) -> None:
        self._schema = schema
        self._details = details
        self._operation = schema.index[OPERATION]
        self._built_at = schema.index[BUILT_AT]
        self._unchanged = schema.index[UNCHANGED]
        self._rows: list[list[Any]] = []
        self._rejects: list[Reject] = []
        self._extra: Counter[str] = Counter()
        self._operations: Counter[str] = Counter()

    def keep(self, row: list[Any], unknown: list[str]) -> None:
        """Add a record's row (values of the fields, then ``_extra``) and the names of its unknown columns.

        Raises ``Problem`` if the operation or a required value is missing.
        """
        self._check(row)
        self._rows.append(row)
        self._operations[row[self._operation]] += 1
        self._extra.update(unknown)

    def reject(self, problem: Problem, line: int, offset: int, record: bytes) -> None:
        """Add a rejected record."""
        column = problem.column[:NAME_LIMIT]
        number = len(self._rows) + len(self._rejects)
        detail = self._details.of(problem.reason, column, record)
        self._rejects.append(Reject(number, line, offset, len(record), column, problem.reason.value, detail))

    def _check(self, row: list[Any]) -> None:
        operation = row[self._operation]
        if operation is None:
            raise Problem(Reason.OPERATION, OPERATION)
        if operation == FENCE:
            return
        places = self._schema.keys if operation == DELETE else self._schema.required
        absent = row[self._unchanged] or ()
        for place in places:
            name = self._schema.fields[place].name
            if row[place] is None and UNSEEN + name not in absent and (operation != UPDATE or name not in absent):
                raise Problem(Reason.REQUIRED, name)

    def block(self, lines: int) -> ParsedBlock:
        """The result, after the last record."""
        schema = self._schema.arrow_schema
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * len(schema)
        arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
        times = [row[self._built_at] for row in self._rows if row[self._operation] != FENCE and row[self._built_at] is not None]
        return ParsedBlock(
            batch=pa.RecordBatch.from_arrays(arrays, schema=schema),
            rows_read=len(self._rows) + len(self._rejects),
            lines=lines,
            rejects=self._rejects,
            extra=self._extra,
            operations=self._operations,
            built_at=(min(times), max(times)) if times else None,
        )


def lines_in(data: bytes) -> int:
    """The number of lines of a block, including blank ones and one without a line feed."""
    return data.count(b"\n") + (data[-1:] not in (b"", b"\n"))


def blank_row(schema: RowSchema, default_operation: bool = False) -> list[Any]:
    """A row of nulls. With ``default_operation`` it is a load."""
    row: list[Any] = [None] * (len(schema.fields) + 1)
    if default_operation:
        row[schema.index[OPERATION]] = LOAD
    return row
