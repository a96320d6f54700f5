"""Writes the bytes of a COPY as gzipped CSV objects of limited size."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from isal import isal_zlib

from lake import keys

COMPRESSION_LEVEL = 1
GZIP = 31
"""zlib's window bits for a gzip header around the largest window."""
BUFFER_BYTES = 1 << 18


@dataclass(frozen=True)
class ExportObject:
    """One object of an export. ``size_bytes`` is its compressed size."""

    key: str
    version_id: str
    file_id: str
    rows: int
    size_bytes: int


class ObjectStore:
    """The objects below one prefix, numbered as they are stored. Several threads may store at once."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket, self.prefix = bucket, prefix
        self.objects: list[ExportObject] = []
        self._numbers = itertools.count()
        self._s3: Any = boto3.client("s3")

    def put(self, body: bytearray, rows: int) -> None:
        """Store a gzipped CSV of ``rows`` rows."""
        key = f"{self.prefix}{next(self._numbers):05d}.csv.gz"
        answer = self._s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        version = answer.get("VersionId", "")
        identity = keys.file_id(self.bucket, key, version or answer["ETag"].strip('"'))
        self.objects.append(ExportObject(key, version, identity, rows, len(body)))

    def in_order(self) -> tuple[ExportObject, ...]:
        """The stored objects, by number."""
        return tuple(sorted(self.objects, key=lambda written: written.key))


class ObjectWriter(io.RawIOBase):
    """Takes a COPY's CSV in pieces of any size and ends an object behind a record, once it has ``object_bytes`` or more.

    Put an ``io.BufferedWriter`` before it: the driver hands over every row by itself, and the buffer takes them without Python's help.
    ``put`` stores an object's body and rows, and ``counted`` gets the rows of each piece. Each object begins with ``header``. One
    object bounds the memory.
    """

    def __init__(self, put: Callable[[bytearray, int], None], header: bytes, object_bytes: int, counted: Callable[[int], None]) -> None:
        super().__init__()
        self._put = put
        self._header = header
        self._object_bytes = object_bytes
        self._counted = counted
        self._quoted = False
        self._begin()

    def writable(self) -> bool:
        """Always True."""
        return True

    def write(self, data: Any) -> int:
        """Add a piece of the CSV."""
        view = memoryview(data)
        for start in range(0, len(view), BUFFER_BYTES):
            piece = bytes(view[start : start + BUFFER_BYTES])
            if len(self._body) >= self._object_bytes and (end := end_of_records(piece, self._quoted)):
                self._add(piece[:end])
                self.finish()
                piece = piece[end:]
            self._add(piece)
        return len(view)

    def finish(self) -> None:
        """Store the object, and begin the next."""
        self._body += self._gzip.flush()
        self._put(self._body, self.rows)
        self._begin()

    def _begin(self) -> None:
        self.rows = 0
        self._gzip = isal_zlib.compressobj(COMPRESSION_LEVEL, wbits=GZIP)
        self._body = bytearray(self._gzip.compress(self._header))

    def _add(self, piece: bytes) -> None:
        parts = piece.split(b'"')
        rows = sum(part.count(b"\n") for part in parts[self._quoted :: 2])
        self._quoted ^= len(parts) % 2 == 0
        self._body += self._gzip.compress(piece)
        self.rows += rows
        self._counted(rows)


def end_of_records(piece: bytes, quoted: bool) -> int:
    """Where the last record that ends in a piece of CSV ends, 0 if none does. ``quoted`` pieces begin within quotes."""
    parts = piece.split(b'"')
    start = len(piece) + 1
    for place in reversed(range(len(parts))):
        start -= len(parts[place]) + 1
        if place % 2 == quoted and (found := parts[place].rfind(b"\n")) >= 0:
            return start + found + 1
    return 0
