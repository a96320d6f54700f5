"""CSV records to rows, without native code (RFC 4180; NULL and empty text as PostgreSQL's COPY writes them).

An unquoted empty field is NULL, a quoted one is empty text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from lake.cdc import OPERATION

from .outcome import ParsedBlock, Problem, Reason
from .rows import RowCollector, blank_row
from .schema import RowSchema
from .values import CSV_READERS

_FIELD = rb'(?:"(?:[^"]++|"")*+(?:"[^,\n]*+|\Z)|[^",\n][^,\n]*+|)'
_RECORD = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*+(\n|\Z)")
_CELL = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\r]*+))(?:,|\Z)')

Cell = str | None


class CsvRecords:
    """Parses blocks of CSV records by a schema and the file's header."""

    def __init__(self, schema: RowSchema, header: tuple[str, ...]) -> None:
        self._schema = schema
        self._header = header
        self._is_change = OPERATION in header
        self._places = [schema.index.get(name) for name in header]
        self._readers = [CSV_READERS[field.kind] for field in schema.fields]

    def parse(self, block: Any) -> ParsedBlock:
        """Parse a block of whole records, the last of which may lack its line feed."""
        data = bytes(block)
        rows = RowCollector(self._schema, "csv")
        line = 0
        for span in record_spans(data):
            record = data[span.start : span.stop]
            if record:
                try:
                    rows.keep(*self.row(record))
                except Problem as problem:
                    rows.reject(problem, line, span.start, len(record))
            line += record.count(b"\n") + 1
        return rows.block(data.count(b"\n") + (not data.endswith(b"\n") and data != b""))

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


class Span(NamedTuple):
    """One record's bytes: ``start`` to ``stop`` without its line break, ``after`` with it; ``ended`` tells that there is one."""

    start: int
    stop: int
    after: int
    ended: bool


def record_spans(data: bytes) -> Iterator[Span]:
    """Every record in order; blank lines are empty spans.

    A quote opens a field only at the field's beginning, so a stray one spoils no more than its own record.
    """
    at = 0
    while at < len(data) and (match := _RECORD.match(data, at)):
        stop = match.start(1)
        if stop > at and data[stop - 1] == 13:
            stop -= 1
        yield Span(at, stop, match.end(), match.end() > match.start(1))
        at = match.end()


def cells(record: bytes) -> list[Cell]:
    """The fields of one record; None for NULL. Raises ``Problem`` of the record's bytes and syntax."""
    try:
        text = record.decode()
    except UnicodeDecodeError:
        raise Problem(Reason.UTF8) from None
    if "\0" in text:
        raise Problem(Reason.NUL)
    if '"' not in text:
        if "\r" in text:
            raise Problem(Reason.NOT_CSV)
        return [cell or None for cell in text.split(",")]
    found: list[Cell] = []
    at = 0
    while True:
        match = _CELL.match(text, at)
        if match is None:
            raise Problem(Reason.NOT_CSV)
        found.append(match[1].replace('""', '"') if match[1] is not None else match[2] or None)
        at = match.end()
        if match[0][-1:] != ",":
            return found
