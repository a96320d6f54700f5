"""Detects rows that lie within a quoted text of a CSV file: a stray quote opens before them, and a later one closes after them.

No CSV reader can distinguish such a text from an intended one. But lines that are rows by the contract, one after another,
indicate a stray quote.
"""

from __future__ import annotations

from typing import NamedTuple

from convert.parse import BlockParser, ParsedBlock, RowSchema
from lake.cdc import OPERATION
from lake.types import TEXT

_TEXT_KINDS = (TEXT.name, OPERATION)
_TELLING = 4
"""The weight of columns that makes a line a row. A text counts 1, any other column 3.

A line of a text may well hold one comma, but rarely three or a number.
"""


class Swallowed(NamedTuple):
    """The number of lines within texts that are rows by themselves, and the line, from 0, of the first record with such lines."""

    rows: int = 0
    line: int = 0


NOTHING = Swallowed()


class SwallowedRowDetector:
    """Examines the blocks of one CSV file."""

    def __init__(self, schema: RowSchema, header: tuple[str, ...] | None, parser: BlockParser) -> None:
        kinds = {field.name: field.kind for field in schema.fields}
        told = sum(1 if kinds.get(name, TEXT.name) in _TEXT_KINDS else 3 for name in header or ())
        self._parser = parser if told >= _TELLING else None

    def look(self, data: memoryview, parsed: ParsedBlock) -> Swallowed:
        """The swallowed rows in the accepted records of a block, in columns that the contract does not know too."""
        if self._parser is None or not parsed.long_records:
            return NOTHING
        lines = [_lines_within(data[start : start + size]) for start, size in parsed.long_records]
        rows = self._rows(b"".join(lines))
        if not rows:
            return NOTHING
        first = next(place for (place, _), within in zip(parsed.long_records, lines, strict=True) if self._rows(within))
        return Swallowed(rows, bytes(data[:first]).count(b"\n"))

    def _rows(self, lines: bytes) -> int:
        return self._parser.parse(lines).batch.num_rows if lines and self._parser else 0


def _lines_within(record: memoryview) -> bytes:
    """The whole lines within the texts of a record. Every quote in such a line is doubled, so none opens a field."""
    lines = bytes(record).split(b"\n")[1:-1]
    return b"".join(line + b"\n" for line in lines if b'"' not in line.replace(b'""', b""))
