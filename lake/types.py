"""The one table of column types.

It says how a PostgreSQL type is written on the raw lines, in Parquet and in Iceberg. The router's normalisation,
both parsers of the converter, the Iceberg DDL and docs/types.md are driven by it.
PostgreSQL's names: https://www.postgresql.org/docs/current/datatype.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lake.errors import TerminalError


class UnknownType(TerminalError):
    """A contract names a column type that the lake does not carry."""


@dataclass(frozen=True)
class TypeRule:
    """How one PostgreSQL type travels.

    ``json`` says which JSON values a raw line may hold, ``csv`` which field texts an export may hold, ``iceberg`` is the
    type in silver (``{p}`` and ``{s}`` are precision and scale), ``logical`` the word of the Open Data Contract Standard.
    ``unbounded`` types may be stored out of line by PostgreSQL, so an update may not carry them (unchanged TOAST).
    """

    name: str
    aliases: tuple[str, ...]
    logical: str
    iceberg: str
    json: str
    csv: str
    unbounded: bool = False


_INT = "integer token in range"
_FLOAT = 'number token; "NaN", "Infinity", "-Infinity" where the contract allows'
_FLOAT_CSV = "decimal or scientific notation; NaN, Infinity, -Infinity where the contract allows"
_STAMP = "string, ISO 8601 date and time, up to 6 decimals, zone Z or ±hh[:mm]; no zone is UTC"

RULES: tuple[TypeRule, ...] = (
    TypeRule("smallint", ("int2", "smallserial"), "integer", "int", f"{_INT} of 16 bits", "decimal digits with optional sign"),
    TypeRule("integer", ("int", "int4", "serial"), "integer", "int", f"{_INT} of 32 bits", "decimal digits with optional sign"),
    TypeRule("bigint", ("int8", "bigserial"), "integer", "long", f"{_INT} of 64 bits", "decimal digits with optional sign"),
    TypeRule("real", ("float4",), "number", "float", _FLOAT, _FLOAT_CSV),
    TypeRule("double", ("double precision", "float8", "float"), "number", "double", _FLOAT, _FLOAT_CSV),
    TypeRule(
        "numeric",
        ("decimal",),
        "number",
        "decimal({p}, {s})",
        "number token or numeric string that fits exactly",
        "plain decimal that fits exactly",
    ),
    TypeRule("boolean", ("bool",), "boolean", "boolean", "true or false", "t, f, true, false"),
    TypeRule("text", (), "string", "string", "string", "any", unbounded=True),
    TypeRule("varchar", ("character varying", "character", "char", "bpchar"), "string", "string", "string", "any"),
    TypeRule("uuid", (), "string", "string", "string, 8-4-4-4-12 hexadecimal digits", "8-4-4-4-12 hexadecimal digits"),
    TypeRule("json", ("jsonb",), "object", "string", "string", "any", unbounded=True),
    TypeRule("array", (), "array", "string", "string", "any", unbounded=True),
    TypeRule("enum", (), "string", "string", "string", "any"),
    TypeRule("interval", (), "string", "string", "string", "any"),
    TypeRule("date", (), "date", "date", "string, YYYY-MM-DD", "YYYY-MM-DD"),
    TypeRule("timestamp", ("timestamp without time zone",), "date", "timestamptz", _STAMP, "the same; a space may stand for T"),
    TypeRule("timestamptz", ("timestamp with time zone",), "date", "timestamptz", _STAMP, "the same; a space may stand for T"),
    TypeRule(
        "bytea",
        (),
        "string",
        "binary",
        "string, hexadecimal digits with or without \\x",
        "hexadecimal digits with or without \\x",
        unbounded=True,
    ),
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

    ``length`` is the bound of a varchar in characters, ``precision`` and ``scale`` those of a numeric in digits.
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
        """Whether the value is free text, and so may hold personal data."""
        return self.name in ("text", "varchar", "json", "array")

    @classmethod
    def parse(cls, spelling: str) -> ColumnType:
        """Read PostgreSQL's spelling, e.g. ``numeric(12,2)``, ``character varying(40)``, ``text[]``.

        Raises ``UnknownType``, whose message lists the valid names.
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


_WIDENINGS = {("smallint", "integer"), ("smallint", "bigint"), ("integer", "bigint"), ("real", "double")}


def widens(old: ColumnType, new: ColumnType) -> bool:
    """Whether every value of ``old`` is a value of ``new`` and files of both read as ``new`` without a rewrite.

    Iceberg's type promotion: https://iceberg.apache.org/spec/#schema-evolution
    """
    if old.name == new.name == "numeric":
        return old.scale == new.scale and (new.precision or 0) >= (old.precision or 0)
    if old.iceberg == new.iceberg:
        return old.name == new.name or {old.name, new.name} <= {
            "text",
            "varchar",
            "json",
            "array",
            "enum",
            "interval",
            "smallint",
            "integer",
            "timestamp",
            "timestamptz",
        }
    return (old.name, new.name) in _WIDENINGS
