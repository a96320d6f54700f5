"""Translate Athena's SQL to the engine's if sqlglot's translation is not exact.

Engine version 3 is Trino's SQL: https://docs.aws.amazon.com/athena/latest/ug/engine-versions-reference-0003.html,
https://trino.io/docs/current/functions/datetime.html
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp
from sqlglot.errors import SqlglotError

from datamaster.athena.arithmetic import TypeOf, exact
from datamaster.athena.failures import NotAnswered, StatementFailed
from datamaster.athena.zones import rewritten, with_zones

JODA = {
    "yyyy": "%Y", "y": "%Y", "yy": "%y", "xxxx": "%G", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%-m", "dd": "%d", "d": "%-d",
    "EEEE": "%A", "EEE": "%a", "EE": "%a", "E": "%a", "e": "%u", "DDD": "%j", "D": "%-j", "ww": "%V", "HH": "%H", "H": "%-H",
    "hh": "%I", "h": "%-I", "mm": "%M", "m": "%-M", "ss": "%S", "s": "%-S", "SSS": "%g", "SSSSSS": "%f", "a": "%p",
    "Z": "+0000", "ZZ": "+00:00", "ZZZ": "UTC",
}  # fmt: skip
"""Joda's letters as strftime's: https://www.joda.org/joda-time/apidocs/org/joda/time/format/DateTimeFormat.html"""
_JODA_PART = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def engine_sql(tree: exp.Query, type_of: TypeOf) -> str:
    """The statement as DuckDB's SQL. ``type_of`` gives the engine's type of an expression at its place.

    Raises ``StatementFailed`` for a form that DuckDB does not have.
    """
    try:
        translated = rewritten(with_zones(tree.copy()), _translated)
        return exact(translated, type_of).sql(dialect="duckdb")
    except SqlglotError as error:
        raise StatementFailed("NOT_SUPPORTED", str(error).splitlines()[0]) from error


def _translated(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.DataType) and node.this in (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ):
        # Athena compares timestamps of every precision, with and without zone; the engine only those of microseconds.
        return exp.DataType(this=node.this, nested=False)
    if isinstance(node, exp.Cast) and node.to.this in exp.DataType.TEXT_TYPES:
        return _as_text(node)
    if isinstance(node, exp.Typeof):
        literal = isinstance(node.this, exp.Literal) and node.this.is_string
        return exp.Literal.string(f"varchar({len(node.this.name)})") if literal else exp.func("athena_type", node.copy())
    if isinstance(node, exp.Anonymous):
        translate = FUNCTIONS.get(node.name.lower())
        return translate(node) if translate else node
    if isinstance(node, exp.ParseDatetime):
        parsed = exp.Anonymous(this="strptime", expressions=[node.this.copy(), _strftime(node.args["format"])])
        return exp.cast(parsed, exp.DType.TIMESTAMPTZ)
    return node


def _as_text(cast: exp.Cast) -> exp.Expr:
    """A cast to varchar: in the engine's text of a timestamp or a double Athena's forms are missing."""
    text: exp.Expr = exp.func("athena_varchar", cast.this.copy())
    if cast.to.expressions:
        text = exp.func("left", text, cast.to.expressions[0].this.copy())
    return exp.Try(this=text) if isinstance(cast, exp.TryCast) else text


def _format_datetime(node: exp.Anonymous) -> exp.Expr:
    if len(node.expressions) != 2:
        raise StatementFailed("FUNCTION_NOT_FOUND", "format_datetime takes a timestamp and a format")
    value, pattern = node.expressions
    return exp.Anonymous(this="strftime", expressions=[value.copy(), _strftime(pattern)])


def _strftime(pattern: exp.Expr) -> exp.Expr:
    """Joda's pattern as strftime's. Raises ``NotAnswered`` for one that is no literal, or a letter without a counterpart."""
    if not isinstance(pattern, exp.Literal) or not pattern.is_string:
        raise NotAnswered(f"the date format {pattern.sql(dialect='athena')}", "only a literal format is read")
    parts = []
    for found in _JODA_PART.finditer(pattern.name):
        if found[2] and found[0] not in JODA:
            raise NotAnswered(f"the date format '{pattern.name}'", f"the engine behind it has no counterpart of {found[0]}")
        quoted = (found[1] or "'").replace("''", "'") if found[0].startswith("'") else found[0]
        parts.append(JODA[found[0]] if found[2] else quoted.replace("%", "%%"))
    return exp.Literal.string("".join(parts))


FUNCTIONS: dict[str, Callable[[exp.Anonymous], exp.Expr]] = {"format_datetime": _format_datetime}
