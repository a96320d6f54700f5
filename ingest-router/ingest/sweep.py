"""The sweep: finds files that an event, a worker or an execution lost, and sets them going again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from ingest import registration
from ingest.conversions import Conversions
from ingest.raw_objects import RawObject, RawObjects
from ingest.registration import Registration, holds_rows
from lake.control import ControlRecord, ControlTable
from lake.control.records import FAILED, PENDING, RUNNING, SILVER, now, timestamp
from lake.telemetry import logger

STALE = timedelta(minutes=15)
"""The time that a file may wait for its execution, to be started or to be retried.

It is longer than the pauses between two attempts of convert-file, which records the reason only after the last one.
"""
LOGGED_UNSETTLED = 100


@dataclass
class Swept:
    """The result of one sweep.

    ``errors`` counts files and objects left to the next sweep, with the reason in the log. ``unsettled`` counts the raw objects
    past their time that settle has not tagged, and ``unsettled_seconds`` is the age of the oldest of them. ``next_key`` is the
    key at which the listing continues, None at its end.
    """

    objects: int = 0
    registered: int = 0
    registered_failed: int = 0
    started: int = 0
    restarted: int = 0
    taken_over: int = 0
    failed: int = 0
    errors: int = 0
    unsettled: int = 0
    unsettled_seconds: int = 0
    next_key: str | None = None

    def report(self) -> dict[str, int | str | None]:
        """The function's answer."""
        return asdict(self)


class Sweep:
    """One sweep over the control table and the raw prefix.

    ``max_attempts`` limits the conversions that die without a reason. An object older than ``settled_within`` must carry the
    tag of a settled one. This time should exceed the lifetime of settled objects, because the tags of each older object are
    requested. ``has_time`` is called between pages of the listing.
    """

    def __init__(
        self,
        control: ControlTable,
        registration: Registration,
        conversions: Conversions,
        objects: RawObjects,
        max_attempts: int,
        settled_within: timedelta,
        has_time: Callable[[], bool],
    ) -> None:
        self._control = control
        self._registration = registration
        self._conversions = conversions
        self._objects = objects
        self._max_attempts = max_attempts
        self._settled_within = settled_within
        self._has_time = has_time

    def run(self, bucket: str, first_key: str | None = None) -> Swept:
        """Take over expired files, restart pending ones, then check the raw objects from ``first_key`` on."""
        swept = Swept()
        self._take_over_expired(swept)
        self._restart_pending(swept)
        for page, next_key in self._objects.pages(bucket, first_key):
            known = self._control.listing.known([raw.file_id for raw in page])
            self._register_unknown(page, known, swept)
            self._tell_unsettled(page, known, swept)
            swept.objects += len(page)
            swept.next_key = next_key
            if not self._has_time():
                break
        return swept

    def _take_over_expired(self, swept: Swept) -> None:
        """Take over running files with an expired lease, unless their execution may still retry or record a reason."""
        moment, stale = now(), timestamp(datetime.now(UTC) - STALE)
        for record in list(self._control.listing.files(status=RUNNING)):
            if record.lease_expires_at is None or record.lease_expires_at >= moment:
                continue
            with _left_to_the_next(swept, record.file_id):
                if record.lease_expires_at >= stale and self._conversions.is_running(record):
                    continue
                after = self._control.files.take_over(record, self._max_attempts)
                swept.failed += after is not None and after.status == FAILED
                swept.taken_over += after is not None and after.status == PENDING

    def _restart_pending(self, swept: Swept) -> None:
        """Start pending files that no worker took. After its wait a file gets its execution, after an ended execution a new attempt."""
        stale = timestamp(datetime.now(UTC) - STALE)
        for record in list(self._control.listing.files(status=PENDING)):
            if not self._is_left_behind(record, stale):
                continue
            with _left_to_the_next(swept, record.file_id):
                if self._conversions.start(record):
                    swept.started += 1
                elif not self._conversions.is_running(record) and self._control.files.restart(record) is not None:
                    swept.restarted += 1

    def _is_left_behind(self, record: ControlRecord, stale: str) -> bool:
        if record.not_before is not None:
            return record.not_before <= now()
        return record.updated_at < stale

    def _register_unknown(self, page: Iterable[RawObject], known: Mapping[str, str], swept: Swept) -> None:
        for raw in page:
            if raw.file_id in known:
                continue
            with _left_to_the_next(swept, raw.key):
                outcome = self._registration.register(raw)
                swept.registered += outcome == registration.REGISTERED
                swept.registered_failed += outcome == registration.FAILED

    def _tell_unsettled(self, page: Iterable[RawObject], known: Mapping[str, str], swept: Swept) -> None:
        """Count and log objects that should be in silver by now. A raw object's bronze parts are tagged before it."""
        moment = datetime.now(UTC)
        for raw in page:
            if raw.stored_at is None or moment - raw.stored_at <= self._settled_within or not holds_rows(raw.key):
                continue
            with _left_to_the_next(swept, raw.key):
                # only a file in silver can be tagged, so the others need no request
                if known.get(raw.file_id) == SILVER and self._objects.is_settled(raw):
                    continue
                swept.unsettled += 1
                seconds = int((moment - raw.stored_at).total_seconds())
                swept.unsettled_seconds = max(swept.unsettled_seconds, seconds)
                if swept.unsettled <= LOGGED_UNSETTLED:
                    told = {"object_key": raw.key, "file_id": raw.file_id, "status": known.get(raw.file_id), "age_seconds": seconds}
                    logger.warning("object stays unsettled", extra=told)


@contextmanager
def _left_to_the_next(swept: Swept, what: str) -> Iterator[None]:
    """Count and log any failure of one item, so that the sweep continues with the next one."""
    try:
        yield
    except Exception:
        swept.errors += 1
        logger.exception("left to the next sweep", extra={"item": what})
