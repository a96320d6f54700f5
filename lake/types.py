"""The one table of column types.

It says how a PostgreSQL type is written on the raw lines, in Parquet, in Iceberg and in the engines' SQL. The router, both
parsers of the converter, contracts, masks, jobs, definitions of tables and docs/types.md read it. To add a type, add a line to
``RULES``. A type whose values are written in a way of their own needs a line in ``FORMS`` too, and functions that read it:
``ingest.normalisers``, ``convert.parse.field_values`` and the kernel's ``Kind`` have one of each form.
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
class Form:
    """How values are written and held. ``{p}`` and ``{s}`` are precision and scale.

    ``json`` says which JSON values a raw line may hold, ``csv`` which field texts an export may hold: both stand behind
    "expected" in the message on a value that is none. ``arrow`` is the type in bronze, ``iceberg`` in silver, ``sql`` the
    same in the SQL of Spark and Hive. ``to_text`` and ``from_text`` are SQL that carries a value as text without loss.
    """

    name: str
    arrow: str
    iceberg: str
    sql: str
    json: str
    csv: str
    to_text: str = "{}"
    from_text: str = ""


@dataclass(frozen=True)
class TypeRule:
    """How one PostgreSQL type travels.

    ``logicals`` are words of the Open Data Contract Standard, the first of them the lake's own choice.
    ``unbounded`` types may be stored out of line by PostgreSQL, so an update may not carry them (unchanged TOAST).
    ``free_text`` may hold personal data. ``units`` says in which unit a partition column may count, the first by default.
    ``json`` stands in place of the form's.
    """

    name: str
    aliases: tuple[str, ...]
    form: Form
    logicals: tuple[str, ...]
    unbounded: bool = False
    free_text: bool = False
    units: tuple[str, ...] = ()
    brackets: str = ""
    json: str = ""


LENGTH, DIGITS = "length", "digits"
"""The meaning of a type's brackets."""
_INT = "a whole number of {} bits, without quotes, point and exponent".format
_INT_CSV = "a whole number of {} bits: digits with an optional sign".format
_FLOAT = 'a number, without quotes; "NaN", "Infinity" and "-Infinity" if the contract allows them'
_FLOAT_CSV = "a number in decimal or scientific notation; NaN, Infinity and -Infinity if the contract allows them"
_NUMBER = "a number, or a string without exponent, of at most {p} digits, {s} of them behind the point"
_NUMBER_CSV = "a number without exponent and thousands separators, of at most {p} digits, {s} of them behind the point"
_STAMP = "YYYY-MM-DDThh:mm:ss{}, up to 6 decimals, zone Z or ±hh[:mm]; without a zone it is UTC".format
_UUID = "8-4-4-4-12 hexadecimal digits"
_HEX = "hexadecimal digits, two a byte, with or without \\x before them"

INT16 = Form("int16", "int32", "int", "int", _INT(16), _INT_CSV(16))
INT32 = Form("int32", "int32", "int", "int", _INT(32), _INT_CSV(32))
INT64 = Form("int64", "int64", "long", "bigint", _INT(64), _INT_CSV(64))
FLOAT32 = Form("float32", "float", "float", "float", _FLOAT, _FLOAT_CSV)
FLOAT64 = Form("float64", "double", "double", "double", _FLOAT, _FLOAT_CSV)
DECIMAL = Form("decimal", "decimal128({p}, {s})", "decimal({p}, {s})", "decimal({p},{s})", _NUMBER, _NUMBER_CSV)
BOOLEAN = Form("boolean", "bool", "boolean", "boolean", "true or false, without quotes", "t, f, true or false")
TEXT = Form("text", "string", "string", "string", "a string", "any text")
UUID = Form("uuid", "string", "string", "string", f"a string of {_UUID}", _UUID)
DATE = Form("date", "date32[day]", "date", "date", "a string, YYYY-MM-DD", "YYYY-MM-DD")
TIMESTAMP = Form(
    "timestamp", "timestamp[us, tz=UTC]", "timestamptz", "timestamp", f"a string, {_STAMP('')}", _STAMP(" or a space for the T")
)
BYTES = Form("bytes", "binary", "binary", "binary", f"a string of {_HEX}", _HEX, "hex({})", "unhex({})")

FORMS: Mapping[str, Form] = MappingProxyType(
    {f.name: f for f in (INT16, INT32, INT64, FLOAT32, FLOAT64, DECIMAL, BOOLEAN, TEXT, UUID, DATE, TIMESTAMP, BYTES)}
)
SQL_TYPES: Mapping[str, str] = MappingProxyType({form.iceberg: form.sql for form in FORMS.values()})
"""The engines' name of each Iceberg type."""

_EPOCHS = ("epoch_seconds", "epoch_milliseconds", "epoch_microseconds", "epoch_millis", "epoch_micros")
_DATES = ("date", "timestamp")

RULES: tuple[TypeRule, ...] = (
    TypeRule("smallint", ("int2", "smallserial"), INT16, ("integer",)),
    TypeRule("integer", ("int", "int4", "serial"), INT32, ("integer",), units=_EPOCHS[:1]),
    TypeRule("bigint", ("int8", "bigserial"), INT64, ("integer",), units=_EPOCHS),
    TypeRule("real", ("float4",), FLOAT32, ("number",)),
    TypeRule("double", ("double precision", "float8", "float"), FLOAT64, ("number",)),
    TypeRule("numeric", ("decimal",), DECIMAL, ("number",), brackets=DIGITS),
    TypeRule("boolean", ("bool",), BOOLEAN, ("boolean",)),
    TypeRule("text", (), TEXT, ("string",), unbounded=True, free_text=True),
    TypeRule("varchar", ("character varying", "character", "char", "bpchar"), TEXT, ("string",), free_text=True, brackets=LENGTH),
    TypeRule("uuid", (), UUID, ("string",)),
    TypeRule("json", ("jsonb",), TEXT, ("object",), unbounded=True, free_text=True, json="a string that holds the JSON text"),
    TypeRule("array", (), TEXT, ("array",), unbounded=True, free_text=True, json="a string that holds the array's text"),
    TypeRule("enum", (), TEXT, ("string",)),
    TypeRule("interval", (), TEXT, ("string",)),
    TypeRule("date", (), DATE, _DATES, units=("date", "timestamp")),
    TypeRule("timestamp", ("timestamp without time zone",), TIMESTAMP, _DATES, units=("timestamp",)),
    TypeRule("timestamptz", ("timestamp with time zone",), TIMESTAMP, _DATES, units=("timestamp",)),
    TypeRule("bytea", (), BYTES, ("string",), unbounded=True),
)

RULE_BY_SPELLING: dict[str, TypeRule] = {spelling: rule for rule in RULES for spelling in (rule.name, *rule.aliases)}
_SPELLING = re.compile(
    r"^(?P<name>[a-z0-9 ]+?)\s*(?:\(\s*(?P<p>\d+)\s*(?:,\s*(?P<s>\d+)\s*)?\))?(?P<zone> with(?:out)? time zone)?(?P<array>(\[\])*)$"
)
ARRAY = "array"
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
        return RULE_BY_SPELLING[self.name]

    @property
    def form(self) -> Form:
        """How its values are written and held."""
        return self.rule.form

    @property
    def iceberg(self) -> str:
        """The Iceberg type, e.g. ``decimal(12, 2)``."""
        return self.form.iceberg.format(p=self.precision, s=self.scale)

    @property
    def sql(self) -> str:
        """The type in the SQL of Spark and Hive, e.g. ``bigint``."""
        return self.form.sql.format(p=self.precision, s=self.scale)

    @property
    def unbounded(self) -> bool:
        """Whether PostgreSQL may leave the column out of an update that did not change it."""
        return self.rule.unbounded or (self.rule.brackets == LENGTH and self.length is None)

    @property
    def is_text(self) -> bool:
        """Whether the value is free text, and so may hold personal data."""
        return self.rule.free_text

    @property
    def is_float(self) -> bool:
        """Whether the value is a binary floating-point number."""
        return self.form in (FLOAT32, FLOAT64)

    @property
    def is_number(self) -> bool:
        """Whether PostgreSQL can take a number from the value."""
        return self.rule.logicals[0] in ("integer", "number")

    @classmethod
    def parse(cls, spelling: str) -> ColumnType:
        """Read PostgreSQL's spelling, e.g. ``numeric(12,2)``, ``character varying(40)``, ``text[]``.

        Raises ``UnknownType``, whose message lists the valid names.
        """
        match = _SPELLING.match(spelling.strip().lower())
        rule = RULE_BY_SPELLING.get(match["name"] + (match["zone"] or "")) if match else None
        if match is None or rule is None:
            names = ", ".join(dict.fromkeys(rule.name for rule in RULE_BY_SPELLING.values()))
            raise UnknownType(f'unknown type "{spelling}"; one of {names}, or one of them with []')
        if match["array"]:
            return cls(ARRAY, spelling=spelling)
        first = int(match["p"]) if match["p"] else None
        if rule.brackets == DIGITS:
            scale = int(match["s"] or 0)
            if first is None or not 1 <= first <= MAX_PRECISION or scale > first:
                raise UnknownType(
                    f'type "{spelling}" needs (precision, scale), 1 <= precision <= {MAX_PRECISION}, scale <= precision; or use double'
                )
            return cls(rule.name, precision=first, scale=scale, spelling=spelling)
        return cls(rule.name, length=first if rule.brackets == LENGTH else None, spelling=spelling)


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
