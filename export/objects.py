"""Writes the rows of a COPY as gzipped CSV objects of limited size."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from isal import igzip

from lake import keys

COMPRESSION_LEVEL = 2
PROGRESS_ROWS = 100_000


@dataclass(frozen=True)
class ExportObject:
    """One object of an export. ``size_bytes`` is its compressed size."""

    key: str
    version_id: str
    file_id: str
    rows: int
    size_bytes: int


class ObjectWriter:
    """The file that COPY writes to. The server sends one row per message, so objects are cut between messages.

    Each object begins with the header. The compressed size of one object bounds the memory.
    """

    def __init__(self, bucket: str, prefix: str, header: Sequence[str], object_bytes: int, progress: Callable[[str], None]) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._header = (",".join(header) + "\n").encode()
        self._object_bytes = object_bytes
        self._progress = progress
        self._rows_in_object = 0
        self.rows = 0
        self.objects: list[ExportObject] = []
        self._begin()

    @cached_property
    def _s3(self) -> Any:
        import boto3

        return boto3.client("s3")

    def write(self, row: bytes | str) -> None:
        """Add one row with its line break."""
        self._gzip.write(row if isinstance(row, bytes) else row.encode())
        self._rows_in_object += 1
        self.rows += 1
        if self.rows % PROGRESS_ROWS == 0:
            self._progress(f"{self.rows:,} rows")
        if self._body.tell() >= self._object_bytes:
            self._end()
            self._begin()

    def finish(self) -> None:
        """Upload the last object. An export without rows has one object with the header alone."""
        if self._rows_in_object or not self.objects:
            self._end()

    def close(self) -> None:
        """Drop the rows that were not uploaded."""
        self._body.close()

    def _begin(self) -> None:
        self._body = io.BytesIO()
        new_gzip = cast(Any, igzip.IGzipFile)
        self._gzip = new_gzip(filename="", mode="wb", compresslevel=COMPRESSION_LEVEL, fileobj=self._body, mtime=0)
        self._gzip.write(self._header)
        self._rows_in_object = 0

    def _end(self) -> None:
        self._gzip.close()
        key = f"{self._prefix}{len(self.objects):05d}.csv.gz"
        size = self._body.tell()
        self._body.seek(0)
        answer = self._s3.put_object(Bucket=self._bucket, Key=key, Body=self._body)
        version = answer.get("VersionId", "")
        identity = keys.file_id(self._bucket, key, version or answer["ETag"].strip('"'))
        self.objects.append(ExportObject(key, version, identity, self._rows_in_object, size))
