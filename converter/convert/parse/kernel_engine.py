"""The parse kernel behind the common interface: native code that parses a whole block at once (converter/kernel).

Importing this module raises ``ImportError`` if the kernel was not built.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dm_kernel  # type: ignore[import-not-found,import-untyped,unused-ignore]
import pyarrow as pa

from convert.parse.outcome import ParsedBlock, Reject
from convert.parse.schema import RowSchema

if TYPE_CHECKING:
    from convert.parse.reject_details import Details

written_members: Callable[[bytes], list[tuple[str, str, str]] | None] = dm_kernel.members
"""The kernel's form of ``json_members.written_members``."""


class KernelParser:
    """Parses blocks with the kernel, which releases the GIL, so that threads run side by side."""

    def __init__(self, schema: RowSchema, header: tuple[str, ...] | None = None) -> None:
        self._schema = schema
        self._header = header
        fields = [(f.name, f.kind, f.required, f.key, f.allow_nan, f.precision, f.scale) for f in schema.fields]
        if header is None:
            self._parser = dm_kernel.JsonParser(fields, schema.evolution)
        else:
            self._parser = dm_kernel.CsvParser(fields, schema.evolution, list(header))

    def parse(self, block: Any) -> ParsedBlock:
        """Parse a block of whole records. The last one may lack its line feed. A read-only block is not copied."""
        rows, rows_read, lines, rejects, long_records, extra, operations, built_at = self._parser.parse(block)
        return ParsedBlock(
            batch=pa.record_batch(rows),
            rows_read=rows_read,
            lines=lines,
            rejects=[self._reject(block, *found) for found in rejects],
            long_records=long_records,
            extra=extra,
            operations=operations,
            built_at=built_at,
        )

    @cached_property
    def _details(self) -> Details:
        # imported only if needed, because a cold start pays for every module
        from convert.parse.reject_details import Details

        return Details(self._schema, self._header)

    def _reject(self, block: Any, record: int, line: int, offset: int, length: int, column: str, reason: str) -> Reject:
        detail = self._details.of(reason, column, bytes(block[offset : offset + length]))
        return Reject(record, line, offset, length, column, reason, detail)
