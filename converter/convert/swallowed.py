"""Detects rows that lie within a quoted text of a CSV file: a stray quote opens before them, and a later one closes after them.

No CSV reader can distinguish such a text from an intended one. But lines that are rows by the contract, one after another,
indicate a stray quote.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from convert.parse import BlockParser, ParsedBlock, RowSchema
from convert.parse.csv_fields import record_spans
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
        """The swallowed rows in the accepted records of a block."""
        if self._parser is None or parsed.lines < parsed.rows_read + 2:
            return NOTHING
        texts = [column for column in parsed.batch.columns if pa.types.is_string(column.type) and column.null_count < len(column)]
        long = [text for column in texts for text in column.to_pylist() if text and "\n" in text]
        rows = self._rows([line for text in long for line in _written(text).split(b"\n")[1:-1]])
        return Swallowed(rows, self._first(bytes(data))) if rows else NOTHING

    def _rows(self, lines: list[bytes]) -> int:
        # an odd quote would swallow the lines after it
        whole = b"\n".join(line for line in lines if line.count(b'"') % 2 == 0)
        return self._parser.parse(whole).batch.num_rows if whole and self._parser else 0

    def _first(self, data: bytes) -> int:
        line = 0
        for span in record_spans(data):
            record = data[span.start : span.after]
            if self._rows(record.split(b"\n")[1:-2]):
                break
            line += record.count(b"\n")
        return line


def _written(text: str) -> bytes:
    """A quoted text as the file has it."""
    return text.replace('"', '""').encode()
