"""JSON lines through pyarrow.json, as far as its reading is provably the exact parser's.

pyarrow.json is strict on types and duplicates, but it takes several objects a line, bytes that are no UTF-8, NaN, lone
surrogates, several forms of time, and it breaks on a bare null. So only lines that begin and end as an object reach it,
without NUL and escapes of surrogates, and what it gives is checked. Where it refuses a block, a pattern of the whole
line finds the lines that it cannot refuse.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.json

from convert.parse.arrow_columns import ColumnCheck, Mask, Places, hide_marked, joined, matching_lines, pattern, read_as
from convert.parse.json_members import members
from convert.parse.outcome import Problem
from convert.parse.schema import Field, RowSchema

_TEXT = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*"'
_TOKENS = {
    "int16": "-?(?:0|[1-9][0-9]{0,4})",
    "int32": "-?(?:0|[1-9][0-9]{0,9})",
    "int64": "-?(?:0|[1-9][0-9]{0,17})",
    "float32": r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?",
    "float64": r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?",
    "boolean": "true|false",
    "text": _TEXT,
    "bytes": r'"(?:\\\\x)?(?:[0-9a-fA-F]{2})*"',
    "names": rf"\[(?:{_TEXT}(?:, ?{_TEXT})*)?\]",
}

SAMPLE_LINES = 3
"""Lines of a block that are asked for their members."""
MAX_LAYOUTS = 64
"""Orders of members whose patterns are kept."""


class ArrowLines:
    """Reads the certain lines of a block."""

    def __init__(self, schema: RowSchema) -> None:
        self._schema = schema
        self._check = ColumnCheck(schema, "T")
        self._read_schema = pa.schema([pa.field(field.name, read_as(field)) for field in schema.fields])
        self._line_patterns: dict[tuple[str, ...], str] = {}

    def read(self, data: bytes, starts: Places, ends: Places) -> tuple[pa.RecordBatch | None, Mask]:
        """The certain rows, and which of the block's lines they are."""
        octets = np.frombuffer(data, np.uint8)
        chosen: Mask = ends > starts
        chosen[chosen] = (octets[starts[chosen]] == ord("{")) & (octets[ends[chosen] - 1] == ord("}"))
        hide_marked(data, starts, chosen, b"\0", b"\\u")
        table = self._table(joined(data, starts, chosen), int(chosen.sum()))
        if table is None and (line_pattern := self._line_pattern(data, starts, ends, chosen)):
            chosen &= matching_lines(data, starts, line_pattern)
            table = self._table(joined(data, starts, chosen), int(chosen.sum()))
        if table is None:
            return None, np.zeros(len(starts), dtype=np.bool_)
        (read,) = table.combine_chunks().to_batches()
        batch, certain = self._check.batch(dict(zip(table.column_names, read.columns, strict=True)), table.num_rows)
        chosen[chosen] = certain
        return batch, chosen

    def _table(self, lines: bytes, count: int) -> pa.Table | None:
        """What pyarrow.json reads, where it reads exactly one row a line."""
        if not count:
            return None
        try:
            table = pyarrow.json.read_json(
                pa.BufferReader(lines),
                read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
                parse_options=pyarrow.json.ParseOptions(explicit_schema=self._read_schema, unexpected_field_behavior="error"),
            )
        except (ValueError, pa.ArrowException):
            return None
        return table if table.num_rows == count else None

    def _line_pattern(self, data: bytes, starts: Places, ends: Places, chosen: Mask) -> str | None:
        """The pattern of lines with the members of a chosen one; None where none can be made."""
        for line in np.flatnonzero(chosen)[:SAMPLE_LINES].tolist():
            try:
                names = tuple(name for name, _, _ in members(data[int(starts[line]) : int(ends[line])]))
            except Problem:
                continue
            if set(names) <= self._schema.index.keys():
                return self._pattern_of(names)
        return None

    def _pattern_of(self, names: tuple[str, ...]) -> str:
        if names not in self._line_patterns:
            fields = [self._schema.fields[self._schema.index[name]] for name in names]
            text = ", ?".join(f'"{re.escape(field.name)}": ?(?:null|{_token(field)})' for field in fields)
            self._line_patterns = {**self._line_patterns, names: rf"\{{{text}\}}"} if len(self._line_patterns) < MAX_LAYOUTS else {}
            return rf"\{{{text}\}}"
        return self._line_patterns[names]


def _token(field: Field) -> str:
    text: str | None = _TOKENS.get(field.kind) or pattern(field, "T")
    return text if field.kind in _TOKENS and text else f'"(?:{text})"'
