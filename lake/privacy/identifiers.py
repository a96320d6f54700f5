"""Brazilian tax numbers, recognised by their check digits: Comprehend has no entity type for them.

CPF: https://www.gov.br/receitafederal (11 digits, the last two are modulo 11).
CNPJ: 14 places, the last two are modulo 11; since July 2026 the first twelve may be letters (Instrução Normativa RFB 2.229/2024).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_CPF = re.compile(r"(?<![0-9A-Za-z.-])(\d{3})\.?(\d{3})\.?(\d{3})-?(\d{2})(?![0-9A-Za-z-])")
_CNPJ = re.compile(r"(?<![0-9A-Za-z.-])([0-9A-Z]{2})\.?([0-9A-Z]{3})\.?([0-9A-Z]{3})/?([0-9A-Z]{4})-?(\d{2})(?![0-9A-Za-z-])")
_ZERO = ord("0")


def _check_digit(places: Sequence[int], weights: Sequence[int]) -> int:
    rest = sum(place * weight for place, weight in zip(places, weights, strict=True)) % 11
    return 0 if rest < 2 else 11 - rest


def _is_checked(places: list[int], body: int, weights: Sequence[int]) -> bool:
    """Whether the two places after ``body`` are the check digits; all places equal is never a real number."""
    if len(set(places)) == 1:
        return False
    first = _check_digit(places[:body], weights[1:])
    return places[body:] == [first, _check_digit([*places[:body], first], weights)]


_CPF_WEIGHTS = tuple(range(11, 1, -1))
_CNPJ_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)


def is_cpf(text: str) -> bool:
    """Whether the whole text is a CPF with right check digits, with or without its points and dash."""
    match = _CPF.fullmatch(text)
    return match is not None and _is_checked([int(digit) for digit in "".join(match.groups())], 9, _CPF_WEIGHTS)


def is_cnpj(text: str) -> bool:
    """Whether the whole text is a CNPJ with right check digits, with or without its points, slash and dash."""
    match = _CNPJ.fullmatch(text)
    return match is not None and _is_checked([ord(place) - _ZERO for place in "".join(match.groups())], 12, _CNPJ_WEIGHTS)


def identifiers_in(text: str) -> frozenset[str]:
    """The kinds of tax numbers that the text holds: ``CPF``, ``CNPJ``, both or none."""
    found = set()
    if any(is_cpf(match[0]) for match in _CPF.finditer(text)):
        found.add("CPF")
    if any(is_cnpj(match[0]) for match in _CNPJ.finditer(text)):
        found.add("CNPJ")
    return frozenset(found)
