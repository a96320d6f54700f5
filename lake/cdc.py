"""Change records on the raw lines: their fields, operations and positions.

Each line is one flat JSON object with the table's columns and the fields below. docs/semantics.md holds the rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lake.errors import TerminalError

OPERATION = "operation"
POSITION = "cdc_position"
BUILT_AT = "cdc_built_at"
COMMITTED_AT = "cdc_committed_at"
TRANSACTION_ID = "cdc_transaction_id"
UNCHANGED = "cdc_unchanged"
UNSEEN = "?"
"""What a column's name in ``UNCHANGED`` begins with, and its place in the lake ends with, if its new value could not travel."""
FENCE_KIND = "cdc_fence"

CDC_TYPES: Mapping[str, str] = MappingProxyType(
    {
        OPERATION: "text",
        POSITION: "text",
        BUILT_AT: "timestamptz",
        COMMITTED_AT: "timestamptz",
        TRANSACTION_ID: "bigint",
        UNCHANGED: "text[]",
        FENCE_KIND: "text",
    }
)
"""The fields of a raw line beside the table's columns, with their types. ``text[]`` is a JSON array of strings."""

CDC_FIELDS = tuple(CDC_TYPES)

LOAD, INSERT, UPDATE, DELETE, FENCE = "load", "insert", "update", "delete", "fence"
OPERATIONS = (LOAD, INSERT, UPDATE, DELETE, FENCE)

ZERO_POSITION = f"{0:016x}-{0:010d}-0"
"""The position of loads and fences. It is below every change of their generation."""

READ = ZERO_POSITION[16:]
"""The end of the position of a row that a load or an export read. A transaction's records count from 1."""

_STREAM_POSITION = re.compile(r"^([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})\.(\d+)\.[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$")
_POSITION = re.compile(r"^[0-9a-f]{16}-[0-9]{10}-[0-9]$")


class InvalidPosition(TerminalError):
    """A stream position is not of PostgreSQL's form ``commit LSN . record . LSN``."""


@dataclass(frozen=True, order=True)
class Position:
    """A change's place in the source's commit order: commit LSN, number of the record in its transaction, sub-number."""

    lsn: int
    record: int
    sub: int = 0

    def __str__(self) -> str:
        return f"{self.lsn:016x}-{self.record:010d}-{self.sub}"

    @classmethod
    def of_stream_position(cls, text: str, sub: int = 0) -> Position:
        """Parse DMS's ``stream-position``, e.g. ``00000002/7C007178.3.00000002/7C007178``. Raises ``InvalidPosition``."""
        match = _STREAM_POSITION.match(text)
        if match is None:
            raise InvalidPosition(f'stream-position "{text}"; expected HHHHHHHH/HHHHHHHH.N.HHHHHHHH/HHHHHHHH')
        return cls((int(match[1], 16) << 32) | int(match[2], 16), int(match[3]), sub)

    @classmethod
    def parse(cls, text: str) -> Position:
        """Parse a ``cdc_position``. Raises ``InvalidPosition``."""
        if not _POSITION.match(text):
            raise InvalidPosition(f'cdc_position "{text}"; expected 16 hex digits, -, 10 digits, -, 1 digit')
        lsn, record, sub = text.split("-")
        return cls(int(lsn, 16), int(record), int(sub))
