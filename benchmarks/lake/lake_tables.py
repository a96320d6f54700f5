"""Tables for the benchmark, written directly as Parquet and Iceberg: one commit per year, usually 28,000 reviews per month."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.iceberg.catalog import SILVER, catalog
from jobs.iceberg.tables import ensure_silver
from lake import cdc
from lake.contract import Contract

LAST_YEAR = 2025
BREWERIES, BEERS, PROFILES = 5_000, 60_000, 30_000
SEEN = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = pa.timestamp("us", "UTC")


def months_of(count: int) -> list[tuple[int, int]]:
    """The last ``count`` months up to December of LAST_YEAR, oldest first."""
    numbers = range(LAST_YEAR * 12 + 12 - count, LAST_YEAR * 12 + 12)
    return [(number // 12, number % 12 + 1) for number in numbers]


def review_columns(ids: np.ndarray, month: tuple[int, int], random: np.random.Generator) -> dict[str, pa.Array]:
    """Reviews of one month."""
    begin = calendar.timegm((*month, 1, 0, 0, 0))
    count = len(ids)
    scores = {
        f"review_{name}": pa.array(random.integers(2, 11, count) / 2) for name in ("overall", "aroma", "appearance", "palate", "taste")
    }
    return {
        "review_id": pa.array(ids),
        "brewery_id": pa.array(random.integers(1, BREWERIES + 1, count)),
        "beer_id": pa.array(random.integers(1, BEERS + 1, count)),
        "profile_id": pa.array(random.integers(1, PROFILES + 1, count)),
        **scores,
        "review_time": pa.array(begin + random.integers(0, 28 * 86_400, count)),
    }


def make_reviews(contract: Contract, bucket: str, months: int, rows_a_month: int) -> None:
    """The silver table of reviews. Ids are spread over the months at random, as if old reviews were entered late."""
    random = np.random.default_rng(1)
    ids = random.permutation(np.arange(1, months * rows_a_month + 1))
    table = ensure_silver(contract, bucket)
    schema = table.schema().as_arrow()
    for first in range(0, months, 12):
        parts = []
        for number, month in enumerate(months_of(months)[first : first + 12], first):
            own = np.sort(ids[number * rows_a_month : (number + 1) * rows_a_month])
            parts.append(_silver_rows(review_columns(own, month, random), month, schema))
        table.append(pa.concat_tables(parts))


def make_dimensions(contracts: dict[str, Contract], bucket: str) -> None:
    """The breweries, beers and profiles that the reviews refer to."""
    for name, count in (("brewery", BREWERIES), ("beer", BEERS), ("profile", PROFILES)):
        table = ensure_silver(contracts[name], bucket)
        keys = pa.array(np.arange(1, count + 1))
        columns: dict[str, pa.Array] = {f"{name}_id": keys, f"{name}_name": pa.array([f"{name} {key}" for key in range(1, count + 1)])}
        if name == "beer":
            columns |= {
                "brewery_id": pa.array(np.arange(count) % BREWERIES + 1),
                "beer_style": pa.array([f"style {n % 100}" for n in range(count)]),
            }
        if name == "profile":
            columns |= {"state": pa.array([f"S{n % 27}" for n in range(count)])}
        table.append(_silver_rows(columns, None, table.schema().as_arrow()))


def account_columns(ids: np.ndarray, word: str) -> dict[str, pa.Array]:
    """Accounts, a table without months."""
    scattered = (ids * 2_654_435_761 % 2**32).tolist()
    return {
        "account_id": pa.array(ids),
        "label": pa.array([f"{word} {number % 977}" for number in scattered]),
        "body": pa.array([f"{word} {number:08x} of an account" for number in scattered]),
    }


def make_accounts(contract: Contract, bucket: str, count: int) -> None:
    """The silver table of accounts, half a million rows per commit."""
    table = ensure_silver(contract, bucket)
    for first in range(0, count, 500_000):
        columns = account_columns(np.arange(first, min(first + 500_000, count)), "old")
        table.append(_silver_rows(columns, None, table.schema().as_arrow()))


def write_changes(bucket: str, name: str, columns: dict[str, pa.Array], files: int = 1, first: int = 0) -> list[str]:
    """Bronze files of updates newer than everything in the tables, from number ``first``. Returns their URIs."""
    count = len(next(iter(columns.values())))
    changes = pa.table(
        columns
        | {
            cdc.OPERATION: pa.array([cdc.UPDATE] * count),
            cdc.POSITION: pa.array([str(cdc.Position(1_000 + first + n, 1, 0)) for n in range(count)]),
            cdc.BUILT_AT: pa.array([SEEN] * count, STAMP),
            cdc.COMMITTED_AT: pa.array([SEEN] * count, STAMP),
            cdc.UNCHANGED: pa.array([None] * count, pa.list_(pa.string())),
        }
    )
    return write_bronze(bucket, name, changes, files)


def write_bronze(bucket: str, name: str, changes: pa.Table, files: int = 1) -> list[str]:
    """Write these rows as ``files`` bronze files. Returns their URIs."""
    uris, step = [], -(-changes.num_rows // files)
    for number in range(files):
        sink = pa.BufferOutputStream()
        pq.write_table(changes.slice(number * step, step), sink, compression="zstd")
        key = f"bronze/bench/ingest_date=2026-01-01/{name}-{number:05d}/part-00000.parquet"
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=sink.getvalue().to_pybytes())
        uris.append(f"s3://{bucket}/{key}")
    return uris


def drop(*names: tuple[str, str]) -> None:
    """Drop tables with their objects."""
    for name in names:
        if not catalog().table_exists(name):
            continue
        root = catalog().load_table(name).location()
        catalog().drop_table(name)
        bucket, _, prefix = root.removeprefix("s3://").partition("/")
        boto3.resource("s3").Bucket(bucket).objects.filter(Prefix=f"{prefix}/").delete()


def _silver_rows(columns: dict[str, pa.Array], month: tuple[int, int] | None, schema: pa.Schema) -> pa.Table:
    count = len(next(iter(columns.values())))
    own = dict(columns)
    if month:
        own |= {"review_year": pa.array([month[0]] * count, pa.int32()), "review_month": pa.array([month[1]] * count, pa.int32())}
    own |= {"created_at": pa.array([SEEN] * count, STAMP), "updated_at": pa.array([SEEN] * count, STAMP)}
    own |= {"cdc_generation": pa.array([0] * count), "cdc_position": pa.array([cdc.ZERO_POSITION] * count)}
    arrays = [own[field.name].cast(field.type) if field.name in own else pa.nulls(count, field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


REVIEW, ACCOUNT = (SILVER, "review"), (SILVER, "account")
