"""Raw objects of the stage bucket: their metadata from events or listings, their tags and their first bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from lake.errors import TerminalError
from lake.keys import RAW, SETTLED_TAG, file_id

NO_VERSION = "null"


class ObjectGone(TerminalError):
    """The object was deleted since it was announced."""


@dataclass(frozen=True)
class RawObject:
    """One version of a raw object. ``version_id`` is empty in a bucket without versions. ``size_bytes`` is the compressed size.

    Only a listed object has ``stored_at``.
    """

    bucket: str
    key: str
    version_id: str
    etag: str
    size_bytes: int
    stored_at: datetime | None = None

    @property
    def file_id(self) -> str:
        """The object's identity in the control table."""
        return file_id(self.bucket, self.key, self.version_id or self.etag)


class RawObjects:
    """Reads raw objects. ``page_size`` is the number of versions per listing call."""

    def __init__(self, page_size: int = 1000) -> None:
        self.page_size = page_size

    @cached_property
    def _s3(self) -> Any:
        import boto3

        return boto3.client("s3")

    def head(self, raw: RawObject, length: int) -> bytes:
        """The first ``length`` bytes, or fewer if the object is shorter. Raises ``ObjectGone``."""
        if raw.size_bytes == 0:
            return b""
        with self._version(raw) as version:
            head: bytes = self._s3.get_object(**version, Range=f"bytes=0-{length - 1}")["Body"].read()
        return head

    def is_settled(self, raw: RawObject) -> bool:
        """Whether settle has tagged this version, so that its rows are in silver and it expires. True as well if it is gone."""
        try:
            with self._version(raw) as version:
                tags = self._s3.get_object_tagging(**version)["TagSet"]
        except ObjectGone:
            return True
        return {tag["Key"]: tag["Value"] for tag in tags}.items() >= SETTLED_TAG.items()

    @contextmanager
    def _version(self, raw: RawObject) -> Iterator[dict[str, str]]:
        """The arguments of a call for one version. If the version is gone, raises ``ObjectGone``."""
        try:
            yield {"Bucket": raw.bucket, "Key": raw.key} | ({"VersionId": raw.version_id} if raw.version_id else {})
        except self._s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion"):
                raise ObjectGone(f"s3://{raw.bucket}/{raw.key} does not exist any more") from None
            raise

    def pages(self, bucket: str, key_marker: str | None = None) -> Iterator[tuple[list[RawObject], str | None]]:
        """Every version of every raw object, page by page, each with the marker of the next page (None on the last).

        Versions are listed because a control record stands for a version. A page may end between two versions of one key.
        Continuing from its marker repeats at most that key's versions.
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
    version = "" if version == NO_VERSION else version
    return RawObject(bucket, entry["Key"], version, entry["ETag"].strip('"'), int(entry["Size"]), entry["LastModified"])
