"""CSV records to rows, without native code of our own (RFC 4180; NULL and empty text as PostgreSQL's COPY writes them).

Records that pyarrow.csv certainly reads right go through it; every other is read alone, slowly and exactly. An unquoted
empty field is NULL, a quoted one is empty text.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from convert.parse.arrow_columns import Mask, Places, bool_array, bounds_of_lines
from convert.parse.arrow_csv import ArrowRecords
from convert.parse.csv_fields import cells, record_spans
from convert.parse.field_values import CSV_READERS
from convert.parse.outcome import ParsedBlock, Problem, Reason
from convert.parse.rows import RowCollector, blank_row
from convert.parse.schema import RowSchema
from lake.cdc import OPERATION


class CsvRecords:
    """Parses blocks of CSV records by a schema and the file's header."""

    def __init__(self, schema: RowSchema, header: tuple[str, ...], shortcut: bool = True) -> None:
        self._schema = schema
        self._header = header
        self._is_change = OPERATION in header
        self._places = [schema.index.get(name) for name in header]
        self._readers = [CSV_READERS[field.kind] for field in schema.fields]
        self._arrow = ArrowRecords(schema, header) if shortcut else None

    def parse(self, block: Any) -> ParsedBlock:
        """Parse a block of whole records, the last of which may lack its line feed."""
        data = bytes(block)
        rows = RowCollector(self._schema, "csv")
        starts, ends = bounds_of_lines(data)
        certain = np.zeros(len(starts), dtype=np.bool_)
        batch = None
        if self._arrow:
            batch, certain = self._arrow.read(data, starts, ends)
        # a record that is read alone may go over lines that looked like records of their own
        if batch is None or not certain.all():
            covered = self._read_alone(data, starts, certain, rows)
            if batch is not None and covered.any():
                batch = batch.filter(bool_array(~covered[certain]))
                certain &= ~covered
        rows.keep_batch(starts[certain], batch)
        return rows.block(len(starts))

    def _read_alone(self, data: bytes, starts: Places, certain: Mask, rows: RowCollector) -> Mask:
        """Take the records that begin on lines that are not certain; which lines they go on over."""
        covered = np.zeros(len(starts), dtype=np.bool_)
        after = 0
        for number in np.flatnonzero(~certain).tolist():
            if starts[number] < after:
                continue
            span = next(record_spans(data, int(starts[number])))
            record = data[span.start : span.stop]
            after = span.after
            covered[number + 1 : number + 1 + record.count(b"\n")] = True
            if record:
                try:
                    rows.keep(span.start, *self.row(record))
                except Problem as problem:
                    rows.reject(problem, number, span.start, len(record))
        return covered

    def row(self, record: bytes) -> tuple[list[Any], list[str]]:
        """The values of one record and the names of its unknown columns. Raises ``Problem``."""
        schema = self._schema
        row = blank_row(schema, default_operation=not self._is_change)
        unknown: list[str] = []
        extra: list[str] = []
        found = cells(record)
        if len(found) != len(self._header):
            raise Problem(Reason.RAGGED)
        for name, place, cell in zip(self._header, self._places, found, strict=True):
            if place is not None:
                row[place] = None if cell is None else self._readers[place](cell, schema.fields[place])
            elif schema.evolution in ("freeze", "discard_row"):
                raise Problem(Reason.UNKNOWN_COLUMN, name)
            else:
                unknown.append(name)
                extra.append(f"{json.dumps(name, ensure_ascii=False)}:{json.dumps(cell, ensure_ascii=False)}")
        if extra and schema.evolution == "evolve":
            row[-1] = "{" + ",".join(extra) + "}"
        return row, unknown
