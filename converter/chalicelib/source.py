"""Where compressed bytes come from: one pinned version of an S3 object, or a file."""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from .errors import SourceChanged, SourceUnreadable

RANGE_BYTES = 4 << 20
RANGES_AHEAD = 2
ATTEMPTS = 4
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"})


class S3Source(io.RawIOBase):
    """Reads one version of an object by ranges, a few ahead of the reader; memory is bounded by them.

    ``version_id`` pins the version; in a bucket without versions the ETag does. ``size_bytes`` is the registered size.
    Raises ``SourceChanged`` where that version is gone, ``SourceUnreadable`` after repeated failures.
    """

    def __init__(self, client: Any, bucket: str, key: str, version_id: str, etag: str, size_bytes: int) -> None:
        super().__init__()
        etag = '"{}"'.format(etag.strip('"'))
        self._client = client
        self._object = {"Bucket": bucket, "Key": key} | ({"VersionId": version_id} if version_id else {"IfMatch": etag})
        self._size = size_bytes
        self._next = 0
        self._ranges: deque[Future[bytes]] = deque()
        self._pool = ThreadPoolExecutor(RANGES_AHEAD, thread_name_prefix="range")
        self._current = memoryview(b"")
        while len(self._ranges) < RANGES_AHEAD and self._next < self._size:
            self._ask()

    def readable(self) -> bool:
        """True: a source is read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; 0 at the end."""
        if not self._current:
            if not self._ranges:
                return 0
            self._current = memoryview(self._ranges.popleft().result())
            if self._next < self._size:
                self._ask()
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._current))
        target[:count] = self._current[:count]
        self._current = self._current[count:]
        return count

    def close(self) -> None:
        """Stop reading ahead."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        super().close()

    def _ask(self) -> None:
        end = min(self._next + RANGE_BYTES, self._size)
        self._ranges.append(self._pool.submit(self._read_range, self._next, end))
        self._next = end

    def _read_range(self, start: int, end: int) -> bytes:
        failure: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                body: bytes = self._client.get_object(**self._object, Range=f"bytes={start}-{end - 1}")["Body"].read()
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in _GONE:
                    raise SourceChanged(
                        f"s3://{self._object['Bucket']}/{self._object['Key']}: the registered version is gone ({code})"
                    ) from error
                if code == "InvalidRange":
                    raise SourceChanged(
                        f"s3://{self._object['Bucket']}/{self._object['Key']} is shorter than the {self._size:,} bytes registered"
                    ) from error
                failure = error
            except (HTTPClientError, BotoCoreError) as error:
                failure = error
            else:
                if len(body) == end - start:
                    return body
                failure = EOFError(f"{len(body):,} of {end - start:,} bytes")
        raise SourceUnreadable(f"bytes {start}-{end - 1} of s3://{self._object['Bucket']}/{self._object['Key']}: {failure}") from failure


def open_file(path: Path) -> BinaryIO:
    """A local file as a source. Raises ``OSError``."""
    return path.open("rb", buffering=0)
