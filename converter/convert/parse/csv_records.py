"""CSV records to rows in pure Python (RFC 4180, with NULL and empty text as PostgreSQL's COPY writes them).

An unquoted empty field is NULL, a quoted one is empty text.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from convert.parse.csv_fields import cells, record_spans
from convert.parse.field_values import CSV_READERS
from convert.parse.outcome import ParsedBlock, Problem, Reason
from convert.parse.reject_details import Details
from convert.parse.rows import RowCollector, blank_row, lines_in
from convert.parse.schema import RowSchema
from lake.cdc import OPERATION

_BOM = b"\xef\xbb\xbf"


class CsvRecords:
    """Parses blocks of CSV records by a schema and the file's header."""

    def __init__(self, schema: RowSchema, header: tuple[str, ...]) -> None:
        self._schema = schema
        self._header = header
        self._is_change = OPERATION in header
        self._places = [schema.index.get(name) for name in header]
        self._readers = [CSV_READERS[field.kind] for field in schema.fields]
        self._details = Details(schema, header)

    def parse(self, block: Any) -> ParsedBlock:
        """Parse a block of whole records. The last one may lack its line feed."""
        data = bytes(block)
        rows = RowCollector(self._schema, self._details)
        long_records: list[tuple[int, int]] = []
        line = 0
        for span in record_spans(data):
            if span.stop > span.start:
                record = data[span.start : span.stop]
                try:
                    if span.is_open:
                        raise Problem(Reason.OPEN_QUOTE)
                    rows.keep(*self.row(record))
                    if record.count(b"\n") > 1:
                        long_records.append((span.start, len(record)))
                except Problem as problem:
                    rows.reject(problem, line, span.start, record)
            line += data.count(b"\n", span.start, span.after)
        return replace(rows.block(lines_in(data)), long_records=long_records)

    def row(self, record: bytes) -> tuple[list[Any], list[str]]:
        """The values of one record and the names of its unknown columns. Raises ``Problem``."""
        schema = self._schema
        row = blank_row(schema, default_operation=not self._is_change)
        unknown: list[str] = []
        extra: list[str] = []
        for name, place, cell in zip(self._header, self._places, self._cells(record), strict=True):
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

    def _cells(self, record: bytes) -> list[str | None]:
        """The record's cells, one per column of the header. Raises ``Problem``, also for a repeated header or byte order mark."""
        if record.startswith(_BOM) and self._is_header(record[len(_BOM) :]):
            raise Problem(Reason.REPEATED_HEADER)
        found = cells(record)
        if tuple(found) == self._header:
            raise Problem(Reason.REPEATED_HEADER)
        if len(found) != len(self._header):
            raise Problem(Reason.RAGGED)
        return found

    def _is_header(self, record: bytes) -> bool:
        try:
            return tuple(cells(record)) == self._header
        except Problem:
            return False
