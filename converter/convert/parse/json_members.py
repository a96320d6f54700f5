"""The members of one JSON line, from the standard library's scanner with the strictness of RFC 8259."""

from __future__ import annotations

import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from convert.parse.field_values import SCAN
from convert.parse.outcome import Problem, Reason
from convert.parse.schema import MAX_DEPTH

UTF8_BOM = b"\xef\xbb\xbf"
_SPACES = frozenset(" \t\n\r")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[{]|([\]}])")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


class Member(NamedTuple):
    """One member of an object: its name and value, and both as written (``label`` with its quotes)."""

    name: str
    value: Any
    label: str
    source: str


def members(record: bytes) -> list[Member]:
    """The members of a line's one object, in order. Raises ``Problem`` for bad bytes or syntax."""
    try:
        text = record.decode()
    except UnicodeDecodeError:
        raise Problem(Reason.UTF8) from None
    if _too_deep(text) or _has_lone_surrogate(text):
        raise Problem(Reason.NOT_JSON)
    start = _after_space(text, 0)
    try:
        if text[start : start + 1] != "{":
            _, end = SCAN(text, start)
            raise Problem(Reason.NOT_OBJECT if _after_space(text, end) == len(text) else Reason.NOT_JSON)
        found, end = _object(text, start + 1)
    except (ValueError, StopIteration):
        raise Problem(Reason.NOT_JSON) from None
    if _after_space(text, end) != len(text):
        raise Problem(Reason.NOT_JSON)
    return found


def written_members(line: bytes) -> list[tuple[str, str, str]] | None:
    """Name, name as written and value as written of each member of a line's one object. None if the line holds no object."""
    try:
        return [(member.name, member.label, member.source) for member in members(line)]
    except Problem:
        return None


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACES:
        at += 1
    return at


def _object(text: str, at: int) -> tuple[list[Member], int]:
    """The members of the object whose text begins at ``at``, and the place after it. Raises ValueError, StopIteration."""
    found: list[Member] = []
    at = _after_space(text, at)
    if text[at : at + 1] == "}":
        return found, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise ValueError(at)
        name, name_end = scanstring(text, at + 1, True)
        colon = _after_space(text, name_end)
        if text[colon : colon + 1] != ":":
            raise ValueError(colon)
        value_start = _after_space(text, colon + 1)
        value, value_end = SCAN(text, value_start)
        found.append(Member(name, value, text[at:name_end], text[value_start:value_end]))
        at = _after_space(text, value_end)
        mark = text[at : at + 1]
        if mark == "}":
            return found, at + 1
        if mark != ",":
            raise ValueError(at)
        at = _after_space(text, at + 1)


def _too_deep(text: str) -> bool:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += -1 if bracket[1] else 1
        if depth > MAX_DEPTH:
            return True
    return False


def _has_lone_surrogate(text: str) -> bool:
    """Whether an escape names half of a surrogate pair. Such a text cannot be written as UTF-8 (RFC 8259, 8.2)."""
    if "\\u" not in text:
        return False
    high_ends_at = -1
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else 0
        is_low = 0xDC00 <= code <= 0xDFFF
        if (is_low or high_ends_at >= 0) and not (is_low and high_ends_at == escape.start()):
            return True
        high_ends_at = escape.end() if 0xD800 <= code <= 0xDBFF else -1
    return high_ends_at >= 0


class LineFault(NamedTuple):
    """The reason why a line is not one JSON object. ``at`` is the first character that cannot be read, or the line's length."""

    at: int = 0
    is_too_deep: bool = False
    is_half_a_character: bool = False
    starts_another: bool = False


def line_fault(line: bytes) -> LineFault:
    """The problem of a line that ``members`` refuses."""
    text = line.decode("utf-8", "replace")
    if _too_deep(text):
        return LineFault(is_too_deep=True)
    start = _after_space(text, 0)
    try:
        _, end = _object(text, start + 1) if text[start : start + 1] == "{" else SCAN(text, start)
    except JSONDecodeError as error:
        return LineFault(error.pos)
    except (ValueError, StopIteration) as error:
        place = error.args[0] if error.args else 0
        return LineFault(place if isinstance(place, int) else 0)
    at = _after_space(text, end)
    return LineFault(at, is_half_a_character=at == len(text), starts_another=text[at : at + 1] == "{")
