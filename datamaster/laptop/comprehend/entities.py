"""Find personal data in a text with Presidio's recognisers, named in Comprehend's types.

https://docs.aws.amazon.com/comprehend/latest/dg/how-pii.html, https://microsoft.github.io/presidio/supported_entities/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tldextract
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer import predefined_recognizers as known

# Presidio asks for the list of public suffixes on the network; the package's own copy does as well.
tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # type: ignore[assignment]

NO_MODEL: Any = None
STANDS_ALONE = 0.4
"""From this score of Presidio's on, a match counts by itself; a weaker one needs a word that goes with it."""
SCORE_BY_CONTEXT = 0.85
ONE_CHECK_DIGIT = frozenset({"BANK_ROUTING", "UK_NATIONAL_HEALTH_SERVICE_NUMBER", "CA_SOCIAL_INSURANCE_NUMBER"})
"""Types whose only proof is one check digit, which every tenth number passes by chance: these need their word too."""
CONTEXT_CHARACTERS = 60
PHONE_REGIONS = ("US", "GB", "ES", "BR", "CA", "IN")


class MailRecognizer(known.EmailRecognizer):
    """Mail addresses, those on reserved domains (RFC 2606) too, which the list of public suffixes does not hold."""

    def validate_result(self, pattern_text: str) -> bool | None:
        """True for a public suffix. Otherwise None, so the pattern's own score counts."""
        return super().validate_result(pattern_text) or None


@dataclass(frozen=True)
class Entity:
    """Something personal: Comprehend's type, characters from ``begin`` to before ``end``, a score from 0 to 1."""

    type: str
    begin: int
    end: int
    score: float


def _pattern(entity: str, expression: str, score: float, *context: str) -> EntityRecognizer:
    return PatternRecognizer(supported_entity=entity, patterns=[Pattern(entity, expression, score)], context=list(context))


RECOGNIZERS: tuple[tuple[str, EntityRecognizer], ...] = (
    ("EMAIL", MailRecognizer()),
    ("PHONE", known.PhoneRecognizer(supported_regions=PHONE_REGIONS)),
    ("SSN", known.UsSsnRecognizer()),
    ("CREDIT_DEBIT_NUMBER", known.CreditCardRecognizer()),
    ("INTERNATIONAL_BANK_ACCOUNT_NUMBER", known.IbanRecognizer()),
    ("BANK_ACCOUNT_NUMBER", known.UsBankRecognizer()),
    ("BANK_ROUTING", known.AbaRoutingRecognizer()),
    ("US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", known.UsItinRecognizer()),
    ("PASSPORT_NUMBER", known.UsPassportRecognizer()),
    ("DRIVER_ID", known.UsLicenseRecognizer()),
    ("UK_NATIONAL_INSURANCE_NUMBER", known.UkNinoRecognizer()),
    ("UK_NATIONAL_HEALTH_SERVICE_NUMBER", known.NhsRecognizer()),
    ("CA_SOCIAL_INSURANCE_NUMBER", known.CaSinRecognizer()),
    ("IN_PERMANENT_ACCOUNT_NUMBER", known.InPanRecognizer()),
    ("IN_AADHAAR", known.InAadhaarRecognizer()),
    ("IN_VOTER_NUMBER", known.InVoterRecognizer()),
    ("IP_ADDRESS", known.IpRecognizer()),
    ("MAC_ADDRESS", known.MacAddressRecognizer()),
    ("URL", known.UrlRecognizer()),
    ("DATE_TIME", known.DateRecognizer()),
    # Forms that Presidio has no recogniser for.
    ("AWS_ACCESS_KEY", _pattern("AWS_ACCESS_KEY", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", 0.9)),
    ("PIN", _pattern("PIN", r"\b\d{4,6}\b", 0.1, "pin")),
    ("CREDIT_DEBIT_CVV", _pattern("CREDIT_DEBIT_CVV", r"\b\d{3,4}\b", 0.1, "cvv", "cvc", "security code")),
)


def detect(text: str) -> list[Entity]:
    """All personal data in ``text``, by position. Of overlapping results the surest stays, then the longest.

    Each line is searched by itself. So values joined line by line do not share digits or context.
    """
    found: list[Entity] = []
    start = 0
    for line in text.split("\n"):
        if line.strip():
            found.extend(Entity(e.type, start + e.begin, start + e.end, e.score) for e in _apart(list(_finds(line))))
        start += len(line) + 1
    return found


def _finds(line: str) -> Iterator[Entity]:
    for kind, recognizer in RECOGNIZERS:
        for result in recognizer.analyze(line, recognizer.supported_entities, NO_MODEL):
            score = _score(kind, result, line, recognizer.context or ())
            if score is not None:
                yield Entity(kind, result.start, result.end, score)


def _score(kind: str, result: RecognizerResult, line: str, context: Sequence[str]) -> float | None:
    """Comprehend's score, from 0.5 for a guess to 1. None if nothing supports the match."""
    if kind == "SSN" and line[result.start] == "9":
        return None  # no Social Security number begins with 9, but every individual tax number does
    bare_phone = kind == "PHONE" and line[result.start : result.end].isdigit()
    if result.score >= STANDS_ALONE and kind not in ONE_CHECK_DIGIT and not bare_phone:
        return round(0.5 + result.score / 2, 4)
    near = line[: result.start][-CONTEXT_CHARACTERS:].lower()
    return SCORE_BY_CONTEXT if any(re.search(rf"\b{re.escape(word)}\b", near) for word in context) else None


def _apart(finds: list[Entity]) -> list[Entity]:
    kept: list[Entity] = []
    for find in sorted(finds, key=lambda e: (-e.score, e.begin - e.end, e.begin)):
        if all(find.end <= other.begin or other.end <= find.begin for other in kept):
            kept.append(find)
    return sorted(kept, key=lambda e: e.begin)
