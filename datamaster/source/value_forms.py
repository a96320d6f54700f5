"""The one table of value forms: what DMS writes into JSON for each PostgreSQL type.

``evidence`` tells how sure a form is: ``observed`` in a message that someone captured and published, ``documented`` by AWS
(https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Source.PostgreSQL.html, "Source data types for PostgreSQL"), or
``assumed``. docs/dms-messages.md shows the same table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

import orjson

Json = object
NOT_NUMBERS = (b"NaN", b"Infinity", b"-Infinity")
# DMS's NUMERIC without precision has 28 digits, six of them decimals.
SIX_DECIMALS = Decimal("0.000001")
WIDE = Context(prec=200)
WIDEST_NUMBER = 38  # digits; numeric's typmod holds the precision in its upper half
LAST_MOMENT, FIRST_MOMENT = "9999-12-31T23:59:59.998000", "0001-01-01T00:00:00.000000"


@dataclass(frozen=True)
class ValueForm:
    """How the values of some PostgreSQL types look in a message.

    ``types`` are names of pg_type, ``dms`` the type that a table definition names, ``write`` makes the JSON value from
    PostgreSQL's text. ``large`` types are LOBs: never part of a before-image.
    """

    name: str
    types: tuple[str, ...]
    dms: str
    json: str
    evidence: str
    write: Callable[[bytes], Json]
    large: bool = False


def number(text: bytes) -> Json:
    """The number token PostgreSQL wrote, digit by digit; a string where JSON has no such number."""
    return text.decode() if text in NOT_NUMBERS else orjson.Fragment(text)


def unbounded_numeric(text: bytes) -> Json:
    """A number token with six decimals, rounded half up."""
    if text in NOT_NUMBERS:
        return text.decode()
    return orjson.Fragment(f"{Decimal(text.decode()).quantize(SIX_DECIMALS, ROUND_HALF_UP, WIDE):f}")


def truth(text: bytes) -> Json:
    """The word "true" or "false"."""
    return "true" if text == b"t" else "false"


def moment(text: bytes) -> Json:
    """Date and time with six decimals and no zone, in UTC, from PostgreSQL's ISO style in a session of UTC."""
    if text == b"infinity":
        return LAST_MOMENT
    if text == b"-infinity" or text.endswith(b" BC"):
        return FIRST_MOMENT
    day, _, clock = text.decode().removesuffix("+00").partition(" ")
    seconds, _, fraction = clock.partition(".")
    return f"{day}T{seconds}.{fraction:0<6}"


def day(text: bytes) -> Json:
    """A date; those that the calendar of ISO 8601 lacks become its first or last."""
    if text == b"infinity":
        return LAST_MOMENT[:10]
    if text == b"-infinity" or text.endswith(b" BC"):
        return FIRST_MOMENT[:10]
    return text.decode()


def hexadecimal(text: bytes) -> Json:
    """Hexadecimal digits in upper case behind 0x, from PostgreSQL's hex output."""
    return "0x" + text[2:].decode().upper()


def plain(text: bytes) -> Json:
    """PostgreSQL's own text."""
    return text.decode()


FORMS: tuple[ValueForm, ...] = (
    ValueForm("smallint", ("int2",), "INT16", "number", "documented", number),
    ValueForm("integer", ("int4",), "INT32", "number", "observed", number),
    ValueForm("bigint", ("int8",), "INT64", "number", "observed", number),
    ValueForm("oid", ("oid",), "INT64", "number", "assumed", number),
    ValueForm("real", ("float4",), "REAL4", 'number; "NaN", "Infinity", "-Infinity"', "assumed", number),
    ValueForm("double", ("float8",), "REAL8", 'number; "NaN", "Infinity", "-Infinity"', "assumed", number),
    ValueForm("numeric(p,s)", ("numeric",), "NUMERIC", "number with s decimals", "assumed", number),
    ValueForm("numeric(39 and more)", (), "STRING", "string", "documented", plain),
    ValueForm("numeric", (), "NUMERIC", "number with six decimals, as NUMERIC(28,6)", "documented", unbounded_numeric),
    ValueForm("boolean", ("bool",), "STRING", '"true" or "false", as CHAR(5)', "documented", truth),
    ValueForm("varchar, char", ("varchar", "bpchar", "name"), "STRING", "string", "observed", plain),
    ValueForm("uuid", ("uuid",), "STRING", "string", "assumed", plain),
    ValueForm("interval", ("interval",), "STRING", "string", "assumed", plain),
    ValueForm("date", ("date",), "DATE", '"YYYY-MM-DD"', "assumed", day),
    ValueForm("time", ("time", "timetz"), "TIME", "string", "assumed", plain),
    ValueForm("timestamp", ("timestamp",), "TIMESTAMP", '"YYYY-MM-DDTHH:MM:SS.ffffff", no zone', "assumed", moment),
    ValueForm("timestamptz", ("timestamptz",), "TIMESTAMP", "the same, in UTC: DATETIME has no zone", "documented", moment),
    ValueForm("text", ("text", "xml", "citext"), "STRING", "string (NCLOB)", "documented", plain, large=True),
    ValueForm("json", ("json", "jsonb"), "STRING", "string holding the JSON text (NCLOB)", "observed", plain, large=True),
    ValueForm("array", (), "STRING", "string, PostgreSQL's array text (NCLOB)", "assumed", plain, large=True),
    ValueForm("bytea", ("bytea",), "BLOB", '"0x" and upper-case hexadecimal digits (BLOB)', "assumed", hexadecimal, large=True),
    ValueForm("enum", (), "STRING", "string; a deviation, DMS does not migrate enums", "documented", plain),
    ValueForm("any other", (), "STRING", "string, PostgreSQL's text", "assumed", plain),
)
"""Every form, in the order of the table on the page."""

BY_NAME = {form.name: form for form in FORMS}
BY_TYPE = {name: form for form in FORMS for name in form.types}


def form_of(type_name: str, category: str, modifier: int) -> ValueForm:
    """The form of a column.

    ``type_name`` and ``category`` are those of pg_type (the base type of a domain), ``modifier`` is the column's typmod,
    -1 where it has none. https://www.postgresql.org/docs/current/catalog-pg-type.html
    """
    if category == "A":
        return BY_NAME["array"]
    if category == "E":
        return BY_NAME["enum"]
    if type_name == "numeric" and modifier < 0:
        return BY_NAME["numeric"]
    if type_name == "numeric" and modifier >> 16 > WIDEST_NUMBER:
        return BY_NAME["numeric(39 and more)"]
    return BY_TYPE.get(type_name, BY_NAME["any other"])


def markdown() -> str:
    """The table of docs/dms-messages.md."""
    lines = ["| PostgreSQL | in a table-def | JSON value | evidence |", "|---|---|---|---|"]
    lines += [f"| {form.name} | {form.dms} | {form.json} | {form.evidence} |" for form in FORMS]
    return "\n".join(lines)
