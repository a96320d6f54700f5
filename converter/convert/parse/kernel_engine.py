"""The parse kernel behind the common interface: native code that takes a whole block at once (converter/kernel).

Importing this module raises ``ImportError`` where the kernel was not built.
"""

from __future__ import annotations

from typing import Any

import dm_kernel  # type: ignore[import-not-found,import-untyped,unused-ignore]
import pyarrow as pa

from convert.parse.outcome import ParsedBlock, Reject
from convert.parse.schema import RowSchema


class KernelParser:
    """Parses blocks by the kernel; the interpreter is free meanwhile, so threads run side by side."""

    def __init__(self, schema: RowSchema, header: tuple[str, ...] | None = None) -> None:
        self._schema = schema
        self._format = "json" if header is None else "csv"
        fields = [(f.name, f.kind, f.required, f.key, f.allow_nan, f.precision, f.scale) for f in schema.fields]
        if header is None:
            self._parser = dm_kernel.JsonParser(fields, schema.evolution)
        else:
            self._parser = dm_kernel.CsvParser(fields, schema.evolution, list(header))

    def parse(self, block: Any) -> ParsedBlock:
        """Parse a block of whole records, the last of which may lack its line feed; a read-only one is not copied."""
        rows, rows_read, lines, rejects, extra, operations, built_at = self._parser.parse(block)
        return ParsedBlock(
            batch=pa.record_batch(rows),
            rows_read=rows_read,
            lines=lines,
            rejects=[self._reject(*found) for found in rejects],
            extra=extra,
            operations=operations,
            built_at=built_at,
        )

    def _reject(self, record: int, line: int, offset: int, length: int, column: str, reason: str) -> Reject:
        return Reject(record, line, offset, length, column, reason, self._schema.detail(reason, column, self._format))
