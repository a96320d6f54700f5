"""The four masks of a contract: hash, partial, redact, null."""

from __future__ import annotations

import hmac

from lake.errors import TerminalError

REDACTED = "[redacted]"
"""The text that replaces every value of a redacted column."""

_HIDDEN = "***"
_SHORT = 3


class UnknownMask(TerminalError):
    """The lake has no mask of this name."""

    def __init__(self, kind: str) -> None:
        super().__init__(f'unknown mask "{kind}"; one of hash, partial, redact, null')


def hash_text(text: str, key: bytes) -> str:
    """HMAC-SHA-256 of the UTF-8 text, 64 lower-case hexadecimal digits (RFC 2104). One key for all columns keeps joins."""
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()


def partial_text(text: str) -> str:
    """The first character and, for an e-mail address, the domain. The length is hidden.

    A text of three characters or fewer shows nothing.
    """
    name, at, domain = text.rpartition("@")
    if at and name and "." in domain:
        return f"{name[0]}{_HIDDEN}@{domain}"
    return f"{text[0]}{_HIDDEN}" if len(text) > _SHORT else _HIDDEN


def mask_value(kind: str, value: str | None, key: bytes) -> str | None:
    """The masked form of one value. Null stays null under every mask. Only ``hash`` uses ``key``.

    Raises ``UnknownMask``.
    """
    if value is None or kind == "null":
        return None
    if kind == "hash":
        return hash_text(value, key)
    if kind == "partial":
        return partial_text(value)
    if kind == "redact":
        return REDACTED
    raise UnknownMask(kind)
