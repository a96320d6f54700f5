"""Open objects, one for each prefix, compressed as they grow, with the shard positions that they hold back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from isal import isal_zlib

GZIP_WINDOW = 31
GZIP_LEVEL = 2


class Mark(NamedTuple):
    """A place in one shard: ``ordinal`` counts this worker's steps, ``sequence_number`` is None before the first record."""

    ordinal: int
    sequence_number: str | None


START = Mark(0, None)


@dataclass
class Buffer:
    """An open object. ``since`` holds, for each shard in it, the position delivered before."""

    compressed: bool
    opened_at: float = field(default_factory=time.monotonic)
    size: int = 0
    since: dict[str, Mark] = field(default_factory=dict)
    _parts: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._gzip = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, GZIP_WINDOW) if self.compressed else None

    def append(self, data: bytes, shard: str, before: Mark) -> None:
        """Add a transformed record of ``shard``. ``before`` is the shard's last delivered position without it."""
        self.size += len(data)
        self.since.setdefault(shard, before)
        part = self._gzip.compress(data) if self._gzip else data
        if part:
            self._parts.append(part)

    def close(self) -> bytes:
        """The object's bytes. The buffer takes nothing more."""
        if self._gzip:
            self._parts.append(self._gzip.flush())
            self._gzip = None
        self._parts = [b"".join(self._parts)]
        return self._parts[0]


class Buffers:
    """The open objects by prefix, and how far each shard is safe."""

    def __init__(self, compressed: bool, size_limit: int, seconds_limit: float) -> None:
        self._compressed = compressed
        self._size_limit = size_limit
        self._seconds_limit = seconds_limit
        self._open: dict[str, Buffer] = {}
        self._handed: dict[str, Mark] = {}

    def append(self, prefix: str, data: bytes, shard: str) -> None:
        """Add a transformed record of ``shard`` to the object under ``prefix``."""
        buffer = self._open.get(prefix)
        if buffer is None:
            buffer = self._open[prefix] = Buffer(self._compressed)
        buffer.append(data, shard, self._handed.get(shard, START))

    def handed(self, shard: str, sequence_number: str) -> None:
        """Say that every record of ``shard`` up to this one was appended, or needed no appending."""
        self._handed[shard] = Mark(self._handed.get(shard, START).ordinal + 1, sequence_number)

    def due(self, everything: bool = False) -> list[str]:
        """The prefixes whose objects are full or old enough, or all with ``everything``."""
        now = time.monotonic()
        return [
            prefix
            for prefix, buffer in self._open.items()
            if everything or buffer.size >= self._size_limit or now - buffer.opened_at >= self._seconds_limit
        ]

    def body(self, prefix: str) -> bytes:
        """Close the object of ``prefix`` and return its bytes. It is kept until ``written``."""
        return self._open[prefix].close()

    def written(self, prefix: str) -> None:
        """Forget an object that lies in S3 now."""
        del self._open[prefix]

    def safe(self) -> Iterator[tuple[str, str]]:
        """Each shard's last sequence number up to which everything is written."""
        for shard, handed in self._handed.items():
            held = [buffer.since[shard] for buffer in self._open.values() if shard in buffer.since]
            mark = min([handed, *held], key=lambda mark: mark.ordinal)
            if mark.sequence_number is not None:
                yield shard, mark.sequence_number
