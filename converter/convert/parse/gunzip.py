"""Reads gzip as a stream (RFC 1952). Every member must be complete, and nothing may follow the last one."""

from __future__ import annotations

import gzip
import io
from typing import Any, Protocol

from isal import igzip_lib, isal_zlib

from convert.parse.content import wrong_content
from lake.errors import CorruptGzip, NotGzip, TerminalError

CHUNK_BYTES = 256 << 10
"""Compressed bytes per read. More would not fit the processor's cache. No member's header is longer."""
_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 4


class RawSource(Protocol):
    """A stream of compressed bytes."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer from its start. Returns the number of bytes, 0 at the end of the stream."""


class _Watched(io.RawIOBase):
    """A raw source that remembers its first bytes and the number of bytes read."""

    def __init__(self, raw: RawSource) -> None:
        super().__init__()
        self._raw = raw
        self.head = b""
        self.given = 0

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from its start. Returns the number of bytes, 0 at the end of the stream."""
        count = self._raw.readinto(buffer) or 0
        if len(self.head) < len(_MAGIC):
            self.head += bytes(buffer[: min(count, _HEAD_BYTES)])
        self.given += count
        return count


class GzipStream:
    """The decompressed bytes of a gzip object. ``readinto`` raises ``NotGzip`` and ``CorruptGzip``.

    Members may follow each other. Zero bytes may follow each, as gzip itself allows.
    """

    def __init__(self, raw: RawSource) -> None:
        self._raw = _Watched(raw)
        # the reader behind igzip.open: it alone inflates into existing memory, which saves a third of the time
        self._reader = isal_zlib._GzipReader(self._raw, CHUNK_BYTES)  # type: ignore[arg-type]

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fill the buffer from its start. Returns the number of bytes, 0 at the end of the stream."""
        try:
            count: int = self._reader.readinto(buffer)
        except (EOFError, OverflowError, gzip.BadGzipFile, igzip_lib.IsalError) as error:  # type: ignore[misc]
            raise self._failure(error) from None
        if not self._raw.given:
            raise NotGzip("the object is empty; a gzip object begins with 1f 8b")
        return count

    def _failure(self, error: Exception) -> TerminalError:
        head, place = self._raw.head, f"byte {self._raw.given:,} of the object"
        if not head.startswith(_MAGIC):
            form = wrong_content(head) or ("plain text: compress it by gzip" if head.isascii() and head.decode().isprintable() else None)
            told = f", as {form}" if form else ""
            return NotGzip(f"the object begins with {head.hex(' ')}{told}; a gzip object begins with 1f 8b")
        if isinstance(error, EOFError):
            return CorruptGzip(
                f"the object ends at {place} amid a gzip member: it is cut off, or a few bytes too many follow its last member"
            )
        if str(error).startswith("Not a gzipped file"):
            return CorruptGzip(f"bytes that are no gzip member follow the last one, before {place}")
        return CorruptGzip(f"a gzip member is damaged before {place}: {error}")
