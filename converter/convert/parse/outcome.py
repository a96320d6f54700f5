"""What parsing a block gives: a batch of rows, and the records that are none, each with its place and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa


class Reason(StrEnum):
    """Why a record is no row; a closed list that both parsers share.

    A record is judged in this order, and the first problem names it: the whole record's bytes and syntax
    (``open_quote`` to ``ragged``), its values as they stand from left to right, then ``operation`` and ``required`` once
    all values are known.
    """

    OPEN_QUOTE = "open_quote"
    REPEATED_HEADER = "repeated_header"
    UTF8 = "utf8"
    NUL = "nul"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    NOT_CSV = "not_csv"
    RAGGED = "ragged"
    DUPLICATE_MEMBER = "duplicate_member"
    UNKNOWN_COLUMN = "unknown_column"
    TYPE = "type"
    RANGE = "range"
    NAN = "nan"
    OPERATION = "operation"
    REQUIRED = "required"


class Problem(Exception):
    """The first problem of one record: no error of the program, it ends the record."""

    def __init__(self, reason: Reason, column: str = "") -> None:
        super().__init__(reason, column)
        self.reason = reason
        self.column = column


class Reject(NamedTuple):
    """A record that is no row.

    ``record`` counts the block's records and ``line`` its lines, both from 0. ``offset`` and ``length`` are the
    record's bytes in the block, its line break left out. ``column`` is empty where the record as a whole is wrong.
    """

    record: int
    line: int
    offset: int
    length: int
    column: str
    reason: str
    detail: str


@dataclass(frozen=True)
class ParsedBlock:
    """The outcome of one block: ``rows_read == batch.num_rows + len(rejects)``, always.

    ``lines`` is the number of lines in the block, blank ones included: the next block begins that many lines later.
    ``extra`` counts, by name, the values of accepted rows that the contract does not know. ``operations`` counts the rows
    by operation; ``built_at`` is the earliest and the latest ``cdc_built_at`` of rows that are no fences, in microseconds
    since 1970, or None.
    """

    batch: pa.RecordBatch
    rows_read: int
    lines: int
    rejects: list[Reject]
    extra: Mapping[str, int] = field(default_factory=dict)
    operations: Mapping[str, int] = field(default_factory=dict)
    built_at: tuple[int, int] | None = None
