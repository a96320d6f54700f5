"""The months that a batch touches in its own table and in the derived tables behind it."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr

from jobs.iceberg.catalog import SILVER, engine_name, exists
from jobs.iceberg.partitions import Month
from jobs.silver import key_index
from jobs.silver.changes import IS_DELETE
from jobs.silver.merge import retired_condition
from jobs.silver.month_rule import month_fields
from lake.contract import Contract, ContractSet, Join, MonthPartition


def of_keys(spark: SparkSession, contract: Contract, partition: MonthPartition, keys: DataFrame) -> set[Month]:
    """Pre-pass: the months in which a partitioned table holds these keys now.

    A delete does not name the month of its row. If a row's month changed, its new image does not name the old month.
    """
    rows = key_index.rows(spark, contract, partition)
    return _months(rows.join(keys, [c.name for c in contract.key], "left_semi"), partition)


def of_images(changes: DataFrame, partition: MonthPartition | None) -> dict[Month, int]:
    """The months of a batch's images, with the number of images in each. (0, 0) means no month."""
    if partition is None:
        return {}
    rows = changes.where(f"not {IS_DELETE}").selectExpr(*month_fields(partition))
    counted = rows.groupBy(*partition.fields).agg(expr("count(*) as cdc_count")).collect()
    return {(int(year), int(month)): int(images) for year, month, images in counted}


def of_retired(spark: SparkSession, table: str, partition: MonthPartition, generation: int) -> set[Month]:
    """The months with rows that this run retires."""
    return _months(spark.table(engine_name(SILVER, table)).where(retired_condition(generation)), partition)


def of_derived(spark: SparkSession, contracts: ContractSet, table: str, own: set[Month], keys: DataFrame) -> dict[str, set[Month]]:
    """The months to rebuild of each derived table that reads ``table``, if its months ``own`` and its ``keys`` may change."""
    known: dict[tuple[str, Join], set[Month]] = {}
    touched = {}
    for derived in contracts.built_from(table):
        found = set(own) if derived.fact == table else set()
        for join in derived.joins:
            if join.dimension != table:
                continue
            if (derived.fact, join) not in known:
                known[derived.fact, join] = _of_facts(spark, derived.fact, contracts.months_of(derived.fact), join, keys)
            found |= known[derived.fact, join]
        touched[derived.name] = found
    return touched


def _of_facts(spark: SparkSession, fact: str, partition: tuple[str, str], join: Join, keys: DataFrame) -> set[Month]:
    """The months of the facts that refer to rows of a joined table, by their keys."""
    if not exists(SILVER, fact):
        return set()
    named = keys.selectExpr(*(f"`{key}` as `{column}`" for column, key in join.columns))
    columns = [column for column, _ in join.columns]
    rows = spark.table(engine_name(SILVER, fact)).select(*columns, *partition).join(named, columns, "left_semi")
    return {(int(year), int(month)) for year, month in rows.select(*partition).distinct().collect()}


def _months(rows: DataFrame, partition: MonthPartition) -> set[Month]:
    pairs = rows.select(*partition.fields).distinct().collect()
    return {(int(year), int(month)) for year, month in pairs}
