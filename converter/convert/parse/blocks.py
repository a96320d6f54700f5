"""Cuts a stream of decompressed bytes into blocks of whole records, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from convert.parse.content import HEAD_BYTES, check_content
from convert.parse.csv_header import read_header
from lake.errors import TerminalError

BLOCK_BYTES = 1 << 20
MAX_RECORD_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"


class Source(Protocol):
    """A stream of bytes, e.g. ``gunzip.GzipStream`` or an unbuffered file."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer from its start. Returns the number of bytes, 0 at the end of the stream."""


class RecordTooLong(TerminalError):
    """A record is longer than the limit. Reading stops, because memory must not grow with the input."""

    def __init__(self, offset: int, limit: int, file_format: str, line: int | None = None) -> None:
        self._arguments = (offset, limit, file_format)
        place = f"byte {offset:,}" if line is None else f"line {line:,} (byte {offset:,})"
        cause = "; does a quote open in it that nothing closes?" if file_format == "csv" else ""
        super().__init__(f"the record at {place} is longer than {limit:,} bytes, which no record may be{cause}")

    def at_line(self, line: int) -> RecordTooLong:
        """The same error with the number of the record's line."""
        return RecordTooLong(*self._arguments, line)


@dataclass(frozen=True)
class Block:
    """Whole records. ``number`` is the block's place in the stream from 0, ``offset`` the place of its first byte."""

    number: int
    offset: int
    data: memoryview
    buffer: bytearray = field(repr=False)


Cut = Callable[[bytearray, int], int]
"""Finds the end of the last whole record in the buffer's first n bytes. Returns 0 if there is none."""


class BlockReader:
    """The blocks of a stream, in order, and for CSV the header before them.

    A byte order mark and blank lines are no records. The last record may lack its line feed. ``first_line`` is the line
    number, from 0, at which the first block begins. Each block has its own memory until it is given back.
    Raises ``RecordTooLong`` and ``content.WrongContent``, and for CSV ``csv_header.WrongHeader``.
    """

    def __init__(
        self, source: Source, file_format: str, *, block_bytes: int = BLOCK_BYTES, max_record_bytes: int = MAX_RECORD_BYTES
    ) -> None:
        self._source = source
        self._format = file_format
        self._cut: Cut = _cut_csv if file_format == "csv" else _cut_lines
        self._block_bytes = block_bytes
        self._max_record_bytes = max_record_bytes
        self._largest = max(block_bytes, max_record_bytes + 1)
        self._buffer = bytearray(block_bytes)
        self._spare: deque[bytearray] = deque()
        self._filled = 0
        self._offset = 0
        self._ended = False
        self.header: tuple[str, ...] | None = None
        self.first_line = 0
        self._first = self._next()
        if file_format == "csv":
            self.header = self._take_header()

    def __iter__(self) -> Iterator[Block]:
        number = 0
        while self._first is not None:
            offset, data, buffer = self._first
            if data:
                yield Block(number, offset, data, buffer)
                number += 1
            self._first = self._next()

    def give_back(self, block: Block) -> None:
        """Reuse the memory of a block that is no longer read, because new memory must be cleared first.

        Any thread may call it.
        """
        block.data.release()
        if len(block.buffer) == self._block_bytes:
            self._spare.append(block.buffer)

    def _take_header(self) -> tuple[str, ...]:
        offset, data, buffer = self._first or (0, memoryview(b""), bytearray())
        header, size, self.first_line = read_header(bytes(data))
        self._first = (offset + size, data[size:], buffer)
        return header

    def _next(self) -> tuple[int, memoryview, bytearray] | None:
        """The next whole records with their offset and their buffer, or None at the end."""
        while not self._ended:
            self._fill()
            if self._offset == 0:
                check_content(bytes(self._buffer[: min(self._filled, HEAD_BYTES)]))
            end = self._filled if self._ended else self._cut(self._buffer, self._filled)
            if end:
                return self._take(end)
            if self._ended:
                break
            if self._filled > self._max_record_bytes:
                raise RecordTooLong(self._offset, self._max_record_bytes, self._format)
            self._buffer.extend(bytes(min(len(self._buffer), self._largest - len(self._buffer))))
        return None

    def _fill(self) -> None:
        with memoryview(self._buffer) as view:
            while self._filled < len(view):
                count = self._source.readinto(view[self._filled :])
                if not count:
                    self._ended = True
                    return
                self._filled += count

    def _take(self, end: int) -> tuple[int, memoryview, bytearray]:
        buffer, offset, rest = self._buffer, self._offset, self._filled - end
        size = max(self._block_bytes, min(rest + (rest >> 1), self._largest))
        self._buffer = self._spare.popleft() if self._spare and size == self._block_bytes else bytearray(size)
        self._buffer[:rest] = memoryview(buffer)[end : self._filled]
        self._filled = rest
        self._offset += end
        start = len(_BOM) if offset == 0 and buffer.startswith(_BOM) else 0
        return offset + start, memoryview(buffer)[start:end].toreadonly(), buffer


def _cut_lines(buffer: bytearray, filled: int) -> int:
    return buffer.rfind(b"\n", 0, filled) + 1


def _cut_csv(buffer: bytearray, filled: int) -> int:
    """The end of the last record: the last line feed outside quoted fields (csv_fields has the rule of quotes)."""
    at = end = 0
    while (quote := buffer.find(b'"', at, filled)) >= 0:
        end = max(end, buffer.rfind(b"\n", at, quote) + 1)
        at = quote + 1
        if quote == 0 or buffer[quote - 1] in b",\n":
            at = _behind_quote(buffer, at, filled)
    return max(end, buffer.rfind(b"\n", at, filled) + 1)


def _behind_quote(buffer: bytearray, at: int, filled: int) -> int:
    """The place after the quote that closes the field whose text begins at ``at``."""
    while (quote := buffer.find(b'"', at, filled)) >= 0:
        if buffer[quote + 1 : quote + 2] != b'"' or quote + 1 == filled:
            return quote + 1
        at = quote + 2
    return filled
