"""Comprehend's operations on personal data, with its limits and errors.

https://docs.aws.amazon.com/comprehend/latest/APIReference/API_DetectPiiEntities.html
"""

from __future__ import annotations

from typing import Any

from datamaster.laptop.comprehend.entities import detect
from datamaster.wire.aws_json import Call, Operation, ServiceError

MAX_TEXT_BYTES = 100 * 1024
LANGUAGES = ("en", "es")
"""The languages in which Comprehend finds personal data; the API's other codes are answered with an error."""
KNOWN_LANGUAGES = (*LANGUAGES, "fr", "de", "it", "pt", "ar", "hi", "ja", "ko", "zh", "zh-TW")


def detect_pii_entities(call: Call) -> dict[str, Any]:
    """DetectPiiEntities: types, scores, and offsets that count characters."""
    entities = detect(_text(call))
    return {"Entities": [{"Type": e.type, "Score": e.score, "BeginOffset": e.begin, "EndOffset": e.end} for e in entities]}


def contains_pii_entities(call: Call) -> dict[str, Any]:
    """ContainsPiiEntities: the types in the text, each with its best score."""
    best: dict[str, float] = {}
    for entity in detect(_text(call)):
        best[entity.type] = max(entity.score, best.get(entity.type, 0.0))
    return {"Labels": [{"Name": name, "Score": score} for name, score in best.items()]}


OPERATIONS: dict[str, Operation] = {"DetectPiiEntities": detect_pii_entities, "ContainsPiiEntities": contains_pii_entities}


def _text(call: Call) -> str:
    text, language = call.body.get("Text"), call.body.get("LanguageCode")
    if language not in KNOWN_LANGUAGES:
        raise ServiceError("InvalidRequestException", f'LanguageCode "{language}"; one of {", ".join(KNOWN_LANGUAGES)}')
    if language not in LANGUAGES:
        raise ServiceError(
            "UnsupportedLanguageException", f'LanguageCode "{language}"; personal data is found in {" and ".join(LANGUAGES)}'
        )
    if not isinstance(text, str) or not text:
        raise ServiceError("InvalidRequestException", "Text must have at least 1 character")
    size = len(text.encode())
    if size > MAX_TEXT_BYTES:
        raise ServiceError("TextSizeLimitExceededException", f"Text has {size} bytes; at most {MAX_TEXT_BYTES}")
    return text
