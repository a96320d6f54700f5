"""JSON lines to rows in pure Python: the reference for the kernel, and its substitute if it was not built."""

from __future__ import annotations

from typing import Any

from convert.parse.field_values import JSON_READERS
from convert.parse.json_members import members
from convert.parse.outcome import ParsedBlock, Problem, Reason
from convert.parse.reject_details import Details
from convert.parse.rows import RowCollector, blank_row, lines_in
from convert.parse.schema import RowSchema


class JsonRecords:
    """Parses blocks of JSON lines by a schema."""

    def __init__(self, schema: RowSchema) -> None:
        self._schema = schema
        self._readers = [JSON_READERS[field.kind] for field in schema.fields]
        self._details = Details(schema, None)

    def parse(self, block: Any) -> ParsedBlock:
        """Parse a block of whole lines. The last one may lack its line feed."""
        data = bytes(block)
        rows = RowCollector(self._schema, self._details)
        offset = 0
        for number, line in enumerate(data.split(b"\n")):
            record = line.removesuffix(b"\r")
            if record.strip(b" \t\r"):
                try:
                    rows.keep(*self.row(record))
                except Problem as problem:
                    rows.reject(problem, number, offset, record)
            offset += len(line) + 1
        return rows.block(lines_in(data))

    def row(self, record: bytes) -> tuple[list[Any], list[str]]:
        """The values of one line and the names of its unknown members. Raises ``Problem``."""
        schema = self._schema
        row = blank_row(schema)
        seen: set[str] = set()
        unknown: list[str] = []
        extra: list[str] = []
        for member in members(record):
            name = member.name
            if name in seen:
                raise Problem(Reason.DUPLICATE_MEMBER, name)
            seen.add(name)
            place = schema.index.get(name)
            if place is not None:
                row[place] = None if member.value is None else self._readers[place](member.value, schema.fields[place])
            elif schema.evolution in ("freeze", "discard_row"):
                raise Problem(Reason.UNKNOWN_COLUMN, name)
            else:
                unknown.append(name)
                extra.append(f"{member.label}:{member.source}")
        if extra and schema.evolution == "evolve":
            row[-1] = "{" + ",".join(extra) + "}"
        return row, unknown
