"""The result of parsing a block: a batch of rows, and the rejected records with place and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa


class Reason(StrEnum):
    """The reasons to reject a record, a closed list that both parsers share.

    The first problem names the reject, in this order: the whole record's bytes and syntax (``open_quote`` to ``ragged``), its
    values from left to right, then ``operation`` and ``required`` once all values are known.
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
    """The first problem of one record. It rejects the record and is not an error of the program."""

    def __init__(self, reason: Reason, column: str = "") -> None:
        super().__init__(reason, column)
        self.reason = reason
        self.column = column


class Reject(NamedTuple):
    """A rejected record.

    ``record`` counts the block's records and ``line`` its lines, both from 0. ``offset`` and ``length`` are the
    record's bytes in the block without its line break. ``column`` is empty if the record as a whole is wrong.
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
    """The result of one block, with ``rows_read == batch.num_rows + len(rejects)``.

    ``lines`` is the number of lines in the block, including blank ones. ``long_records`` holds offset and length of each
    accepted CSV record with whole lines within its texts. ``extra`` counts the values of accepted rows that
    the contract does not know, by name. ``operations`` counts the rows by operation. ``built_at`` is the earliest and the
    latest ``cdc_built_at`` of rows other than fences, in microseconds since 1970, or None.
    """

    batch: pa.RecordBatch
    rows_read: int
    lines: int
    rejects: list[Reject]
    extra: Mapping[str, int] = field(default_factory=dict)
    operations: Mapping[str, int] = field(default_factory=dict)
    built_at: tuple[int, int] | None = None
    long_records: Sequence[tuple[int, int]] = ()
