"""The table of column types: each PostgreSQL type with its form on the raw lines, in Parquet and in Iceberg.

It drives the router's normalisation, both parsers of the converter, the Iceberg DDL and docs/types.md.
PostgreSQL's names: https://www.postgresql.org/docs/current/datatype.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lake.errors import TerminalError


class UnknownType(TerminalError):
    """A contract names a column type that the lake does not support."""


@dataclass(frozen=True)
class TypeRule:
    """The forms of one PostgreSQL type.

    ``json`` describes the JSON values that a raw line may hold, ``csv`` the field texts of an export. The message on a bad
    value quotes them after "expected". ``iceberg`` is the type in silver, ``logical`` the Open Data Contract Standard's name.
    ``{p}`` and ``{s}`` are precision and scale.
    PostgreSQL may store ``unbounded`` types out of line, so an update may leave their values out (unchanged TOAST).
    """

    name: str
    aliases: tuple[str, ...]
    logical: str
    iceberg: str
    json: str
    csv: str
    unbounded: bool = False


_INT = "a whole number of {} bits, without quotes, point and exponent".format
_INT_CSV = "a whole number of {} bits: digits with an optional sign".format
_FLOAT = 'a number, without quotes; "NaN", "Infinity" and "-Infinity" if the contract allows them'
_FLOAT_CSV = "a number in decimal or scientific notation; NaN, Infinity and -Infinity if the contract allows them"
_DIGITS = "at most {p} digits, {s} of them behind the point"
_STAMP = "YYYY-MM-DDThh:mm:ss{}, up to 6 decimals, zone Z or ±hh[:mm]; without a zone it is UTC".format
_STAMP_JSON, _STAMP_CSV = f"a string, {_STAMP('')}", _STAMP(" or a space for the T")
_UUID = "8-4-4-4-12 hexadecimal digits"
_HEX = "hexadecimal digits, two a byte, with or without \\x before them"

RULES: tuple[TypeRule, ...] = (
    TypeRule("smallint", ("int2", "smallserial"), "integer", "int", _INT(16), _INT_CSV(16)),
    TypeRule("integer", ("int", "int4", "serial"), "integer", "int", _INT(32), _INT_CSV(32)),
    TypeRule("bigint", ("int8", "bigserial"), "integer", "long", _INT(64), _INT_CSV(64)),
    TypeRule("real", ("float4",), "number", "float", _FLOAT, _FLOAT_CSV),
    TypeRule("double", ("double precision", "float8", "float"), "number", "double", _FLOAT, _FLOAT_CSV),
    TypeRule(
        "numeric",
        ("decimal",),
        "number",
        "decimal({p}, {s})",
        f"a number, or a string without exponent, of {_DIGITS}",
        f"a number without exponent and thousands separators, of {_DIGITS}",
    ),
    TypeRule("boolean", ("bool",), "boolean", "boolean", "true or false, without quotes", "t, f, true or false"),
    TypeRule("text", (), "string", "string", "a string", "any text", unbounded=True),
    TypeRule("varchar", ("character varying", "character", "char", "bpchar"), "string", "string", "a string", "any text"),
    TypeRule("uuid", (), "string", "string", f"a string of {_UUID}", _UUID),
    TypeRule("json", ("jsonb",), "object", "string", "a string that holds the JSON text", "any text", unbounded=True),
    TypeRule("array", (), "array", "string", "a string that holds the array's text", "any text", unbounded=True),
    TypeRule("enum", (), "string", "string", "a string", "any text"),
    TypeRule("interval", (), "string", "string", "a string", "any text"),
    TypeRule("date", (), "date", "date", "a string, YYYY-MM-DD", "YYYY-MM-DD"),
    TypeRule("timestamp", ("timestamp without time zone",), "date", "timestamptz", _STAMP_JSON, _STAMP_CSV),
    TypeRule("timestamptz", ("timestamp with time zone",), "date", "timestamptz", _STAMP_JSON, _STAMP_CSV),
    TypeRule("bytea", (), "string", "binary", f"a string of {_HEX}", _HEX, unbounded=True),
)

RULE_BY_NAME: Mapping[str, TypeRule] = MappingProxyType({rule.name: rule for rule in RULES})
_BY_SPELLING = {spelling: rule for rule in RULES for spelling in (rule.name, *rule.aliases)}
_SPELLING = re.compile(
    r"^(?P<name>[a-z0-9 ]+?)\s*(?:\(\s*(?P<p>\d+)\s*(?:,\s*(?P<s>\d+)\s*)?\))?(?P<zone> with(?:out)? time zone)?(?P<array>(\[\])*)$"
)

MAX_PRECISION = 38


@dataclass(frozen=True)
class ColumnType:
    """A column's type: the rule it follows, with the numbers in its brackets.

    ``length`` is the limit of a varchar in characters, ``precision`` and ``scale`` those of a numeric in digits.
    """

    name: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    spelling: str = ""

    @property
    def rule(self) -> TypeRule:
        """The rule of this type."""
        return RULE_BY_NAME[self.name]

    @property
    def iceberg(self) -> str:
        """The Iceberg type, e.g. ``decimal(12, 2)``."""
        return self.rule.iceberg.format(p=self.precision, s=self.scale)

    @property
    def unbounded(self) -> bool:
        """Whether PostgreSQL may leave the column out of an update that did not change it."""
        return self.rule.unbounded or (self.name == "varchar" and self.length is None)

    @property
    def is_text(self) -> bool:
        """Whether the value is free text and so may hold personal data."""
        return self.name in ("text", "varchar", "json", "array")

    @classmethod
    def parse(cls, spelling: str) -> ColumnType:
        """Parse PostgreSQL's spelling, e.g. ``numeric(12,2)``, ``character varying(40)``, ``text[]``.

        Raises ``UnknownType``. Its message lists the valid names.
        """
        match = _SPELLING.match(spelling.strip().lower())
        if match is None:
            raise UnknownType(f'unknown type "{spelling}"; one of {", ".join(RULE_BY_NAME)}, or one of them with []')
        name = match["name"] + (match["zone"] or "")
        if name not in _BY_SPELLING:
            raise UnknownType(f'unknown type "{spelling}"; one of {", ".join(RULE_BY_NAME)}, or one of them with []')
        if match["array"]:
            return cls("array", spelling=spelling)
        rule = _BY_SPELLING[name]
        first = int(match["p"]) if match["p"] else None
        if rule.name == "numeric":
            scale = int(match["s"] or 0)
            if first is None or not 1 <= first <= MAX_PRECISION or scale > first:
                raise UnknownType(
                    f'type "{spelling}" needs (precision, scale), 1 <= precision <= {MAX_PRECISION}, scale <= precision; or use double'
                )
            return cls("numeric", precision=first, scale=scale, spelling=spelling)
        return cls(rule.name, length=first if rule.name == "varchar" else None, spelling=spelling)


_DECIMAL = re.compile(r"decimal\((\d+), (\d+)\)")
_WIDENINGS = {("int", "long"), ("float", "double")}


def widens(old: str, new: str) -> bool:
    """Whether Iceberg promotes the type ``old`` to ``new``, so that files of both are read as ``new`` without a rewrite.

    Iceberg's type promotion: https://iceberg.apache.org/spec/#schema-evolution
    """
    narrow, wide = _DECIMAL.fullmatch(old), _DECIMAL.fullmatch(new)
    if narrow and wide:
        return narrow[2] == wide[2] and int(narrow[1]) <= int(wide[1])
    return old == new or (old, new) in _WIDENINGS
