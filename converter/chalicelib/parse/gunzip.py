"""Reading gzip as a stream (RFC 1952): every member, nothing after the last one, and no half of one."""

from __future__ import annotations

from typing import Protocol

from isal import igzip_lib

from lake.errors import TerminalError

CHUNK_BYTES = 256 << 10
"""Compressed bytes handed over at once; larger chunks fall out of the processor's cache."""
INFLATED_BYTES = 256 << 10
"""Bytes inflated at once: few enough for memory that the allocator hands out again, and so many that Python's lock is rarely asked for."""
_MAGIC = b"\x1f\x8b"


class NotGzip(TerminalError):
    """The object does not begin with a gzip member."""


class CorruptGzip(TerminalError):
    """The object begins as gzip, but a member is cut off or damaged, or something else follows the last one."""


class RawSource(Protocol):
    """A stream of compressed bytes."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end of the stream."""


class GzipStream:
    """The bytes that a gzip object inflates to; ``readinto`` raises ``NotGzip`` and ``CorruptGzip``.

    Members may follow each other, and zero bytes may follow the last, as gzip itself allows.
    """

    def __init__(self, raw: RawSource) -> None:
        self._raw = raw
        self._pending = b""
        self._member: igzip_lib.IgzipDecompressor | None = None
        self._members = 0
        self._offset = 0

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fill the buffer from its beginning; the number of bytes, 0 at the end of the stream."""
        while True:
            member = self._member or self._open_member()
            if member is None:
                return 0
            self._member = member
            inflated = self._inflate(member, len(buffer))
            if member.eof:
                self._pending = member.unused_data + self._pending
                self._member = None
            if inflated:
                buffer[: len(inflated)] = inflated
                return len(inflated)

    def _read(self) -> bytes:
        chunk = self._raw.read(CHUNK_BYTES)
        self._offset += len(chunk)
        return chunk

    def _open_member(self) -> igzip_lib.IgzipDecompressor | None:
        while len(self._pending) < len(_MAGIC):
            chunk = self._read()
            if not chunk:
                break
            self._pending += chunk
        if self._members and not self._pending.strip(b"\0"):
            self._check_padding()
            return None
        if not self._pending.startswith(_MAGIC):
            if self._members:
                raise CorruptGzip(f"bytes that are no gzip member follow member {self._members}")
            got = f"begins with {self._pending[:4].hex(' ')}" if self._pending else "is empty"
            raise NotGzip(f"the object {got}; a gzip object begins with 1f 8b")
        self._members += 1
        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)

    def _check_padding(self) -> None:
        while self._pending:
            if self._pending.strip(b"\0"):
                raise CorruptGzip(f"bytes that are no gzip member follow member {self._members}")
            self._pending = self._read()

    def _inflate(self, member: igzip_lib.IgzipDecompressor, limit: int) -> bytes:
        data, self._pending = self._pending, b""
        if not data and member.needs_input:
            data = self._read()
            if not data:
                raise CorruptGzip(f"gzip member {self._members} is cut off after {self._offset} bytes of the object")
        try:
            inflated: bytes = member.decompress(data, min(limit, INFLATED_BYTES))
        except igzip_lib.IsalError as error:  # type: ignore[misc]
            raise CorruptGzip(f"gzip member {self._members} is damaged near byte {self._offset}: {error}") from None
        return inflated
