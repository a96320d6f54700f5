"""Raw objects of the stage bucket: what an event or a listing says of one, and its first bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lake.errors import TerminalError
from lake.keys import RAW, file_id

NO_VERSION = "null"


class ObjectGone(TerminalError):
    """The object was deleted since it was announced."""


@dataclass(frozen=True)
class RawObject:
    """One version of a raw object. ``version_id`` is empty in a bucket without versions; ``size_bytes`` is compressed."""

    bucket: str
    key: str
    version_id: str
    etag: str
    size_bytes: int

    @property
    def file_id(self) -> str:
        """The identity under which the control table knows it."""
        return file_id(self.bucket, self.key, self.version_id or self.etag)


class RawObjects:
    """Reads raw objects. ``page_size`` is the number of versions that one listing call asks for."""

    def __init__(self, page_size: int = 1000) -> None:
        self.page_size = page_size

    @cached_property
    def _s3(self) -> Any:
        import boto3

        return boto3.client("s3")

    def head(self, raw: RawObject, length: int) -> bytes:
        """The first ``length`` bytes, fewer where the object is shorter. Raises ``ObjectGone``."""
        if raw.size_bytes == 0:
            return b""
        version = {"VersionId": raw.version_id} if raw.version_id else {}
        try:
            body = self._s3.get_object(Bucket=raw.bucket, Key=raw.key, Range=f"bytes=0-{length - 1}", **version)["Body"]
        except self._s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion"):
                raise ObjectGone(f"s3://{raw.bucket}/{raw.key} does not exist any more") from None
            raise
        head: bytes = body.read()
        return head

    def pages(self, bucket: str, key_marker: str | None = None) -> Iterator[tuple[list[RawObject], str | None]]:
        """Every version of every raw object, a page at a time, with the marker to go on from (None on the last).

        Versions and not objects, because a version is what a control record stands for. A page ends between two keys or
        between two versions of one; going on from its marker repeats no more than that key's.
        """
        arguments: dict[str, Any] = {"Bucket": bucket, "Prefix": RAW, "MaxKeys": self.page_size}
        if key_marker:
            arguments["KeyMarker"] = key_marker
        while True:
            answer = self._s3.list_object_versions(**arguments)
            more = bool(answer.get("IsTruncated"))
            marker = answer.get("NextKeyMarker") if more else None
            yield [_listed(bucket, entry) for entry in answer.get("Versions", ())], marker
            if not more:
                return
            arguments["KeyMarker"] = marker
            arguments["VersionIdMarker"] = answer.get("NextVersionIdMarker", "")


def _listed(bucket: str, entry: dict[str, Any]) -> RawObject:
    version = entry.get("VersionId") or NO_VERSION
    return RawObject(bucket, entry["Key"], "" if version == NO_VERSION else version, entry["ETag"].strip('"'), int(entry["Size"]))
