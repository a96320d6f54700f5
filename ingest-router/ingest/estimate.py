"""Estimates the number of records in a gzip object from its first bytes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from lake.errors import CorruptGzip, NotGzip, TerminalError

HEAD_BYTES = 256 * 1024
_MAGIC = b"\x1f\x8b\x08"
_GZIP_WINDOW = 31
_STEP = 1 << 20


class TruncatedGzip(TerminalError):
    """The object ends before its gzip member does."""


@dataclass
class _Inflated:
    """Counts the lines of inflated data without keeping it, because 256 KiB may inflate to a thousand times as much."""

    lines: int = 0
    size: int = 0
    consumed: int = 0
    open_line: bool = False
    open_member: bool = False

    def take(self, data: bytes) -> None:
        if data:
            self.lines += data.count(b"\n")
            self.size += len(data)
            self.open_line = not data.endswith(b"\n")


def estimate_records(head: bytes, size_bytes: int, has_header: bool = False) -> int:
    """Estimate the lines of a gzip object from its first bytes. The number is exact if ``head`` is the whole object.

    ``size_bytes`` is the compressed size. The lines of the inflated ``head`` are scaled by the share of the object that was
    read, so long rows and high ratios need no special case. ``has_header`` subtracts one line.
    Raises ``NotGzip``, ``CorruptGzip``, and ``TruncatedGzip`` if ``head`` is the whole object and its member does not end.
    """
    inflated = _inflate(head)
    whole = len(head) >= size_bytes
    if whole and inflated.open_member:
        raise TruncatedGzip(f"the object ends after {size_bytes} bytes within a gzip member; {inflated.lines} whole lines were found")
    lines = inflated.lines + (1 if inflated.open_line and (whole or not inflated.lines) else 0)
    if not whole:
        lines = round(lines * size_bytes / max(inflated.consumed, 1))
    return max(lines - (1 if has_header else 0), 0)


def _inflate(head: bytes) -> _Inflated:
    if head[: len(_MAGIC)] != _MAGIC:
        raise NotGzip(f"the object begins with 0x{head[:3].hex()}; a gzip member begins with 0x{_MAGIC.hex()}")
    inflated = _Inflated()
    rest = head
    while rest[: len(_MAGIC)] == _MAGIC:
        member = zlib.decompressobj(_GZIP_WINDOW)
        try:
            while rest and not member.eof:
                inflated.take(member.decompress(rest, _STEP))
                rest = member.unconsumed_tail
        except zlib.error as error:
            raise CorruptGzip(f"the object is no valid gzip after {inflated.size} inflated bytes: {error}") from None
        inflated.open_member = not member.eof
        if member.eof:
            rest = member.unused_data
    inflated.consumed = len(head) - len(rest)
    return inflated
