"""Records and fields of CSV (RFC 4180): their ends and their texts, with NULL as PostgreSQL's COPY writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from convert.parse.outcome import Problem, Reason

_CLOSED = rb'(?:"(?:[^"]++|"")*+"[^,\n]*+|[^",\n][^,\n]*+|)'
_RECORD = re.compile(_CLOSED + rb"(?:," + _CLOSED + rb")*+(\n|\Z)")
_CELL = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\r]*+))(?:,|\Z)')

_QUOTED = re.compile(r'"(?:[^"]++|"")*+"')
_DOUBLED = 'a quote in a text is doubled (""), and such a text stands in quotes'
_BACKSLASH = 'a backslash is no escape: a quote in a text is doubled ("")'

Cell = str | None


class Span(NamedTuple):
    """One record's bytes: ``start`` to ``stop`` without its line break, ``after`` with it.

    If ``is_open`` is True, a quote opens in the record and nothing closes it. The record then takes the rest of the data.
    """

    start: int
    stop: int
    after: int
    is_open: bool = False


def record_spans(data: bytes, at: int = 0) -> Iterator[Span]:
    """Every record from ``at`` on. Blank lines are empty spans.

    A quote opens a field only at the field's start. Anywhere else it spoils only its own record.
    """
    while at < len(data):
        match = _RECORD.match(data, at)
        stop, after = (match.start(1), match.end()) if match else (len(data), len(data))
        if stop > at and data[stop - 1] == 13:
            stop -= 1
        yield Span(at, stop, after, match is None)
        at = after


def cells(record: bytes) -> list[Cell]:
    """The fields of one record, with None for NULL. Raises ``Problem`` for bad bytes or syntax."""
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


def field_fault(record: bytes) -> tuple[int, str]:
    """The number, from 1, of the first field that is not valid CSV, and its problem."""
    text = record.decode()
    number, at = 0, 0
    while (match := _CELL.match(text, at)) and match[0][-1:] == ",":
        number, at = number + 1, match.end()
    rest = text[at:]
    if rest.startswith('"'):
        closed = _QUOTED.match(rest)
        if closed and rest[closed.end() : closed.end() + 1] != "\r":
            after_backslash = rest[closed.end() - 2 : closed.end() - 1] == "\\"
            return number + 1, "text stands behind the closing quote; " + (_BACKSLASH if after_backslash else _DOUBLED)
    elif '"' in re.split("[,\r]", rest, maxsplit=1)[0]:
        return number + 1, f"a quote inside a field that does not begin with one; {_DOUBLED}"
    return number + 1, "a carriage return outside quotes; lines must end by a line feed, with one carriage return before it at most"
