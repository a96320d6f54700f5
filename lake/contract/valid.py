"""The parts that ``lake.contract.properties`` is written in: sections, their properties, and the values that these may have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_SHOWN = 80
_PYTHON: Mapping[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}


@dataclass(frozen=True)
class Valid:
    """The values that a property may have.

    ``words`` say them in messages and on the page, ``schema`` in JSON Schema. ``rule`` returns the problem of a value that the
    schema allows, and ``hint`` gives editors as much of it as JSON Schema can say. ``meanings`` explain a choice.
    """

    words: str
    schema: Mapping[str, Any]
    rule: Callable[[Any], str | None] = lambda _: None
    hint: Mapping[str, Any] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)

    def problem(self, value: Any) -> str | None:
        """The problem of a value, with what would be valid. None if the value is valid."""
        return self.rule(value) if _fits(value, self.schema) else f"got {shown(value)}; {self.words}"


@dataclass(frozen=True)
class Property:
    """One property. ``otherwise`` says in words what holds without it if there is no ``default``.

    ``custom`` properties stand in ``customProperties``. ``alias`` is another name of the standard for the same.
    """

    name: str
    valid: Valid
    meaning: str
    default: Any = None
    otherwise: str = ""
    required: bool = False
    custom: bool = False
    alias: str = ""


@dataclass(frozen=True)
class Section:
    """One mapping of a contract. ``unread`` are names of the standard that the lake does not read."""

    name: str
    meaning: str
    properties: tuple[Property, ...]
    unread: tuple[str, ...] = ()

    @property
    def customs(self) -> tuple[str, ...]:
        """The names that may stand in ``customProperties``."""
        return tuple(p.name for p in self.properties if p.custom)

    @property
    def plain(self) -> tuple[str, ...]:
        """The names that the mapping itself may hold, and that the lake reads."""
        own = tuple(name for p in self.properties if not p.custom for name in (p.name, p.alias) if name)
        return (*own, "customProperties") if self.customs else own


def shown(value: Any) -> str:
    """A value of YAML as a message shows it, cut to its first 80 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def any_case(text: str) -> str:
    """A pattern that finds a text in upper or lower case. JavaScript, and so JSON Schema, has no flag for it within a pattern."""
    return "".join(f"[{c.upper()}{c}]" if c.isalpha() else re.escape(c) for c in text.lower())


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value is valid by the part of JSON Schema that is used here."""
    kinds = schema.get("type", [])
    if not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None and value in schema.get("enum", (value,))
    if isinstance(value, list):
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)) and all(
            _fits(item, schema["items"]) for item in value if "items" in schema
        )
    return not isinstance(value, int | float) or bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _is(value: Any, kind: str) -> bool:
    return _PYTHON[kind] is bool if isinstance(value, bool) else isinstance(value, _PYTHON[kind])
