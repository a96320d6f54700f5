"""Samples values for detection evenly from a whole file, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from convert.parse import BlockReader, GzipStream, RowSchema, parser
from lake.contract import Contract
from lake.privacy import VALUES_TO_DECIDE


def sample(
    contract: Contract, file_format: str, source: Any, columns: Sequence[str], checkpoint: Callable[[], None]
) -> dict[str, list[str]]:
    """Non-null values of each column, evenly from the whole file: all if there are fewer than 400, else 200 to 399.

    Raises the terminal errors of gunzip, cutting and header.
    """
    schema = RowSchema.of(contract)
    reader = BlockReader(GzipStream(source), file_format)
    parse = parser(schema, file_format, reader.header)
    samples = {name: _Thinned(VALUES_TO_DECIDE) for name in columns}
    for block in reader:
        checkpoint()
        batch = parse.parse(block.data).batch
        for name, thinned in samples.items():
            thinned.take(batch.column(name).drop_null())
    return {name: thinned.values for name, thinned in samples.items()}


class _Thinned:
    """Every n-th value of a stream. n doubles each time twice ``size`` values are held."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._stride = 1
        self._next = 0
        self.values: list[str] = []

    def take(self, column: pa.Array) -> None:
        for place in self._places(len(column)):
            self.values.append(column[place].as_py())
            if len(self.values) >= 2 * self._size:
                self.values = self.values[::2]
                self._stride *= 2

    def _places(self, length: int) -> Iterator[int]:
        while self._next < length:
            yield self._next
            self._next += self._stride
        self._next -= length
