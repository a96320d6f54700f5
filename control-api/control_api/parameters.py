"""Strict parsing of query parameters. A refusal names parameter, value and the valid values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from lake.errors import TerminalError

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
LONGEST_NAME = 255
"""Glue's limit for a table's name: https://docs.aws.amazon.com/glue/latest/webapi/API_TableInput.html"""
LONGEST_KEY = 255
_LIMIT = re.compile(r"[0-9]{1,3}")
_CURSOR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z~[0-9a-f]{32}")
_IDEMPOTENCY_KEY = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")
_SHOWN = 80


class InvalidParameter(TerminalError):
    """A parameter has a value that the API does not accept. ``got`` is cut if the value is long."""

    def __init__(self, name: str, value: str, valid: str) -> None:
        self.name, self.valid = name, valid
        self.got = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}… ({len(value):,} characters)"
        super().__init__(f'parameter "{name}": got "{self.got}"; {valid}')


class Parameters:
    """The query parameters of one request. Only names in ``known`` are allowed, each once."""

    def __init__(self, given: Mapping[str, Sequence[str]] | None, known: Iterable[str]) -> None:
        self.given: dict[str, str] = {}
        names = sorted(known)
        for name, values in (given or {}).items():
            if name not in names:
                raise InvalidParameter(name, ", ".join(values), f"unknown here; one of {', '.join(names) or 'none'}")
            if len(values) > 1:
                raise InvalidParameter(name, ", ".join(values), f"it is given {len(values)} times; give it once")
            self.given[name] = values[0]

    def text(self, name: str) -> str | None:
        """A name of 1 to ``LONGEST_NAME`` characters."""
        value = self.given.get(name)
        if value is not None and not 1 <= len(value) <= LONGEST_NAME:
            raise InvalidParameter(name, value, f"a name of 1 to {LONGEST_NAME} characters, or leave it out")
        return value

    def choice(self, name: str, valid: Iterable[str]) -> str | None:
        """One of a set of words."""
        value = self.given.get(name)
        if value is not None and value not in valid:
            raise InvalidParameter(name, value, f"one of {', '.join(valid)}")
        return value

    def flag(self, name: str) -> bool:
        """``true`` or ``false``. A missing flag is false."""
        return self.choice(name, ("true", "false")) == "true"

    def limit(self) -> int:
        """``limit``: the maximum number of entries in a page."""
        value = self.given.get("limit", str(DEFAULT_LIMIT))
        if not _LIMIT.fullmatch(value) or not 1 <= int(value) <= MAX_LIMIT:
            raise InvalidParameter("limit", value, f"a whole number from 1 to {MAX_LIMIT}")
        return int(value)

    def moment(self, name: str) -> datetime | None:
        """An ISO 8601 date, or date and time, in UTC. A value without a zone is UTC."""
        value = self.given.get(name)
        if value is None:
            return None
        try:
            # a plus sign in a query string arrives as a space
            moment = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        except ValueError:
            raise InvalidParameter(name, value, "an ISO 8601 time, e.g. 2024-03-01T12:00:00Z, or a date") from None
        return _in_utc(moment)

    def span(self, since: str, until: str) -> tuple[datetime | None, datetime | None]:
        """Two times, of which the first is not the later one."""
        begin, end = self.moment(since), self.moment(until)
        if begin and end and begin > end:
            raise InvalidParameter(since, self.given[since], f'a time that is not later than "{until}", which is "{self.given[until]}"')
        return begin, end

    def cursor(self) -> str | None:
        """``cursor``: the end of the last page, in the form of ``cursor_text``."""
        value = self.given.get("cursor")
        if value is None:
            return None
        if not _CURSOR.fullmatch(value):
            raise InvalidParameter("cursor", value, "the cursor of the page before, unchanged")
        return value.replace("~", "#")


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The header Idempotency-Key: printable ASCII without blanks. Raises ``InvalidParameter``."""
    value = headers.get("idempotency-key")
    if value is not None and not _IDEMPOTENCY_KEY.fullmatch(value):
        raise InvalidParameter("Idempotency-Key", value, f"1 to {LONGEST_KEY} printable ASCII characters without blanks, e.g. a UUID")
    return value


def no_body(body: str | bytes) -> None:
    """Refuse a body, because a caller might believe that the API obeys it. Raises ``InvalidParameter``."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    if text.strip():
        raise InvalidParameter("body", text, "no body here; parameters go into the query, e.g. ?force=true")


def cursor_text(place: str | None) -> str | None:
    """The end of a page for the API's callers, without characters that a query string must escape."""
    return place.replace("#", "~") if place else None


def _in_utc(moment: datetime) -> datetime:
    """The time in UTC. If the zone moves it beyond the years 1 to 9999, the first or last time of these years. No file is beyond."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)
