"""Waits until what was committed in the source has come as far as bronze."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import boto3

from lake.control import ControlTable
from lake.control.records import PENDING, RUNNING
from lake.errors import TransientError
from lake.keys import RAW, is_export_manifest

POLL_SECONDS = 0.5


class NotSettled(TransientError):
    """What was committed did not arrive in time."""


@dataclass(frozen=True)
class Road:
    """What to ask about the road: whether the source's changes are in the stream, and the stream's records in S3."""

    replicated: Callable[[], bool]
    delivered: Callable[[], bool]
    stage_bucket: str
    control: ControlTable


def wait_until_converted(road: Road, progress: Callable[[str], None], timeout_seconds: float = 900.0) -> Counter[str]:
    """Wait until every change committed before the call is in bronze, or failed. Returns the number of files by status.

    Raises ``NotSettled`` where that takes longer than ``timeout_seconds``.
    """
    deadline = time.monotonic() + timeout_seconds
    _wait(road.replicated, "from PostgreSQL into the stream", progress, deadline)
    _wait(road.delivered, "from the stream into S3", progress, deadline)
    statuses: Counter[str] = Counter()

    def converted() -> bool:
        expected = raw_objects(road.stage_bucket)
        statuses.clear()
        statuses.update(record.status for record in road.control.files())
        waiting = statuses[PENDING] + statuses[RUNNING]
        progress(f"raw files to bronze, {statuses.total() - waiting} of {expected}")
        return statuses.total() >= expected and not waiting

    _wait(converted, "raw files to bronze", None, deadline)
    return statuses


def raw_objects(bucket: str) -> int:
    """How many files to convert lie under raw/."""
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RAW)
    return sum(1 for page in pages for entry in page.get("Contents", ()) if not is_export_manifest(entry["Key"]))


def _wait(ready: Callable[[], bool], what: str, progress: Callable[[str], None] | None, deadline: float) -> None:
    if progress is not None:
        progress(what)
    while not ready():
        if time.monotonic() > deadline:
            raise NotSettled(f"changes are still on their way {what}; look at dm status and the logs it names")
        time.sleep(POLL_SECONDS)
