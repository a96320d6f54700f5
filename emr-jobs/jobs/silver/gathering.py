"""Gathers small bronze files into a few large ones for one run.

An engine requests each file several times in each of the run's scans. If a batch holds many small files, the driver
reads each once, because it has to open it anyway. It writes their rows together beside the batch's manifest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config

from jobs.iceberg.inventory import READERS, remove_objects, stored_objects
from lake.keys import split_uri

SMALL_BYTES = 1024 * 1024
FROM_FILES = 16
"""The number of small files from which gathering pays off."""
GATHERED_BYTES = 64 * 1024 * 1024
"""The uncompressed bytes of one schema that the driver holds before it writes."""
FOLDER = "gathered"


class Gathering:
    """Small parts of one batch. ``root`` is the ``s3://`` URI of the batch's folder."""

    def __init__(self, root: str) -> None:
        self._root = f"{root}/{FOLDER}"
        self._held: dict[str, list[pa.Table]] = {}
        self._bytes: Counter[str] = Counter()
        self._count = 0

    def add(self, schema: str, rows: pa.Table) -> str | None:
        """Keep the rows of a part. Returns the URI of a new object once there are enough rows to write one."""
        self._held.setdefault(schema, []).append(rows)
        self._bytes[schema] += rows.nbytes
        return self._write(schema) if self._bytes[schema] >= GATHERED_BYTES else None

    def finish(self) -> Iterator[tuple[str, str]]:
        """Write the remaining rows. Yields schema and URI of each object."""
        for schema in list(self._held):
            yield schema, self._write(schema)

    def _write(self, schema: str) -> str:
        held = self._held.pop(schema)
        del self._bytes[schema]
        first = held[0].schema.remove_metadata()
        rows = pa.concat_tables([table.cast(first) for table in held])
        uri = f"{self._root}/part-{self._count:05d}.parquet"
        self._count += 1
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        bucket, key = split_uri(uri)
        _s3().put_object(Bucket=bucket, Key=key, Body=sink.getvalue().to_pybytes())
        return uri


def small_object(uri: str) -> bytes | None:
    """The bytes of a small object by one request. None if the object is larger. Raises ``FileNotFoundError``."""
    bucket, key = split_uri(uri)
    s3 = _s3()
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        raise FileNotFoundError(uri) from None
    with answer["Body"] as body:
        return body.read() if answer["ContentLength"] <= SMALL_BYTES else None


@cache
def _s3() -> Any:
    return boto3.client("s3", config=Config(max_pool_connections=READERS))


def forget(root: str) -> None:
    """Remove the gathered files of the batch."""
    remove_objects(entry.uri for entry in stored_objects(f"{root}/{FOLDER}"))
