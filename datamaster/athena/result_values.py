"""Values and types as Athena gives them: every cell is text, in Java's and Trino's forms.

https://docs.aws.amazon.com/athena/latest/ug/data-types.html, https://docs.aws.amazon.com/athena/latest/APIReference/API_ColumnInfo.html
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy
import pyarrow
from sqlglot import exp

from datamaster.athena.zones import ZONED, zoned_text

TIMESTAMP_FORM = "%Y-%m-%d %H:%M:%S.%f"
_VARCHAR_PRECISION = 2147483647
_SIMPLE = {
    "BOOLEAN": ("boolean", 0),
    "TINYINT": ("tinyint", 3),
    "SMALLINT": ("smallint", 5),
    "INTEGER": ("integer", 10),
    "BIGINT": ("bigint", 19),
    "FLOAT": ("float", 17),
    "DOUBLE": ("double", 17),
    "VARCHAR": ("varchar", _VARCHAR_PRECISION),
    "UUID": ("uuid", 0),
    "JSON": ("json", 0),
    "DATE": ("date", 0),
    "TIME": ("time", 3),
    "TIMESTAMP": ("timestamp", 3),
    "TIMESTAMP_S": ("timestamp", 3),
    "TIMESTAMP_MS": ("timestamp", 3),
    "TIMESTAMP_NS": ("timestamp", 3),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", 3),
    ZONED: ("timestamp with time zone", 3),
    "INTERVAL": ("interval day to second", 0),
    "INTERVAL YEAR TO MONTH": ("interval year to month", 0),
    "BLOB": ("varbinary", 1073741824),
    "NULL": ("unknown", 0),
    # Sums of integers: Athena's stay bigint and overflow there.
    "HUGEINT": ("bigint", 19),
    "UHUGEINT": ("bigint", 19),
    "UBIGINT": ("bigint", 19),
    "UINTEGER": ("bigint", 19),
    "USMALLINT": ("integer", 10),
    "UTINYINT": ("smallint", 5),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


@dataclass(frozen=True)
class ResultColumn:
    """A column of a result. ``engine_type`` is DuckDB's type, the rest is Athena's ColumnInfo."""

    name: str
    engine_type: str

    @property
    def info(self) -> dict[str, Any]:
        """Athena's ColumnInfo."""
        name, precision, scale = _athena_type(self.engine_type)
        return {
            "CatalogName": "hive",
            "SchemaName": "",
            "TableName": "",
            "Name": self.name,
            "Label": self.name,
            "Type": name,
            "Precision": precision,
            "Scale": scale,
            "Nullable": "UNKNOWN",
            "CaseSensitive": name in ("varchar", "json"),
        }

    def text(self, expression: str) -> str:
        """The SQL that turns ``expression`` into Athena's text. Nested values stay for ``nested_text``."""
        kind = self.engine_type
        if kind == ZONED:
            return zoned_text(expression, TIMESTAMP_FORM)
        if kind.startswith("INTERVAL"):
            return _interval_text(expression)
        if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
            return expression
        if kind in ("DOUBLE", "FLOAT"):
            # DuckDB's shortest digits are Java's from 0.001 up to 10,000,000; the rest is rare and goes through Python.
            plain = f"abs({expression}) >= 1e-3 AND abs({expression}) < 1e7 OR {expression} = 0 AND NOT signbit({expression})"
            return f"CASE WHEN {plain} THEN CAST({expression} AS VARCHAR) ELSE java_{kind.lower()}({expression}) END"
        if kind == "TIMESTAMP WITH TIME ZONE":
            return f"strftime({expression}, '{TIMESTAMP_FORM} UTC')"
        if kind.startswith("TIMESTAMP"):
            return f"strftime(CAST({expression} AS TIMESTAMP), '{TIMESTAMP_FORM}')"
        if kind == "BLOB":
            return f"rtrim(regexp_replace(lower(hex({expression})), '(..)', '\\1 ', 'g'))"
        if _athena_type(kind)[0] == "bigint":
            return f"CAST(CAST({expression} AS BIGINT) AS VARCHAR)"
        return f"CAST({expression} AS VARCHAR)"


def _athena_type(engine_type: str) -> tuple[str, int, int]:
    if match := _DECIMAL.fullmatch(engine_type):
        return "decimal", int(match[1]), int(match[2])
    if engine_type.endswith("]"):
        return "array", 0, 0
    if engine_type.startswith("STRUCT") and engine_type != ZONED:
        return "row", 0, 0
    if engine_type.startswith("MAP"):
        return "map", 0, 0
    name, precision = _SIMPLE.get(engine_type, ("varchar", _VARCHAR_PRECISION))
    return name, precision, 0


def _interval_text(expression: str) -> str:
    """``2-3`` for years and months, ``1 02:03:04.567`` for the rest. The engine has one type for both."""
    months = f"(date_part('year', {expression}) * 12 + date_part('month', {expression}))"
    sign = f"CASE WHEN {expression} < INTERVAL 0 DAY THEN '-' ELSE '' END"
    whole = f"CAST(trunc(abs(epoch({expression}))) AS BIGINT)"
    time = f"printf('%d %02d:%02d:%02d.%03d', {whole} // 86400, {whole} // 3600 % 24, {whole} // 60 % 60, {whole} % 60, \
CAST(abs(epoch_ms({expression})) % 1000 AS BIGINT))"
    return f"{sign} || CASE WHEN {months} <> 0 THEN printf('%d-%d', abs({months}) // 12, abs({months}) % 12) ELSE {time} END"


def athena_type(engine_type: str) -> str:
    """Athena's name of an engine's type, as ``typeof`` gives it: ``array(varchar)``, ``decimal(12,2)``, ``timestamp(6) with time zone``."""
    if engine_type in ('"NULL"', "NULL"):
        return "unknown"
    return trino_type(engine_type.replace(ZONED, "TIMESTAMP WITH TIME ZONE").replace("HUGEINT", "BIGINT"), "duckdb")


def trino_type(text: str, dialect: str) -> str:
    """A type of another dialect as Trino writes it."""
    written = exp.DataType.build(text, dialect=dialect).sql(dialect="trino").lower()
    return re.sub(r"\btimestamp\b", "timestamp(6)", re.sub(r"decimal\((\d+), (\d+)\)", r"decimal(\1,\2)", written))


def human_readable_seconds(seconds: float) -> str:
    """``1 minute, 36 seconds``: https://trino.io/docs/current/functions/datetime.html"""
    left = round(abs(seconds))
    parts: list[str] = []
    for name, size in (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count or (name == "second" and not parts):
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return ", ".join(parts)


def java_double(value: float) -> str:
    """``Double.toString``: plain from 0.001 up to 10,000,000, else one digit before the point and an exponent."""
    return _java(value, repr(value))


def trino_double(value: float) -> str:
    """A double or real cast to varchar: always one digit before the point and an exponent, ``0E0`` for zero."""
    if value == 0:
        return "-0E0" if math.copysign(1, value) < 0 else "0E0"
    if math.isnan(value) or math.isinf(value):
        return java_double(value)
    return _exponent(Decimal(repr(value)).normalize())


def trino_float(value: float) -> str:
    """The same with the shortest digits of 32 bits."""
    return trino_double(value) if value == 0 or not math.isfinite(value) else _exponent(Decimal(str(numpy.float32(value))).normalize())


def java_float(value: float) -> str:
    """``Float.toString``: the same with the shortest digits of 32 bits."""
    return _java(value, str(numpy.float32(value)))


def _java(value: float, shortest: str) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    number = Decimal(shortest).normalize()
    if -3 <= number.adjusted() < 7:
        plain = format(Decimal(shortest), "f")
        return plain if "." in plain else plain + ".0"
    return _exponent(number)


def _exponent(number: Decimal) -> str:
    text = "".join(map(str, number.as_tuple().digits))
    return f"{'-' if number < 0 else ''}{text[0]}.{text[1:] or '0'}E{number.adjusted()}"


def nested_text(value: Any, kind: pyarrow.DataType) -> str:
    """An array, map or row in Trino's form: ``[a, b]``, ``{k=v}``. Null inside is ``null``."""
    if value is None:
        return "null"
    if pyarrow.types.is_map(kind):
        return "{" + ", ".join(f"{nested_text(k, kind.key_type)}={nested_text(v, kind.item_type)}" for k, v in value) + "}"
    if pyarrow.types.is_struct(kind):
        return "{" + ", ".join(f"{field.name}={nested_text(value[field.name], field.type)}" for field in kind) + "}"
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind) or pyarrow.types.is_fixed_size_list(kind):
        return "[" + ", ".join(nested_text(item, kind.value_type) for item in value) + "]"
    return _scalar_text(value, kind)


def _scalar_text(value: Any, kind: pyarrow.DataType) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return java_float(value) if pyarrow.types.is_float32(kind) else java_double(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds") + (" UTC" if value.tzinfo else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex(" ")
    return format(value, "f") if isinstance(value, Decimal) else str(value)
