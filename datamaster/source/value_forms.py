"""The table of value forms: DMS's JSON for each PostgreSQL type, and the type in a contract.

``evidence`` gives the source of a form. ``observed`` is a captured and published message, ``documented`` is AWS's page
(https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Source.PostgreSQL.html, "Source data types for PostgreSQL"), and ``assumed`` is
neither. docs/dms-messages.md shows the same table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from lake.types import MAX_PRECISION, RULES

Json = object
NOT_NUMBERS = (b"NaN", b"Infinity", b"-Infinity")
OWN_SPELLING = ""


@dataclass(frozen=True)
class ValueForm:
    """The form of some PostgreSQL types in a message.

    ``types`` are names of pg_type, ``dms`` is the type in a table definition, and ``write`` makes the JSON value from PostgreSQL's text.
    ``large`` types are LOBs, which a before-image only carries as a key. ``contract`` is the type in a generated contract, by default the
    source's own.
    """

    name: str
    types: tuple[str, ...]
    dms: str
    json: str
    evidence: str
    write: Callable[[bytes], Json]
    large: bool = False
    contract: str = OWN_SPELLING


def number(text: bytes) -> Json:
    """PostgreSQL's number token, digit by digit, or a string if JSON has no such number."""
    return text.decode() if text in NOT_NUMBERS else orjson.Fragment(text)


def rounded(text: bytes) -> Json:
    """An integer as DMS writes it by default: with more than 16 digits in scientific notation, as a double has it.

    https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html
    """
    return number(text) if len(text.lstrip(b"-")) <= 16 else orjson.Fragment(f"{float(text)!r}".encode())


def floating(text: bytes) -> Json:
    """A number token. Minus zero is written as -0.0, because -0 is read as an integer."""
    return orjson.Fragment(b"-0.0") if text == b"-0" else number(text)


def truth(text: bytes) -> Json:
    """The word "true" or "false"."""
    return "true" if text == b"t" else "false"


def moment(text: bytes) -> Json:
    """Date and time with six decimals and no zone, in UTC, from PostgreSQL's ISO style in a UTC session.

    Infinity and years before 1 stay as PostgreSQL writes them, and the router refuses them.
    """
    if text.endswith((b"infinity", b" BC")):
        return text.decode()
    day, _, clock = text.decode().removesuffix("+00").partition(" ")
    seconds, _, fraction = clock.partition(".")
    return f"{day}T{seconds}.{fraction:0<6}"


def hexadecimal(text: bytes) -> Json:
    """Upper-case hexadecimal digits after 0x, from PostgreSQL's hex output."""
    return "0x" + text[2:].decode().upper()


def plain(text: bytes) -> Json:
    """PostgreSQL's own text."""
    return text.decode()


_NAMED: tuple[ValueForm, ...] = (
    ValueForm("smallint", ("int2",), "INT16", "number", "documented", number),
    ValueForm("integer", ("int4",), "INT32", "number", "observed", number),
    ValueForm("bigint", ("int8",), "INT64", "number", "observed", number),
    ValueForm("oid", ("oid",), "INT64", "number", "assumed", number, contract="bigint"),
    ValueForm("real", ("float4",), "REAL4", 'number; "NaN", "Infinity", "-Infinity"', "assumed", floating),
    ValueForm("double", ("float8",), "REAL8", 'number; "NaN", "Infinity", "-Infinity"', "assumed", floating),
    ValueForm("numeric(p,s)", ("numeric",), "NUMERIC", 'number with s decimals; "NaN"', "assumed", number),
    ValueForm("numeric(39 and more)", (), "STRING", "string", "documented", plain, contract="text"),
    ValueForm("numeric", (), "STRING", "string with every digit, by MapUnboundedNumericAsString", "documented", plain, contract="text"),
    ValueForm("boolean", ("bool",), "STRING", '"true" or "false", as CHAR(5)', "documented", truth),
    ValueForm("varchar, char", ("varchar", "bpchar"), "STRING", "string", "observed", plain),
    ValueForm("name", ("name",), "STRING", "string", "assumed", plain, contract="text"),
    ValueForm("interval", ("interval",), "STRING", "string", "assumed", plain, contract="interval"),
    ValueForm("date", ("date",), "DATE", '"YYYY-MM-DD"; PostgreSQL\'s text of infinity and years before 1', "assumed", plain),
    ValueForm("time", ("time", "timetz"), "TIME", "string", "assumed", plain, contract="text"),
    ValueForm("timestamp", ("timestamp",), "TIMESTAMP", '"YYYY-MM-DDTHH:MM:SS.ffffff", no zone; else as date', "assumed", moment),
    ValueForm("timestamptz", ("timestamptz",), "TIMESTAMP", "the same, in UTC: DATETIME has no zone", "documented", moment),
    ValueForm("text", ("text",), "STRING", "string (NCLOB)", "documented", plain, large=True),
    ValueForm("xml, citext", ("xml", "citext"), "STRING", "string (NCLOB)", "documented", plain, large=True, contract="text"),
    ValueForm("json", ("json", "jsonb"), "STRING", "string holding the JSON text (NCLOB)", "observed", plain, large=True),
    ValueForm("array", (), "STRING", "string, PostgreSQL's array text (NCLOB)", "assumed", plain, large=True, contract="text[]"),
    ValueForm("bytea", ("bytea",), "BLOB", '"0x" and upper-case hexadecimal digits (BLOB)', "assumed", hexadecimal, large=True),
    ValueForm("enum", (), "STRING", "string; a deviation, DMS does not migrate enums", "documented", plain, contract="enum"),
)
OTHER = ValueForm("any other", (), "STRING", "string, PostgreSQL's text", "assumed", plain, contract="text")


def forms() -> list[ValueForm]:
    """Every form, in the order of the table on the page. A type of the lake that none above names is a string."""
    named = {name for form in _NAMED for name in (form.name, *form.types)}
    own = [rule for rule in RULES if not named.intersection((rule.name, *rule.aliases))]
    plain_forms = (ValueForm(rule.name, (rule.name,), "STRING", "string", "assumed", plain, rule.unbounded) for rule in own)
    return [*_NAMED, *plain_forms, OTHER]


BY_NAME = {form.name: form for form in forms()}
BY_TYPE = {name: form for form in forms() for name in form.types}


def form_of(type_name: str, category: str, modifier: int) -> ValueForm:
    """The form of a column.

    ``type_name`` and ``category`` come from pg_type (the base type of a domain). ``modifier`` is the column's typmod, or -1 without one.
    https://www.postgresql.org/docs/current/catalog-pg-type.html
    """
    if category == "A":
        return BY_NAME["array"]
    if category == "E":
        return BY_NAME["enum"]
    if type_name == "numeric":
        size = numeric_size(modifier)
        return BY_NAME["numeric" if size is None else "numeric(p,s)" if size[0] <= MAX_PRECISION else "numeric(39 and more)"]
    return BY_TYPE.get(type_name, OTHER)


def numeric_size(modifier: int) -> tuple[int, int] | None:
    """Digits and decimals that hold every value of a numeric of this typmod, or None without a bound.

    The scale has 11 bits and a sign: numeric(5,-2) holds multiples of 100 of up to 7 digits, numeric(3,5) 5 decimals.
    """
    if modifier < 0:
        return None
    precision, scale = modifier - 4 >> 16, ((modifier - 4 & 0x7FF) ^ 1024) - 1024
    return (precision - scale, 0) if scale < 0 else (max(precision, scale), scale)


def markdown() -> str:
    """The table of docs/dms-messages.md."""
    lines = ["| PostgreSQL | in a table-def | JSON value | evidence |", "|---|---|---|---|"]
    lines += [f"| {form.name} | {form.dms} | {form.json} | {form.evidence} |" for form in forms()]
    return "\n".join(lines)
