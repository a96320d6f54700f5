"""Masks as SQL over the source's text: the expected values of a masked column.

This is independent of lake.privacy, which writes the lake. The rules are those of docs/semantics.md. HMAC is RFC 2104.
"""

from __future__ import annotations

from lake.contract import Contract
from lake.control import ControlTable

BLOCK_BYTES = 64
CLEAR = "clear"


def masked_columns(contract: Contract, control: ControlTable) -> dict[str, str]:
    """The mask of every column that is hidden: classified personal, or detected and not decided to be clear."""
    masks: dict[str, str] = {}
    for column in contract.columns:
        if column.classification == "personal":
            masks[column.name] = column.mask
        elif column.may_be_personal:
            decision = control.decisions.get(contract.table, column.id)
            if decision is None or decision["decision"] != CLEAR:
                masks[column.name] = column.mask
    return masks


def masked(mask: str, text: str, key: bytes | None) -> str:
    """The SQL of a text expression's masked form. A hash without its key is unknown, so null."""
    if mask == "null" or (mask == "hash" and key is None):
        return "NULL"
    if mask == "redact":
        return f"CASE WHEN {text} IS NOT NULL THEN '[redacted]' END"
    if mask == "partial":
        return _partial(text)
    if mask == "hash" and key is not None:
        return _hmac(text, key)
    raise ValueError(f'mask "{mask}"; one of hash, partial, redact, null')


def _hmac(text: str, key: bytes) -> str:
    padded = key.ljust(BLOCK_BYTES, b"\0")
    inner, outer = (_blob(bytes(byte ^ pad for byte in padded)) for pad in (0x36, 0x5C))
    return f"sha256({outer} || unhex(sha256({inner} || encode({text}))))"


def _partial(text: str) -> str:
    mail = f"regexp_matches({text}, '^.+@[^@]*\\.[^@]*$', 's')"
    domain = f"regexp_extract({text}, '@([^@]*)$', 1)"
    return (
        f"CASE WHEN {text} IS NULL THEN NULL WHEN {mail} THEN left({text}, 1) || '***@' || {domain} "
        f"WHEN length({text}) > 3 THEN left({text}, 1) || '***' ELSE '***' END"
    )


def _blob(value: bytes) -> str:
    return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
