"""Seeded inputs as gzip, the same on every machine: change lines of reviews, and long texts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from isal import igzip

from benchmarks.converter.cases import Case

CHUNK_ROWS = 20_000
COMPRESSION_LEVEL = 2
SCORES = ("1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5")
TEXT = (
    "the beer pours a deep amber with thin white head aromas of citrus pine and caramel malt follow body is medium finish dry "
    'bitterness lingers long after each sip would drink again São João Köln façade naïve 麦酒 \\"special\\" reserve'
)
WORDS = TEXT.split()
REVIEW_COLUMNS = (
    *("review_id", "brewery_id", "beer_id", "profile_id"),
    *(f"review_{part}" for part in ("overall", "aroma", "appearance", "palate", "taste", "time")),
)
REVIEW_HEADER = ",".join((*REVIEW_COLUMNS, "operation", "cdc_position", "cdc_built_at")) + "\n"


def make(case: Case, folder: Path) -> Path:
    """The case's input, created if missing."""
    path = folder / case.source
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    rows = _articles(case) if case.table in ("article", "masked") else _reviews(case)
    with igzip.open(draft, "wb", compresslevel=COMPRESSION_LEVEL) as file:
        if case.file_format == "csv":
            file.write(REVIEW_HEADER.encode())
        chunk: list[str] = []
        for row in rows:
            chunk.append(row)
            if len(chunk) == CHUNK_ROWS:
                file.write("".join(chunk).encode())
                chunk.clear()
        file.write("".join(chunk).encode())
    return draft.rename(path)


def _reviews(case: Case) -> Iterator[str]:
    chance = random.Random(case.rows)  # noqa: S311 - rows for a benchmark
    step = round(1 / case.bad) if case.bad else 0
    for n in range(case.rows):
        if step and n % step == step - 1:
            yield '{"review_id":broken\n' if case.file_format == "json" else "broken,1,1\n"
            continue
        yield _review_line(n, chance) if case.file_format == "json" else _review_record(n, chance)


def _review_values(n: int, chance: random.Random) -> tuple[object, ...]:
    draw = chance.random
    scores = tuple(SCORES[int(draw() * 9)] for _ in range(5))
    return (n, int(draw() * 5_000), int(draw() * 66_000), int(draw() * 33_000), *scores, 1_200_000_000 + int(draw() * 1e8))


def _review_line(n: int, chance: random.Random) -> str:
    clock = f"2026-03-01T{n // 3_600_000 % 24:02d}:{n // 60_000 % 60:02d}:{n // 1_000 % 60:02d}.{n % 1_000_000:06d}Z"
    values = ",".join(f'"{name}":{value}' for name, value in zip(REVIEW_COLUMNS, _review_values(n, chance), strict=True))
    return (
        f'{{{values},"operation":"insert","cdc_position":"{0x7C0000000 + n // 3 * 56:016x}-{n % 3:010d}-0","cdc_built_at":"{clock}",'
        f'"cdc_committed_at":"{clock}","cdc_transaction_id":{7_000 + n // 3},"cdc_unchanged":null,"cdc_fence":null}}\n'
    )


def _review_record(n: int, chance: random.Random) -> str:
    values = ",".join(str(value) for value in _review_values(n, chance))
    return f"{values},load,00000007c0000000-0000000000-0,2026-03-01 10:00:00+00\n"


def _articles(case: Case) -> Iterator[str]:
    chance = random.Random(case.rows)  # noqa: S311 - rows for a benchmark
    for n in range(case.rows):
        body, title = " ".join(chance.choices(WORDS, k=60)), " ".join(chance.choices(WORDS, k=5))
        yield (
            f'{{"article_id":{n},"author":"writer {n % 33_000}","email":"writer.{n}@example.com","title":"{title}",'
            f'"body":"{body}","published":"2026-03-01T10:00:{n % 60:02d}.{n % 1_000_000:06d}Z","operation":"load",'
            '"cdc_position":"0000000000000000-0000000000-0","cdc_built_at":"2026-03-01T10:00:00.000000Z",'
            '"cdc_committed_at":null,"cdc_transaction_id":null,"cdc_unchanged":null,"cdc_fence":null}\n'
        )
