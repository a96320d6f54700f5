"""Parsers that turn blocks of raw bytes into columns by a contract: one interface, two engines.

``kernel`` is native code (converter/kernel), and ``fallback`` follows the same rules in Python. The kernel is used if it
can be imported. Both give the same rows and the same rejects for any input.
"""

from __future__ import annotations

from typing import Any, Protocol

from convert.parse.blocks import Block, BlockReader, RecordTooLong
from convert.parse.content import WrongContent
from convert.parse.csv_header import WrongHeader, check_header
from convert.parse.gunzip import GzipStream
from convert.parse.outcome import ParsedBlock, Reason, Reject
from convert.parse.schema import RowSchema

__all__ = [
    "ENGINE",
    "FORMATS",
    "Block",
    "BlockParser",
    "BlockReader",
    "GzipStream",
    "ParsedBlock",
    "Reason",
    "RecordTooLong",
    "Reject",
    "RowSchema",
    "WrongContent",
    "WrongHeader",
    "parser",
    "written_members",
]

try:
    from convert.parse.kernel_engine import KernelParser, written_members
except ImportError:
    KernelParser = None  # type: ignore[assignment,misc]
    from convert.parse.json_members import written_members

FORMATS = ("json", "csv")
ENGINE = "fallback" if KernelParser is None else "kernel"
"""The default engine of ``parser``: kernel or fallback."""


class BlockParser(Protocol):
    """Parses blocks of whole records. It keeps no state between blocks, so threads may share it."""

    def parse(self, block: Any) -> ParsedBlock:
        """Parse a bytes-like block. Its content never raises: each record is a row or a reject."""


def parser(schema: RowSchema, file_format: str, header: tuple[str, ...] | None = None, engine: str = ENGINE) -> BlockParser:
    """The parser of a file's blocks.

    ``file_format`` is json or csv, and a CSV file needs its ``header``. ``engine`` is kernel or fallback.
    Raises ``WrongHeader`` if the header lacks or misspells a column of the contract.
    """
    if file_format not in FORMATS or (file_format == "csv") != (header is not None):
        raise ValueError(f'format "{file_format}", header {header!r}; expected json, or csv with a header')
    if header is not None:
        check_header(header, schema)
    if engine == "kernel":
        return KernelParser(schema, header)
    # imported only if needed, because a cold start pays for every module
    from convert.parse.csv_records import CsvRecords
    from convert.parse.json_lines import JsonRecords

    return JsonRecords(schema) if header is None else CsvRecords(schema, header)
