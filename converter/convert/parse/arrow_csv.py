"""CSV records through pyarrow.csv, as far as its reading is provably the exact parser's.

pyarrow.csv trims white space around numbers, reads hexadecimal integers, words for infinity and bytes that are no UTF-8. So
a block without quotes reaches it whole, and what it gives is taken where all white space and every x arrived in texts;
otherwise a pattern of the whole line finds the records that it reads right.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv

from convert.parse.arrow_columns import ColumnCheck, Mask, Places, hide_marked, joined, matching_lines, pattern, read_as, text_bytes
from convert.parse.schema import Field, RowSchema
from lake.cdc import OPERATION

_MARKS = (b" ", b"\t", b"x", b"X")
"""What makes a line doubtful for pyarrow.csv's own reading of numbers, where it does not stand in a text."""
_TEXT = r'(?:[^",\r\n\x00]*|"(?:[^"\r\n\x00]|"")*")'
_FLOAT = r"(?:-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?)?"
_CELLS = {
    "int16": "(?:-?[0-9]{1,9})?",
    "int32": "(?:-?[0-9]{1,18})?",
    "int64": "(?:-?[0-9]{1,18})?",
    "float32": _FLOAT,
    "float64": _FLOAT,
    "boolean": "(?:t|f|true|false)?",
    "text": _TEXT,
}
_SEPARATOR = "[T ]"


class ArrowRecords:
    """Reads the certain records of a block; none where the header has a column that the schema does not know."""

    def __init__(self, schema: RowSchema, header: tuple[str, ...]) -> None:
        self._check = ColumnCheck(schema, _SEPARATOR)
        self._header = header
        self._is_load = OPERATION not in header
        fields = [schema.fields[schema.index[name]] for name in header if name in schema.index]
        # a list of names is written as JSON, which pyarrow.csv does not read
        self._is_known = len(fields) == len(header) and all(field.kind != "names" for field in fields)
        self._types = {field.name: read_as(field) for field in fields}
        self._line_pattern = ",".join(map(_cell, fields))

    def read(self, data: bytes, starts: Places, ends: Places) -> tuple[pa.RecordBatch | None, Mask]:
        """The certain rows, and which of the block's lines they are: each a whole record."""
        nothing = np.zeros(len(starts), dtype=np.bool_)
        if not self._is_known:
            return None, nothing
        chosen: Mask = ends > starts
        table = None
        if b'"' not in data and b"\0" not in data and not _has_lone_return(data, ends):
            hide_marked(data, starts, chosen)
            lines = joined(data, starts, chosen)
            table = self._table(lines, int(chosen.sum()))
            if table is not None and not _only_texts_hold_marks(lines, table):
                table = None
        if table is None:
            chosen = ends > starts
            hide_marked(data, starts, chosen)
            chosen &= matching_lines(data, starts, self._line_pattern)
            table = self._table(joined(data, starts, chosen), int(chosen.sum()))
        if table is None:
            return None, nothing
        (read,) = table.combine_chunks().to_batches()
        batch, certain = self._check.batch(dict(zip(table.column_names, read.columns, strict=True)), table.num_rows, self._is_load)
        chosen[chosen] = certain
        return batch, chosen

    def _table(self, lines: bytes, count: int) -> pa.Table | None:
        """What pyarrow.csv reads, where it reads exactly one row a line."""
        if not count:
            return None
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(lines),
                read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=len(lines) + 1, column_names=self._header),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=self._types,
                    null_values=[""],
                    true_values=["t", "true"],
                    false_values=["f", "false"],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except (ValueError, pa.ArrowException):
            return None
        return table if table.num_rows == count else None


def _only_texts_hold_marks(lines: bytes, table: pa.Table) -> bool:
    """Whether every mark of the lines arrived in a text, so that none was left out of a number or read as part of one."""
    texts = [text_bytes(chunk) for column in table.columns if pa.types.is_string(column.type) for chunk in column.chunks]
    return all(_count(lines, mark) == sum(_count(text, mark) for text in texts) for mark in _MARKS if mark in lines)


def _count(data: bytes, mark: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord(mark)))


def _has_lone_return(data: bytes, ends: Places) -> bool:
    octets = np.frombuffer(data, np.uint8)
    return data.count(b"\r") != np.count_nonzero(octets[ends[ends < len(data)]] == ord("\r"))


def _cell(field: Field) -> str:
    return _CELLS.get(field.kind) or f"(?:{pattern(field, _SEPARATOR)})?"
