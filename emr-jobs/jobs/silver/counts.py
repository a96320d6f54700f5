"""The counts of a batch's outcome: rows that loads and exports have read, keys that each load has brought, values that are missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr

from jobs.iceberg.catalog import SILVER, engine_name
from jobs.iceberg.partitions import NAMED_MONTHS_LIMIT, Month, months_condition
from jobs.iceberg.tables import LOADED_BY, MISSING
from jobs.silver import quality
from jobs.silver.changes import GENERATION, LOADED, STREAMED, VALID_AT
from lake import cdc
from lake.contract import Contract
from lake.control.target_items import WHOLE
from lake.manifests import month_text


class Read(NamedTuple):
    """The time until which a batch's rows of a generation were read (microseconds since 1970), and whether a load read them."""

    generation: int
    until: int
    is_load: bool


def reads(delivered: DataFrame, opened_at: datetime) -> list[Read]:
    """The rows that loads and exports read, by generation.

    A load's row was read before its message was built. An export's row was read before the batch with its file was opened.
    """
    opened = int(opened_at.timestamp()) * 1_000_000 + opened_at.microsecond
    until = f"max(case when {STREAMED} then unix_micros({VALID_AT}) else {opened} end)"
    read = delivered.where(f"{cdc.OPERATION} = '{cdc.LOAD}' and {GENERATION} >= 0").groupBy(GENERATION)
    return [Read(*row) for row in read.agg(expr(until), expr(f"bool_or({LOADED})")).collect()]


def latest(known: Mapping[str, int], reads: Iterable[Read]) -> dict[str, int]:
    """The time until which the rows of each generation were read, including this batch's reads."""
    found = {str(read.generation): max(read.until, known.get(str(read.generation), 0)) for read in reads}
    return {**known, **found}


def loads(spark: SparkSession, contract: Contract, bucket: str, reads: Iterable[Read]) -> dict[str, int]:
    """The number of keys that each load has brought so far, by generation, for the loads with rows in this batch.

    plan compares them with the count that the source reported. Keys are counted instead of rows, because a row may be
    delivered twice and a file merged twice. A key that a quality rule holds back counts too, though silver lacks it.
    """
    generations = sorted(str(read.generation) for read in reads if read.is_load)
    if not generations:
        return {}
    key, own = [f"`{c.name}`" for c in contract.key], f"({', '.join(generations)})"
    brought = (
        spark.table(engine_name(SILVER, contract.table)).where(f"{LOADED_BY} in {own}").selectExpr(*key, f"{LOADED_BY} as {GENERATION}")
    )
    held = quality.held_loads(spark, contract, bucket)
    if held is not None:
        brought = brought.unionByName(held.where(f"{GENERATION} in {own}")).distinct()
    return {str(generation): int(keys) for generation, keys in brought.groupBy(GENERATION).count().collect()}


def missing(spark: SparkSession, contract: Contract, months: Collection[Month] | None) -> dict[str, dict[str, int]]:
    """The rows that ``cdc_missing`` names columns of, by month and by those columns; ``WHOLE`` if every month was counted.

    ``months`` are those that the batch may have changed, None without a partition.
    """
    if not contract.partial_columns or not (months is None or months):
        return {}
    rows, partition = spark.table(engine_name(SILVER, contract.table)).where(f"{MISSING} is not null"), contract.partition
    counted: dict[str, dict[str, int]] = {WHOLE: {}}
    if months is not None and partition is not None and len(months) <= NAMED_MONTHS_LIMIT:
        rows = rows.where(months_condition(partition.fields, months))
        counted = {month_text(*month): {} for month in months}
    month = (f"`{partition.year_field}` as year", f"`{partition.month_field}` as month") if partition else ("0 as year", "0 as month")
    for year, number, columns, count in rows.selectExpr(*month, MISSING).groupBy("year", "month", MISSING).count().collect():
        counted.setdefault(month_text(year, number) if partition else WHOLE, {})[columns] = int(count)
    return counted
