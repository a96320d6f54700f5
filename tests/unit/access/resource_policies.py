"""Decisions by a resource's own policy (a bucket's, a key's or a role's), whose statements name their principals."""

from __future__ import annotations

from typing import Any

from datamaster.aws.cloudformation.policies import Policy, Request, decide, listed


def decide_by_resource(policy: Policy, request: Request) -> str:
    """As ``decide``, by the statements that name the request's principal."""
    own = [statement for statement in listed(policy["Statement"]) if _names(statement.get("Principal"), request.principal)]
    return decide([{"Statement": own}], request)


def _names(principal: Any, caller: str) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    account = caller.split(":")[4] if caller.startswith("arn:") else None
    for name in listed(principal.get("AWS")):
        if name in ("*", caller) or (account and name.endswith(":root") and f":{account}:" in name):
            return True
    return caller in listed(principal.get("Service"))
