"""Records and fields of CSV (RFC 4180): where they end, and their texts; NULL as PostgreSQL's COPY writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from convert.parse.outcome import Problem, Reason

_FIELD = rb'(?:"(?:[^"]++|"")*+(?:"[^,\n]*+|\Z)|[^",\n][^,\n]*+|)'
_RECORD = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*+(\n|\Z)")
_CELL = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\r]*+))(?:,|\Z)')

Cell = str | None


class Span(NamedTuple):
    """One record's bytes: ``start`` to ``stop`` without its line break, ``after`` with it; ``ended`` tells that there is one."""

    start: int
    stop: int
    after: int
    ended: bool


def record_spans(data: bytes, at: int = 0) -> Iterator[Span]:
    """Every record from the one at ``at`` on; blank lines are empty spans.

    A quote opens a field only at the field's beginning, so a stray one spoils no more than its own record.
    """
    while at < len(data) and (match := _RECORD.match(data, at)):
        stop = match.start(1)
        if stop > at and data[stop - 1] == 13:
            stop -= 1
        yield Span(at, stop, match.end(), match.end() > match.start(1))
        at = match.end()


def cells(record: bytes) -> list[Cell]:
    """The fields of one record; None for NULL. Raises ``Problem`` of the record's bytes and syntax."""
    try:
        text = record.decode()
    except UnicodeDecodeError:
        raise Problem(Reason.UTF8) from None
    if "\0" in text:
        raise Problem(Reason.NUL)
    if '"' not in text:
        if "\r" in text:
            raise Problem(Reason.NOT_CSV)
        return [cell or None for cell in text.split(",")]
    found: list[Cell] = []
    at = 0
    while True:
        match = _CELL.match(text, at)
        if match is None:
            raise Problem(Reason.NOT_CSV)
        found.append(match[1].replace('""', '"') if match[1] is not None else match[2] or None)
        at = match.end()
        if match[0][-1:] != ",":
            return found
