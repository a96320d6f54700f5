"""The source of compressed bytes: one pinned version of an S3 object."""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from convert.conversion_errors import SourceChanged, SourceUnreadable

RANGE_BYTES = 4 << 20
RANGES_AHEAD = 2
ATTEMPTS = 4
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412", "InvalidRange"})


class S3Source(io.RawIOBase):
    """Reads one version of an object by ranges, a few ahead of the reader, which bounds memory.

    ``version_id`` pins the version. In a bucket without versions the ETag does. ``size_bytes`` is the registered size.
    A server may ignore a range and answer with the whole object (RFC 9110, 14.2). That answer is then read as a stream.
    Raises ``SourceChanged`` if that version is gone, ``SourceUnreadable`` after repeated failures.
    """

    def __init__(self, client: Any, bucket: str, key: str, version_id: str, etag: str, size_bytes: int) -> None:
        super().__init__()
        quoted = '"{}"'.format(etag.strip('"'))
        self._client = client
        self._object = {"Bucket": bucket, "Key": key} | ({"VersionId": version_id} if version_id else {"IfMatch": quoted})
        self._uri = f"s3://{bucket}/{key}"
        self._size = size_bytes
        self._asked = 0
        self._given = 0
        self._whole: Any = None
        self._ranges: deque[Future[bytes]] = deque()
        self._pool = ThreadPoolExecutor(RANGES_AHEAD, thread_name_prefix="range")
        self._current = memoryview(b"")

    def readable(self) -> bool:
        """Always True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next bytes. Returns 0 at the end."""
        if not self._current:
            if self._given >= self._size:
                return 0
            self._current = memoryview(self._next())
            self._given += len(self._current)
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._current))
        target[:count] = self._current[:count]
        self._current = self._current[count:]
        return count

    def close(self) -> None:
        """Stop reading ahead."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._whole is not None:
            self._whole.close()
        super().close()

    def _next(self) -> bytes:
        """The next bytes, at least one."""
        if self._whole is not None:
            return self._read_whole()
        if self._asked == 0:
            self._asked = min(RANGE_BYTES, self._size)
            first = self._read_range(0, self._asked, is_first=True)
        else:
            first = self._ranges.popleft().result()
        while self._whole is None and len(self._ranges) < RANGES_AHEAD and self._asked < self._size:
            start, self._asked = self._asked, min(self._asked + RANGE_BYTES, self._size)
            self._ranges.append(self._pool.submit(self._read_range, start, self._asked))
        return first

    def _read_whole(self) -> bytes:
        try:
            chunk: bytes = self._whole.read(RANGE_BYTES)
        except BotoCoreError as error:
            raise SourceUnreadable(f"{self._uri}: {error}") from error
        if not chunk:
            raise SourceUnreadable(f"{self._uri}: the answer ended after {self._given:,} of {self._size:,} bytes")
        return chunk

    def _read_range(self, start: int, end: int, is_first: bool = False) -> bytes:
        failure: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                answer = self._client.get_object(**self._object, Range=f"bytes={start}-{end - 1}")
                if is_first and "ContentRange" not in answer:
                    self._whole = answer["Body"]
                    return self._read_whole()
                body: bytes = answer["Body"].read()
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in _GONE:
                    raise SourceChanged(
                        f"{self._uri}: the registered version of {self._size:,} bytes is not there ({code}); "
                        "upload the object again, which registers it as another file"
                    ) from error
                failure = error
            except BotoCoreError as error:
                failure = error
            else:
                if len(body) == end - start:
                    return body
                failure = EOFError(f"{len(body):,} of {end - start:,} bytes")
        raise SourceUnreadable(f"{self._uri}: bytes {start}-{end - 1}: {failure}") from failure
