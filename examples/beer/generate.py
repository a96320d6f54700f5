"""Seeded data for the source's tables at any scale. The same seed and scale give the same rows, byte for byte.

The skew is that of a real review site. Few beers and few people make most of the reviews (Zipf). Popular beers have
better ratings. Later months have more reviews than earlier ones.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psycopg2
import pyarrow as pa
import pyarrow.csv

from beer import MIGRATIONS, vocabulary
from lake.errors import TerminalError

SCHEMA = MIGRATIONS / "0001_tables.sql"
INDEXES = MIGRATIONS / "0002_indexes.sql"
TABLES = ("brewery", "beer", "profile", "review")
SCORES = ("review_overall", "review_aroma", "review_appearance", "review_palate", "review_taste")
FIRST_MONTH = datetime(2021, 1, 1, tzinfo=UTC)
MONTHS = 36
MONTH_SECONDS = 365 * 86400 / 12
REVIEWS_PER_MONTH = 500
CHUNK_ROWS = 200_000

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class MissingData(TerminalError):
    """A folder of real data lacks a file."""


@dataclass(frozen=True)
class Scale:
    """The rows of each table, and the number of months over which the reviews spread.

    ``of`` derives everything from the number of reviews, in the proportions of a review site. Few reviews spread over fewer
    months, so that the best beers still have 25 reviews in a month.
    """

    breweries: int
    beers: int
    profiles: int
    reviews: int
    months: int

    @classmethod
    def of(cls, reviews: int) -> Scale:
        """The scale for a number of reviews."""
        return cls(
            breweries=max(8, reviews // 250),
            beers=max(20, reviews // 24),
            profiles=max(30, reviews // 45),
            reviews=reviews,
            months=min(MONTHS, max(1, reviews // REVIEWS_PER_MONTH)),
        )


@dataclass(frozen=True)
class Loaded:
    """The number of rows loaded into each table."""

    brewery: int
    beer: int
    profile: int
    review: int


def create_schema(dsn: str) -> None:
    """Create the schema ``dm_core`` and its tables if they do not exist."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA.read_text())
    connection.close()


def load_generated(dsn: str, reviews: int, seed: int = 1) -> Loaded:
    """Create the tables of ``dm_core`` if they do not exist and fill them with generated rows. Returns the counts."""
    create_schema(dsn)
    scale = Scale.of(reviews)
    breweries, beers, profiles = brewery_table(scale, seed), beer_table(scale, seed), profile_table(scale, seed)
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        for name, table in (("brewery", breweries), ("beer", beers), ("profile", profiles)):
            _copy(cursor, name, table)
        for chunk in review_tables(_ids(beers, "beer_id"), _ids(beers, "brewery_id"), _ids(profiles, "profile_id"), scale, seed):
            _copy(cursor, "review", chunk)
    connection.close()
    _finish(dsn)
    return Loaded(breweries.num_rows, beers.num_rows, profiles.num_rows, reviews)


def load_real(dsn: str, folder: Path, reviews: int, seed: int = 1) -> Loaded:
    """Create the tables of ``dm_core`` if they do not exist and fill them from ``folder``. Returns the counts.

    The folder holds ``brewery.csv.gz``, ``beer.csv.gz`` and ``profile.csv.gz``. Each is CSV with a header and the columns of
    ``migrations/0001_tables.sql``. The reviews are generated over their ids. Raises ``MissingData``.
    """
    tables = {}
    for name in ("brewery", "beer", "profile"):
        path = folder / f"{name}.csv.gz"
        if not path.exists():
            raise MissingData(f"{folder}: no {path.name}; a data folder holds brewery.csv.gz, beer.csv.gz and profile.csv.gz")
        tables[name] = _read_csv(path)
    breweries, beers, profiles = (tables[name] for name in ("brewery", "beer", "profile"))
    create_schema(dsn)
    scale = Scale(breweries.num_rows, beers.num_rows, profiles.num_rows, reviews, Scale.of(reviews).months)
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        for name, table in tables.items():
            _copy(cursor, name, table)
        for chunk in review_tables(_ids(beers, "beer_id"), _ids(beers, "brewery_id"), _ids(profiles, "profile_id"), scale, seed):
            _copy(cursor, "review", chunk)
    connection.close()
    _finish(dsn)
    return Loaded(scale.breweries, scale.beers, scale.profiles, reviews)


def brewery_table(scale: Scale, seed: int) -> pa.Table:
    """Rows of ``dm_core.brewery``."""
    rng = np.random.default_rng([seed, 1])
    count = scale.breweries
    places, kinds = _pick(rng, vocabulary.BREWERY_PLACES, count), _pick(rng, vocabulary.BREWERY_KINDS, count)
    return pa.table({"brewery_id": np.arange(1, count + 1), "brewery_name": [f"{a} {b}" for a, b in zip(places, kinds, strict=True)]})


def beer_table(scale: Scale, seed: int) -> pa.Table:
    """Rows of ``dm_core.beer``. A quarter of the strengths are null. About one style in a hundred is null or empty."""
    rng = np.random.default_rng([seed, 2])
    count = scale.beers
    parts = zip(*(_pick(rng, words, count) for words in (vocabulary.BEER_FIRST, vocabulary.BEER_SECOND, vocabulary.BEER_LAST)), strict=True)
    styles: list[str | None] = list(_pick(rng, vocabulary.STYLES, count, skew=0.8))
    for place in np.flatnonzero(rng.random(count) < 0.01):
        styles[place] = None if rng.random() < 0.7 else ""
    strength = np.round(np.clip(rng.gamma(9.0, 0.72, count), 0.5, 40.0), 2)
    return pa.table(
        {
            "beer_id": np.arange(1, count + 1),
            "brewery_id": _zipf(rng, scale.breweries, count, 0.7) + 1,
            "beer_name": [f"{a} {b}{c}" for a, b, c in parts],
            "beer_style": pa.array(styles, pa.string()),
            "beer_abv": pa.array(strength, mask=rng.random(count) < 0.25),
        }
    )


def profile_table(scale: Scale, seed: int) -> pa.Table:
    """Rows of ``dm_core.profile``. Every mail address is on a domain reserved for examples (RFC 2606)."""
    rng = np.random.default_rng([seed, 3])
    count = scale.profiles
    firsts, lasts = _pick(rng, vocabulary.FIRST_NAMES, count), _pick(rng, vocabulary.LAST_NAMES, count)
    handles, domains = _pick(rng, vocabulary.HANDLES, count), _pick(rng, vocabulary.MAIL_DOMAINS, count)
    people = list(zip(firsts, lasts, range(1, count + 1), strict=True))
    shown = [
        handle.format(first=first, last=last, First=first.title(), Last=last.title(), n=number)
        for handle, (first, last, number) in zip(handles, people, strict=True)
    ]
    mails = [f"{first}.{last}{number}@{domain}" for domain, (first, last, number) in zip(domains, people, strict=True)]
    return pa.table(
        {
            "profile_id": np.arange(1, count + 1),
            "profile_name": shown,
            "email": pa.array(mails, mask=rng.random(count) < 0.03),
            "state": pa.array(_pick(rng, vocabulary.STATES, count, skew=0.9), mask=rng.random(count) < 0.05),
        }
    )


def review_tables(beers: Integers, breweries: Integers, profiles: Integers, scale: Scale, seed: int) -> Iterator[pa.Table]:
    """Rows of ``dm_core.review`` in chunks, over the given ids. ``breweries[i]`` is the brewery of ``beers[i]``."""
    rng = np.random.default_rng([seed, 4])
    beer_order, profile_order = rng.permutation(len(beers)), rng.permutation(len(profiles))
    quality = 3.7 + 0.45 * rng.standard_normal(len(beers))
    for first in range(0, scale.reviews, CHUNK_ROWS):
        count = min(CHUNK_ROWS, scale.reviews - first)
        rank = _zipf(rng, len(beers), count, 1.0)
        beer = beer_order[rank]
        popular = 0.35 * np.exp(-rank / (0.02 * len(beers) + 1))
        yield pa.table(
            {
                "review_id": np.arange(first + 1, first + count + 1),
                "brewery_id": breweries[beer],
                "beer_id": beers[beer],
                "profile_id": profiles[profile_order[_zipf(rng, len(profiles), count, 0.85)]],
                **{name: _scores(rng, quality[beer] + popular) for name in SCORES},
                "review_time": _times(rng, count, scale.months),
            }
        )


def _scores(rng: np.random.Generator, expected: Floats) -> pa.Array:
    """Scores from 1 to 5 in steps of a half. Two in a hundred are null."""
    raw = expected + 0.6 * rng.standard_normal(len(expected))
    return pa.array(np.clip(np.round(raw * 2) / 2, 1.0, 5.0), mask=rng.random(len(expected)) < 0.02)


def _times(rng: np.random.Generator, count: int, months: int) -> Integers:
    """Times in seconds since 1970 over ``months`` months. The last month has about twice as many as the first."""
    span = months * MONTH_SECONDS
    share = np.sqrt(1 + 3 * rng.random(count)) - 1
    return (FIRST_MONTH.timestamp() + share * span).astype(np.int64)


def _zipf(rng: np.random.Generator, kinds: int, count: int, exponent: float) -> Integers:
    """``count`` ranks from 0 to ``kinds`` - 1. Rank r has the weight 1 / (r + 1) ** ``exponent``."""
    weights = np.cumsum(1.0 / np.arange(1, kinds + 1) ** exponent)
    ranks: Integers = np.searchsorted(weights, rng.random(count) * weights[-1], side="right").astype(np.int64)
    return np.minimum(ranks, kinds - 1)


def _pick(rng: np.random.Generator, words: tuple[str, ...], count: int, skew: float = 0.0) -> list[str]:
    return [words[place] for place in _zipf(rng, len(words), count, skew)]


def _ids(table: pa.Table, column: str) -> Integers:
    ids: Integers = table[column].to_numpy()
    return ids


def _read_csv(path: Path) -> pa.Table:
    kinds = {"brewery_id": pa.int64(), "beer_id": pa.int64(), "profile_id": pa.int64(), "beer_abv": pa.float64()}
    text = ("brewery_name", "beer_name", "beer_style", "profile_name", "email", "state")
    options = pyarrow.csv.ConvertOptions(
        column_types=kinds | dict.fromkeys(text, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.read_csv(path, convert_options=options, parse_options=parsing)


def _copy(cursor: psycopg2.extensions.cursor, table: str, rows: pa.Table) -> None:
    text = io.BytesIO()
    pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=False))
    text.seek(0)
    columns = ", ".join(rows.column_names)
    cursor.copy_expert(f"COPY dm_core.{table} ({columns}) FROM STDIN WITH (FORMAT csv)", text)


def _finish(dsn: str) -> None:
    """Create the indexes and refresh the planner's statistics."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(INDEXES.read_text())
        for table in TABLES:
            cursor.execute(f"ANALYZE dm_core.{table}")
    connection.close()
