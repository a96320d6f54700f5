"""Rejected records as Parquet: where they stood, why, and the line as far as it may be shown."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from convert.masking import Masker, MissingMaskKey

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
"""``line_number`` from 1, ``byte_offset`` from 0 in the inflated source; ``line`` null where it may not be shown."""

LINE_CHARACTERS = 16_384
"""A longer line is stored cut; ``line_bytes`` and ``line_sha256`` are of the whole."""
BATCH_ROWS = 10_000


@dataclass(frozen=True)
class RejectedLine:
    """One rejected record, ready to be stored but for its place in the file: ``line`` and ``offset`` count from its block's start."""

    line: int
    offset: int
    column: str | None
    reason: str
    detail: str
    text: str | None
    size: int
    sha256: str


class LineMasker:
    """Shows a rejected line by the rule: a line that can be read is masked like its row; of any other nothing is shown.

    Where the table has no hidden columns (``hides`` is False), lines without unknown columns stand as they are, those
    that cannot be read included. ``header`` holds a CSV's column names, ``known`` the names that the contract and the
    change record have.
    """

    def __init__(self, masker: Masker, hides: bool, known: frozenset[str], header: Sequence[str] | None) -> None:
        self._masker = masker
        self._hides = hides
        self._known = known
        self._header = header
        self._hides_nothing = not hides and header is not None and known.issuperset(header)

    def show(self, raw: bytes) -> str | None:
        """The line as it may be stored, or None."""
        if self._hides_nothing:
            return _shown(raw)
        values = self._values(raw)
        if not self._hides and (values is None or values.keys() <= self._known):
            return _shown(raw)
        if values is None:
            return None
        try:
            masked = self._masker.row(values, self._known)
        except MissingMaskKey:
            return None
        return orjson.dumps(masked).decode()[:LINE_CHARACTERS]

    def _values(self, raw: bytes) -> Mapping[str, object] | None:
        if self._header is None:
            try:
                value = orjson.loads(raw)
            except orjson.JSONDecodeError:
                return None
            return value if isinstance(value, dict) else None
        try:
            rows = list(csv.reader(io.StringIO(raw.decode(), newline=""), strict=True))
        except (UnicodeDecodeError, csv.Error):
            return None
        if len(rows) != 1 or len(rows[0]) != len(self._header):
            return None
        return dict(zip(self._header, rows[0], strict=True))


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")[:LINE_CHARACTERS]


def rejected(raw: bytes, line: int, offset: int, column: str, reason: str, detail: str, shown: LineMasker) -> RejectedLine:
    """A record that is no row, with its line shown by the rule."""
    return RejectedLine(line, offset, column or None, reason, detail, shown.show(raw), len(raw), hashlib.sha256(raw).hexdigest())


class QuarantineWriter:
    """Writes rejected lines as they come, ten thousand at a time. ``file`` is not closed here."""

    def __init__(self, file: BinaryIO, metadata: Mapping[str, str]) -> None:
        self._writer = pq.ParquetWriter(file, SCHEMA.with_metadata(dict(metadata)), compression="zstd")
        self._columns: list[list[object]] = [[] for _ in SCHEMA]

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
        if len(self._columns[0]) >= BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self._writer.close()

    def stop(self) -> None:
        """Let go of the unfinished object after a failure. Safe after any, and after ``close``."""
        with suppress(Exception):
            self._writer.close()

    def _flush(self) -> None:
        if self._columns[0]:
            arrays = [pa.array(values, field.type) for values, field in zip(self._columns, SCHEMA, strict=True)]
            self._writer.write_batch(pa.record_batch(arrays, schema=SCHEMA.with_metadata(self._writer.schema.metadata)))
        self._columns = [[] for _ in SCHEMA]
