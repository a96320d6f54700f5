"""Evaluate IAM policies as AWS does within one account: an action needs an allow, and an explicit deny wins.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

Only the condition operators of the project's templates are supported. Others raise ``UnknownOperator``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lake.errors import TerminalError

Policy = Mapping[str, Any]
ALLOWED, DENIED, NOT_ALLOWED = "allowed", "explicitDeny", "implicitDeny"


class UnknownOperator(TerminalError):
    """A policy uses a condition operator that is not supported here."""

    def __init__(self, operator: str) -> None:
        super().__init__(
            f'condition operator "{operator}" is not evaluated; one of {", ".join(sorted(_OPERATORS))}, each with IfExists too'
        )


@dataclass(frozen=True)
class Request:
    """A request. ``principal`` is the caller's ARN or a service such as "s3.amazonaws.com". ``keys`` are condition keys."""

    action: str
    resource: str = "*"
    principal: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)


def decide(policies: Iterable[Policy], request: Request) -> str:
    """``allowed``, ``explicitDeny`` or ``implicitDeny``, by these identity policies."""
    decision = NOT_ALLOWED
    for policy in policies:
        for statement in listed(policy["Statement"]):
            if not _asks(statement, request):
                continue
            if statement["Effect"] == "Deny":
                return DENIED
            decision = ALLOWED
    return decision


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Whether ``text`` matches a pattern with ``*`` and ``?``."""
    expression = "".join(".*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in pattern)
    return re.fullmatch(expression, text, re.IGNORECASE | re.DOTALL if ignore_case else re.DOTALL) is not None


def listed(value: Any) -> list[Any]:
    """A policy's element as a list. A single value may appear without one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _asks(statement: Mapping[str, Any], request: Request) -> bool:
    if "NotAction" in statement or "NotResource" in statement or "NotPrincipal" in statement:
        raise TerminalError(f"a statement says what it does not concern: {dict(statement)}; write what it does")
    action = any(matches(pattern, request.action, ignore_case=True) for pattern in listed(statement["Action"]))
    resource = any(matches(pattern, request.resource) for pattern in listed(statement.get("Resource", "*")))
    return action and resource and _holds(statement.get("Condition") or {}, request.keys)


def _holds(condition: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]) -> bool:
    lower = {name.lower(): value for name, value in keys.items()}
    return all(
        _operator_holds(operator, lower.get(key.lower()), [str(value) for value in listed(expected)])
        for operator, wanted in condition.items()
        for key, expected in wanted.items()
    )


def _operator_holds(operator: str, actual: str | None, expected: list[str]) -> bool:
    if operator == "Null":
        return (actual is None) == (expected[0].lower() == "true")
    name = operator.removesuffix("IfExists")
    if name not in _OPERATORS:
        raise UnknownOperator(operator)
    if actual is None:
        # A negated operator holds if the key is missing: reference_policies_elements_condition_operators.html
        return operator.endswith("IfExists") or "Not" in name
    found = any(_OPERATORS[name](value, actual) for value in expected)
    return not found if "Not" in name else found


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda expected, actual: expected == actual,
    "StringNotEquals": lambda expected, actual: expected == actual,
    "StringLike": matches,
    "StringNotLike": matches,
    "ArnEquals": matches,
    "ArnLike": matches,
    "ArnNotEquals": matches,
    "ArnNotLike": matches,
    "Bool": lambda expected, actual: expected.lower() == actual.lower(),
}
