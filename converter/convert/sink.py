"""Destinations of objects: all objects of a conversion appear together at ``commit``, or none does.

Multipart uploads: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html. Parts are uploaded as they
fill. Only ``commit`` completes uploads, and ``abort`` aborts them, so a failed conversion leaves nothing behind.
"""

from __future__ import annotations

import io
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from uuid import uuid4

UPLOAD_PART_BYTES = 8 << 20
UPLOADS_AHEAD = 2


class Sink(Protocol):
    """A set of new objects that is published as a whole."""

    def open(self, name: str) -> BinaryIO:
        """A new object to write. Closing it does not publish it."""

    def commit(self) -> None:
        """Publish every opened object."""

    def abort(self) -> None:
        """Drop every object. Safe after any failure, and safe to repeat."""


class S3Sink:
    """Objects in a bucket, by name."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._objects: list[_Upload] = []
        self._pool = ThreadPoolExecutor(UPLOADS_AHEAD, thread_name_prefix="upload")

    def open(self, name: str) -> BinaryIO:
        """A new object. Its bytes are uploaded in the background."""
        upload = _Upload(self._client, self._bucket, name, self._pool)
        self._objects.append(upload)
        return upload  # type: ignore[return-value]

    def commit(self) -> None:
        """Complete every upload. If one fails, ``abort`` still removes the unfinished ones."""
        for upload in self._objects:
            upload.publish()
        self._pool.shutdown()

    def abort(self) -> None:
        """Abort every upload that is not complete."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for upload in self._objects:
            upload.abandon()


class _Upload(io.RawIOBase):
    """One object. Bytes are buffered up to a part's size and sent as a multipart upload. A small object needs one request."""

    def __init__(self, client: Any, bucket: str, key: str, pool: ThreadPoolExecutor) -> None:
        super().__init__()
        self._client = client
        self._target = {"Bucket": bucket, "Key": key}
        self._pool = pool
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[Future[str]] = []
        self._published = False
        self._position = 0

    def writable(self) -> bool:
        """Always True."""
        return True

    def tell(self) -> int:
        """Bytes written so far."""
        return self._position

    def write(self, data: Any) -> int:
        """Add bytes. Waits if the uploads fall behind."""
        view = memoryview(data).cast("B")
        self._buffer += view
        self._position += len(view)
        while len(self._buffer) >= UPLOAD_PART_BYTES:
            self._send(bytes(self._buffer[:UPLOAD_PART_BYTES]))
            del self._buffer[:UPLOAD_PART_BYTES]
        return len(view)

    def publish(self) -> None:
        """Make the object visible."""
        if self._upload_id is None:
            self._client.put_object(**self._target, Body=bytes(self._buffer))
        else:
            if self._buffer:
                self._send(bytes(self._buffer))
            tags = [{"PartNumber": number, "ETag": part.result()} for number, part in enumerate(self._parts, start=1)]
            self._client.complete_multipart_upload(**self._target, UploadId=self._upload_id, MultipartUpload={"Parts": tags})
        self._published = True
        self._buffer.clear()

    def abandon(self) -> None:
        """Abort a multipart upload that is not complete."""
        self._buffer.clear()
        if self._upload_id is not None and not self._published:
            self._client.abort_multipart_upload(**self._target, UploadId=self._upload_id)
            self._upload_id = None

    def _send(self, body: bytes) -> None:
        if self._upload_id is None:
            self._upload_id = self._client.create_multipart_upload(**self._target)["UploadId"]
        waiting = [part for part in self._parts if not part.done()]
        if len(waiting) >= UPLOADS_AHEAD:
            waiting[0].result()
        self._parts.append(self._pool.submit(self._upload, len(self._parts) + 1, body))

    def _upload(self, number: int, body: bytes) -> str:
        answer = self._client.upload_part(**self._target, UploadId=self._upload_id, PartNumber=number, Body=body)
        return str(answer["ETag"])


class DirectorySink:
    """Files in a folder. They are written in a temporary folder inside it and moved into place by ``commit``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._draft = folder / f".unfinished-{uuid4().hex}"
        self._draft.mkdir(parents=True)
        self._files: list[tuple[str, BinaryIO]] = []

    def open(self, name: str) -> BinaryIO:
        """A new file."""
        file = (self._draft / name).open("wb")
        self._files.append((name, file))
        return file

    def commit(self) -> None:
        """Move every file into place and replace an older one of the same name."""
        for name, file in self._files:
            file.close()
            (self._draft / name).replace(self._folder / name)
        self.abort()

    def abort(self) -> None:
        """Remove the unpublished files."""
        for name, file in self._files:
            file.close()
            (self._draft / name).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self._draft.rmdir()
