"""Evidence of personal data in a column's values, from Amazon Comprehend and from check digits.

https://docs.aws.amazon.com/comprehend/latest/APIReference/API_DetectPiiEntities.html: each call takes one text of at most
100 KB, and offsets count characters. Values are joined into few texts. The offsets of an entity lead back to its value.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from lake.privacy.identifiers import identifiers_in
from lake.privacy.policy import Evidence

LANGUAGE = "en"
UNIT_CHARACTERS = 100
UNITS_A_CALL = 3
"""Comprehend's prices count units of 100 characters, at least three per call: https://aws.amazon.com/comprehend/pricing/ (2025)."""
MAX_TEXT_BYTES = 95_000
MAX_VALUE_CHARACTERS = 2_000
MIN_SCORE = 0.6
IMPERSONAL = frozenset({"DATE_TIME", "URL", "AGE"})
"""Entity types that do not identify a person by themselves."""
_SEPARATOR = "\n"


class Detector:
    """Examines values through Comprehend's API. The client is created on first use."""

    def __init__(self, client: Any = None) -> None:
        if client is not None:
            self._comprehend = client

    @cached_property
    def _comprehend(self) -> Any:
        import boto3

        return boto3.client("comprehend")

    def units(self, values: Iterable[str]) -> int:
        """The price of ``examine`` for the same values, in Comprehend's units."""
        calls = _batches(list(dict.fromkeys(value[:MAX_VALUE_CHARACTERS] for value in values)))
        return sum(max(UNITS_A_CALL, -(-len(_SEPARATOR.join(batch)) // UNIT_CHARACTERS)) for batch in calls)

    def examine(self, values: Iterable[str]) -> Evidence:
        """Evidence of the given non-null values. Equal values are sent once, but each occurrence counts."""
        counts = Counter(value[:MAX_VALUE_CHARACTERS] for value in values)
        found: dict[str, dict[str, float]] = {text: dict.fromkeys(identifiers_in(text), 1.0) for text in counts}
        for batch in _batches(list(counts)):
            for text, kind, score in self._entities(batch):
                found[text][kind] = max(score, found[text].get(kind, 0.0))
        entities: Counter[str] = Counter()
        scores: dict[str, float] = {}
        for text, kinds in found.items():
            for kind, score in kinds.items():
                entities[kind] += counts[text]
                scores[kind] = scores.get(kind, 0.0) + score * counts[text]
        flagged = sum(counts[text] for text, kinds in found.items() if kinds)
        return Evidence(counts.total(), flagged, dict(entities), {kind: round(total, 3) for kind, total in scores.items()})

    def _entities(self, batch: list[str]) -> Iterator[tuple[str, str, float]]:
        starts = []
        position = 0
        for text in batch:
            starts.append(position)
            position += len(text) + len(_SEPARATOR)
        answer = self._comprehend.detect_pii_entities(Text=_SEPARATOR.join(batch), LanguageCode=LANGUAGE)
        for entity in answer["Entities"]:
            if entity["Type"] in IMPERSONAL or entity["Score"] < MIN_SCORE:
                continue
            first = bisect_right(starts, entity["BeginOffset"]) - 1
            last = bisect_right(starts, entity["EndOffset"] - 1) - 1
            for text in batch[first : last + 1]:
                yield text, entity["Type"], float(entity["Score"])


def _batches(texts: list[str]) -> Iterator[list[str]]:
    """Split the texts into lists whose joined UTF-8 form stays below the call's limit. Blank texts are left out."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if not text.strip():
            continue
        length = len(text.encode("utf-8", "replace")) + len(_SEPARATOR)
        if batch and size + length > MAX_TEXT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch
