"""Brazilian tax numbers, recognised by their check digits, because Comprehend has no entity type for them.

python-stdnum computes the check digits. Since July 2026 the first twelve places of a CNPJ may hold letters
(Instrução Normativa RFB 2.229/2024).
"""

from __future__ import annotations

import re

_CPF = re.compile(r"(?<![0-9A-Za-z.-])(\d{3})\.?(\d{3})\.?(\d{3})-?(\d{2})(?![0-9A-Za-z-])")
_CNPJ = re.compile(r"(?<![0-9A-Za-z.-])([0-9A-Z]{2})\.?([0-9A-Z]{3})\.?([0-9A-Z]{3})/?([0-9A-Z]{4})-?(\d{2})(?![0-9A-Za-z-])")


def is_cpf(text: str) -> bool:
    """Whether the whole text is a CPF with valid check digits, with or without its points and dash.

    A number of eleven equal digits is refused. Its check digits are valid, but it is not in use.
    """
    from stdnum.br import cpf  # 6 ms of a cold start, and most files hold no column to decide

    match = _CPF.fullmatch(text)
    return match is not None and len(set("".join(match.groups()))) > 1 and cpf.is_valid(text)


def is_cnpj(text: str) -> bool:
    """Whether the whole text is a CNPJ with valid check digits, with or without its points, slash and dash."""
    from stdnum.br import cnpj

    return _CNPJ.fullmatch(text) is not None and cnpj.is_valid(text)


def identifiers_in(text: str) -> frozenset[str]:
    """The kinds of tax numbers in the text: ``CPF``, ``CNPJ``, both or none."""
    found = set()
    if any(is_cpf(match[0]) for match in _CPF.finditer(text)):
        found.add("CPF")
    if any(is_cnpj(match[0]) for match in _CNPJ.finditer(text)):
        found.add("CNPJ")
    return frozenset(found)
