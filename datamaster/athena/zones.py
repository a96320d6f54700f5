"""Values with their own time zone (``AT TIME ZONE``). The engine's timestamps are all UTC and cannot hold a zone.

Such a value is an instant in a comparison and a local time when its fields are read. Otherwise it is a pair of both, ``ZONED``, with
Athena's text. Other computations fail in the engine with a type mismatch.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

ZONED = "STRUCT(athena_local TIMESTAMP, athena_zone VARCHAR)"
"""The engine's type of a timestamp that is shown in a zone."""
INSTANTS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.TimeToUnix)
FIELDS = (
    *(exp.Year, exp.Quarter, exp.Month, exp.WeekOfYear, exp.Day, exp.DayOfWeekIso, exp.DayOfYear, exp.Hour, exp.Minute, exp.Second),
    *(exp.Extract, exp.Date, exp.TimeToStr),
)
READERS = frozenset({"format_datetime", "millisecond"})


def with_zones(tree: exp.Expr) -> exp.Expr:
    """Give every value with a zone the form that its place asks for."""
    named = rewritten(tree, _named)
    # Deepest first: date_trunc of a value with a zone is one again.
    for node in reversed(list(named.find_all(exp.AtTimeZone))):
        zone = node.args["zone"]
        local: exp.Expr = _call("timezone", zone, exp.cast(node.this, exp.DType.TIMESTAMPTZ))
        inner: exp.Expr = node
        while isinstance(inner.parent, exp.TimestampTrunc) and inner.parent.this is inner:
            inner = inner.parent
            local = exp.TimestampTrunc(this=local, unit=inner.args["unit"])
        inner.replace(_placed(inner.parent, local, zone))
    return named


def rewritten(tree: exp.Expr, rule: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Apply a rule to every node but the root, the deepest first, so that it also applies inside its replacements."""
    for node in reversed(list(tree.bfs())):
        if node is not tree and (new := rule(node)) is not node:
            node.replace(new)
    return tree


def zoned_text(expression: str, form: str) -> str:
    """The SQL of a ``ZONED`` value's text."""
    return f"strftime({expression}.athena_local, '{form}') || ' ' || {expression}.athena_zone"


def _placed(outer: exp.Expr | None, local: exp.Expr, zone: exp.Expr) -> exp.Expr:
    if isinstance(outer, INSTANTS) or (isinstance(outer, exp.Cast) and outer.to.this == exp.DType.TIMESTAMPTZ):
        return _call("timezone", zone, local)
    if isinstance(outer, FIELDS) or (isinstance(outer, exp.Anonymous) and outer.name.lower() in READERS):
        return local
    if isinstance(outer, exp.Cast):
        text = outer.to.this in exp.DataType.TEXT_TYPES
        return exp.Concat(expressions=[_call("athena_varchar", local), exp.Literal.string(" "), zone.copy()]) if text else local
    pair = {"athena_local": local, "athena_zone": zone.copy()}
    return exp.Struct(expressions=[exp.PropertyEQ(this=exp.to_identifier(name), expression=part) for name, part in pair.items()])


def _named(node: exp.Expr) -> exp.Expr:
    """The other names of AT TIME ZONE."""
    if isinstance(node, exp.UnixToTime) and node.args.get("zone"):
        return exp.AtTimeZone(this=exp.UnixToTime(this=node.this), zone=node.args["zone"])
    if isinstance(node, exp.Anonymous) and node.name.lower() in ("at_timezone", "with_timezone") and len(node.expressions) == 2:
        value, zone = node.expressions
        if node.name.lower() == "with_timezone":
            value = _call("timezone", zone, exp.cast(value, exp.DType.TIMESTAMP))
        return exp.AtTimeZone(this=value, zone=zone)
    return node


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])
