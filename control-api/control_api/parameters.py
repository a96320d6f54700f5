"""Query parameters: read strictly, refused with parameter, value and what would be valid."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from lake.errors import TerminalError

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
_CURSOR = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z#\w+$")


class InvalidParameter(TerminalError):
    """A query parameter has a value that the API does not take."""

    def __init__(self, name: str, value: str, valid: str) -> None:
        super().__init__(f'parameter "{name}": got "{value}"; {valid}')


class Parameters:
    """The query parameters of one request, of which only ``known`` may be given."""

    def __init__(self, given: Mapping[str, str] | None, known: Iterable[str]) -> None:
        self.given = dict(given or {})
        names = sorted(known)
        for name, value in self.given.items():
            if name not in names:
                raise InvalidParameter(name, value, f"unknown here; one of {', '.join(names) or 'none'}")

    def text(self, name: str) -> str | None:
        """A value that may be any text but the empty one."""
        value = self.given.get(name)
        if value == "":
            raise InvalidParameter(name, value, "leave it out, or give it a value")
        return value

    def choice(self, name: str, valid: Iterable[str]) -> str | None:
        """One of a set of words."""
        value = self.given.get(name)
        if value is not None and value not in valid:
            raise InvalidParameter(name, value, f"one of {', '.join(valid)}")
        return value

    def flag(self, name: str) -> bool:
        """``true`` or ``false``; false where it is left out."""
        return self.choice(name, ("true", "false")) == "true"

    def limit(self) -> int:
        """``limit``: how many entries a page has at most."""
        value = self.given.get("limit")
        if value is None:
            return DEFAULT_LIMIT
        if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= MAX_LIMIT:
            raise InvalidParameter("limit", value, f"a whole number from 1 to {MAX_LIMIT}")
        return int(value)

    def moment(self, name: str) -> datetime | None:
        """An ISO 8601 date or date and time; one without a zone is UTC."""
        value = self.given.get(name)
        if value is None:
            return None
        try:
            # A plus sign in a query string arrives as a space.
            moment = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        except ValueError:
            raise InvalidParameter(name, value, "an ISO 8601 time, e.g. 2024-03-01T12:00:00Z, or a date") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def cursor(self) -> str | None:
        """``cursor``: where the last page ended, as ``cursor_text`` gave it."""
        value = self.given.get("cursor")
        if value is None:
            return None
        try:
            place = base64.urlsafe_b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            place = ""
        if not _CURSOR.match(place):
            raise InvalidParameter("cursor", value, "the cursor of the page before, unchanged")
        return place


def cursor_text(place: str | None) -> str | None:
    """A page's end as the API gives it to its callers: opaque."""
    return base64.urlsafe_b64encode(place.encode()).decode() if place else None
