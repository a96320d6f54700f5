"""Arithmetic that depends on the operands' types: division by zero, decimals, a date and an interval.

https://trino.io/docs/current/functions/math.html, https://trino.io/docs/current/functions/decimal.html
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

TypeOf = Callable[[exp.Expr], str | None]
"""Gives the engine's type of an expression that stands in its statement, None if the engine cannot say."""

ZERO = "Division by zero"
DAYS = (exp.Add, exp.Sub, exp.DateAdd, exp.DateTrunc, exp.TimestampTrunc)
INTEGERS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "HUGEINT": 19}
"""Digits of an integer that is divided by a decimal."""
DOUBLES = ("DOUBLE", "FLOAT")
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def exact(tree: exp.Expr, type_of: TypeOf) -> exp.Expr:
    """Replace the arithmetic that the engine does otherwise. Inner scopes come first: an outer type may hang on them."""
    for scope in traverse_scope(tree):
        for node in reversed(list(scope.find_all(exp.Div, exp.Mod, exp.Avg, *DAYS))):
            if isinstance(node, exp.Div | exp.Mod):
                node.replace(_divided(node, type_of(node.this), type_of(node.expression)))
            elif isinstance(node, exp.Avg):
                _average(node, type_of(node.this))
            elif _is_date(node, type_of):
                node.replace(exp.cast(node.copy(), exp.DType.DATE))
    return tree


def _divided(node: exp.Div | exp.Mod, left: str | None, right: str | None) -> exp.Expr:
    """The division with Athena's result for a zero: doubles become infinite, everything else fails."""
    dividend, divisor = exp.paren(node.this.copy()), exp.paren(node.expression.copy())
    result: exp.Expr = type(node)(this=dividend, expression=divisor)
    if left in DOUBLES or right in DOUBLES:
        infinite = exp.Mul(this=dividend.copy(), expression=exp.cast(exp.Literal.string("Infinity"), exp.DType.DOUBLE))
        return _unless_zero(divisor, infinite, result) if isinstance(node, exp.Div) else exp.paren(result)
    kind = "TINYINT"
    if isinstance(node, exp.Div):
        kind = _quotient_type(left, right)
        if kind.startswith("DECIMAL"):
            result = _decimal_quotient(dividend, divisor, kind)
    # a text that is no number fails as it is cast, and no sooner
    return _unless_zero(divisor, exp.cast(exp.Literal.string(ZERO), kind), result)


def _unless_zero(divisor: exp.Expr, then: exp.Expr, result: exp.Expr) -> exp.Expr:
    zero = exp.EQ(this=divisor.copy(), expression=exp.Literal.number(0))
    return exp.paren(exp.Case(ifs=[exp.If(this=zero, true=then)], default=result))


def _quotient_type(left: str | None, right: str | None) -> str:
    """Trino's type of a decimal quotient. Others get the narrowest integer, and keep their own type."""
    above, below = _digits(left), _digits(right)
    if above is None or below is None or (left in INTEGERS and right in INTEGERS):
        return "TINYINT"
    scale = max(above[1], below[1])
    precision = min(38, above[0] + below[1] + max(0, below[1] - above[1]))
    return f"DECIMAL({max(precision, scale)}, {scale})"


def _decimal_quotient(dividend: exp.Expr, divisor: exp.Expr, kind: str) -> exp.Expr:
    scale = kind.rpartition(" ")[2].rstrip(")")
    double = exp.Div(this=exp.cast(dividend, exp.DType.DOUBLE), expression=exp.cast(divisor, exp.DType.DOUBLE))
    return exp.cast(exp.func("round", double, exp.Literal.number(scale)), kind)


def _average(node: exp.Avg, kind: str | None) -> None:
    """An average of decimals has their type."""
    if not kind or not (found := _DECIMAL.fullmatch(kind)):
        return
    whole: exp.Expr = node
    while isinstance(whole.parent, exp.Window | exp.Filter) and whole.parent.this is whole:
        whole = whole.parent
    whole.replace(exp.cast(exp.func("round", whole.copy(), exp.Literal.number(found[2])), kind))


def _digits(kind: str | None) -> tuple[int, int] | None:
    if kind is not None and kind in INTEGERS:
        return INTEGERS[kind], 0
    found = _DECIMAL.fullmatch(kind or "")
    return (int(found[1]), int(found[2])) if found else None


def _is_date(node: exp.Expr, type_of: TypeOf) -> bool:
    """Whether the result is a date in Athena and a timestamp in the engine."""
    if isinstance(node, exp.Add | exp.Sub) and not any(side.find(exp.Interval) for side in (node.this, node.expression)):
        return False
    operand = node.expression if isinstance(node, exp.Add) and node.this.find(exp.Interval) else node.this
    return type_of(operand) == "DATE"
