"""Which months a batch touches: of its own table, and of review_flat behind it."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from jobs.derived import flat
from jobs.iceberg.catalog import SILVER, engine_name, exists
from jobs.silver import key_index
from jobs.silver.changes import IS_DELETE
from jobs.silver.merge import Month, swept_condition
from lake.contract import Contract, MonthPartition


def of_keys(spark: SparkSession, contract: Contract, partition: MonthPartition, keys: DataFrame) -> set[Month]:
    """Pre-pass: the months in which a partitioned table holds these keys now.

    A delete does not say where its row lies, and a row whose month changed lies where its new image does not say.
    """
    rows = key_index.rows(spark, contract, partition)
    return _months(rows.join(keys, [c.name for c in contract.key], "left_semi"), partition)


def of_images(changes: DataFrame, partition: MonthPartition) -> set[Month]:
    """The months that a batch's images name."""
    moment = f"timestamp_seconds(`{partition.column}`)" if partition.unit == "epoch_seconds" else f"`{partition.column}`"
    rows = changes.where(f"not {IS_DELETE} and `{partition.column}` is not null").selectExpr(
        f"year({moment}) as `{partition.year_field}`", f"month({moment}) as `{partition.month_field}`"
    )
    return _months(rows, partition)


def of_sweep(spark: SparkSession, table: str, partition: MonthPartition, generation: int) -> set[Month]:
    """The months that hold rows which a sweep will delete."""
    return _months(spark.table(engine_name(SILVER, table)).where(swept_condition(generation)), partition)


def of_reviews(spark: SparkSession, dimension: str, keys: DataFrame) -> set[Month]:
    """The months of the reviews that name these rows of a dimension of review_flat."""
    if not exists(SILVER, flat.FACT):
        return set()
    column = flat.DIMENSIONS[dimension]
    year, month = flat.PARTITION
    rows = spark.table(engine_name(SILVER, flat.FACT)).select(column, year, month)
    return {(row[0], row[1]) for row in rows.join(keys.select(column), [column], "left_semi").select(year, month).distinct().collect()}


def _months(rows: DataFrame, partition: MonthPartition) -> set[Month]:
    pairs = rows.select(partition.year_field, partition.month_field).distinct().collect()
    return {(int(year), int(month)) for year, month in pairs}
