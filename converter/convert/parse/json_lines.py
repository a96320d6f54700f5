"""JSON lines to rows, without native code of our own.

Lines that pyarrow.json certainly reads right go through it; every other line is read alone, slowly and exactly. The
exact reading of a line is what the kernel and the shortcut are compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.parse.arrow_columns import bounds_of_lines
from convert.parse.arrow_json import ArrowLines
from convert.parse.field_values import JSON_READERS
from convert.parse.json_members import members
from convert.parse.outcome import ParsedBlock, Problem, Reason
from convert.parse.rows import RowCollector, blank_row
from convert.parse.schema import RowSchema


class JsonRecords:
    """Parses blocks of JSON lines by a schema."""

    def __init__(self, schema: RowSchema, shortcut: bool = True) -> None:
        self._schema = schema
        self._readers = [JSON_READERS[field.kind] for field in schema.fields]
        self._arrow = ArrowLines(schema) if shortcut else None

    def parse(self, block: Any) -> ParsedBlock:
        """Parse a block of whole lines, the last of which may lack its line feed."""
        data = bytes(block)
        rows = RowCollector(self._schema, "json")
        starts, ends = bounds_of_lines(data)
        certain = np.zeros(len(starts), dtype=np.bool_)
        if self._arrow:
            batch, certain = self._arrow.read(data, starts, ends)
            rows.keep_batch(starts[certain], batch)
        for number in np.flatnonzero(~certain).tolist():
            offset = int(starts[number])
            record = data[offset : int(ends[number])]
            if record.strip(b" \t\r"):
                try:
                    rows.keep(offset, *self.row(record))
                except Problem as problem:
                    rows.reject(problem, number, offset, len(record))
        return rows.block(len(starts))

    def row(self, record: bytes) -> tuple[list[Any], list[str]]:
        """The values of one line and the names of its unknown members. Raises ``Problem``."""
        schema = self._schema
        row = blank_row(schema)
        seen: set[str] = set()
        unknown: list[str] = []
        extra: list[str] = []
        for name, value, source in members(record):
            if name in seen:
                raise Problem(Reason.DUPLICATE_MEMBER, name)
            seen.add(name)
            place = schema.index.get(name)
            if place is not None:
                row[place] = None if value is None else self._readers[place](value, schema.fields[place])
            elif schema.evolution in ("freeze", "discard_row"):
                raise Problem(Reason.UNKNOWN_COLUMN, name)
            else:
                unknown.append(name)
                extra.append(source)
        if extra and schema.evolution == "evolve":
            row[-1] = "{" + ",".join(extra) + "}"
        return row, unknown
