"""Rejected records as Parquet: place, reason, and the line as far as it may be shown."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from convert import parse
from convert.masking import Masker, MissingMaskKey
from convert.parse.csv_fields import cells
from convert.parse.outcome import Problem
from lake import cdc
from lake.control import Refusal
from lake.control.refusals import KEPT

SCHEMA = pa.schema(
    [
        pa.field("line_number", pa.int64(), nullable=False),
        pa.field("byte_offset", pa.int64(), nullable=False),
        pa.field("column", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("line", pa.string()),
        pa.field("line_bytes", pa.int64(), nullable=False),
        pa.field("line_sha256", pa.string(), nullable=False),
    ]
)
"""``line_number`` counts from 1, ``byte_offset`` from 0 in the inflated source. ``line`` is null if it may not be shown."""

_OF_LOAD = re.compile(f'"{cdc.OPERATION}":"{cdc.LOAD}","{cdc.POSITION}":"{cdc.ZERO_POSITION}","{cdc.BUILT_AT}":"([^"]+)"'.encode())
LINE_CHARACTERS = 16_384
"""A longer line is cut. ``line_bytes`` and ``line_sha256`` refer to the whole line."""
BATCH_ROWS = 10_000


@dataclass(frozen=True)
class RejectedLine:
    """One rejected record, ready to be stored. ``line`` and ``offset`` count from the start of its block."""

    line: int
    offset: int
    column: str | None
    reason: str
    detail: str
    text: str | None
    size: int
    sha256: str
    refusal: Refusal | None = None
    """The refusal, if the line is a load's."""


class LineMasker:
    """Shows a rejected line if it can be read, masked like its row. A line that cannot be read is not shown.

    A line with nothing to hide stays as it is. The table then has no hidden columns (``hides`` is False), and the contract
    knows every name in the line or the file's header. ``header`` holds a CSV's column names, ``known`` the names that the
    contract and the change record have.
    """

    def __init__(self, masker: Masker, hides: bool, known: frozenset[str], header: Sequence[str] | None) -> None:
        self._masker = masker
        self._hides = hides
        self._known = known
        self._header = header
        self._labels = [json.dumps(name, ensure_ascii=False) for name in header or ()]
        self._hides_nothing = not hides and header is not None and known.issuperset(header)

    def show(self, raw: bytes) -> str | None:
        """The line as it may be stored, or None."""
        if self._hides_nothing:
            return _shown(raw)
        written = self._written(raw)
        if written is None:
            return None
        if not self._hides and all(name in self._known for name, _, _ in written):
            return _shown(raw)
        try:
            return self._masker.line(written, self._known)[:LINE_CHARACTERS]
        except MissingMaskKey:
            return None

    def _written(self, raw: bytes) -> Sequence[tuple[str, str, str]] | None:
        """Name, and name and value as JSON writes them, of each column. None if the line cannot be read."""
        if self._header is None:
            return parse.written_members(raw)
        try:
            values = [json.dumps(cell, ensure_ascii=False) for cell in cells(raw)]
        except Problem:
            return None
        return list(zip(self._header, self._labels, values, strict=True)) if len(values) == len(self._header) else None


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")[:LINE_CHARACTERS]


def rejected(raw: bytes, line: int, offset: int, column: str, reason: str, detail: str, shown: LineMasker) -> RejectedLine:
    """A rejected record with its line as ``shown`` allows it."""
    sha256 = hashlib.sha256(raw).hexdigest()
    return RejectedLine(line, offset, column or None, reason, detail, shown.show(raw), len(raw), sha256, refusal_of_load(raw))


def refusal_of_load(raw: bytes) -> Refusal | None:
    """The refusal of a load's row that the router wrote. None for any other line."""
    match = _OF_LOAD.search(raw)
    try:
        return Refusal.of(raw, datetime.fromisoformat(match[1].decode())) if match else None
    except ValueError:
        return None


class QuarantineWriter:
    """Writes rejected lines, ten thousand at a time. ``file`` is not closed here."""

    def __init__(self, file: BinaryIO, metadata: Mapping[str, str]) -> None:
        self._writer = pq.ParquetWriter(file, SCHEMA.with_metadata(dict(metadata)), compression="zstd")
        self._columns: list[list[object]] = [[] for _ in SCHEMA]
        self._refusals: set[Refusal] = set()

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The rows of loads among the rejected lines."""
        return tuple(self._refusals)

    def write(self, line: RejectedLine, first_line: int, first_byte: int) -> None:
        """Store one line of the block that begins at line ``first_line`` and byte ``first_byte`` of the source."""
        row = (
            first_line + line.line,
            first_byte + line.offset,
            line.column,
            line.reason,
            line.detail,
            line.text,
            line.size,
            line.sha256,
        )
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)
        if line.refusal is not None and len(self._refusals) < KEPT:
            self._refusals.add(line.refusal)
        if len(self._columns[0]) >= BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Write the remaining lines."""
        self._flush()
        self._writer.close()

    def stop(self) -> None:
        """Release the unfinished object after a failure. Safe after any failure, and after ``close``."""
        with suppress(Exception):
            self._writer.close()

    def _flush(self) -> None:
        if self._columns[0]:
            arrays = [pa.array(values, field.type) for values, field in zip(self._columns, SCHEMA, strict=True)]
            self._writer.write_batch(pa.record_batch(arrays, schema=SCHEMA.with_metadata(self._writer.schema.metadata)))
        self._columns = [[] for _ in SCHEMA]
