"""A contract's quality rules, checked on every image of a batch.

Each rule warns, quarantines the changes that break it, or stops the table before anything is written. The results go
to dm_silver.quality_results, one row per rule and batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

import boto3
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, expr

from jobs.iceberg.catalog import SILVER, catalog, engine_name, exists
from jobs.iceberg.commits import retried
from jobs.iceberg.tables import Field, ensure, iceberg_schema
from jobs.silver.changes import GENERATION, IS_DELETE, LOADED, VALID_AT, named
from lake import cdc
from lake.contract import Contract, QualityRule
from lake.contract.names import QUALITY_RESULTS
from lake.errors import TerminalError
from lake.keys import quarantine_uri, silver_location, silver_quarantine_prefix

QUARANTINE, STOP = "quarantine", "stop"
FOUND, HELD, KNOWN = "cdc_found", "cdc_held", "cdc_known"
FIELDS = [
    Field("checked_at", "timestamptz"),
    Field("table_name", "string"),
    Field("batch_id", "string"),
    Field("rule", "string"),
    Field("column_name", "string"),
    Field("kind", "string"),
    Field("severity", "string"),
    Field("rows_checked", "long"),
    Field("rows_failed", "long"),
]


class TableStopped(TerminalError):
    """A rule of severity stop is broken. The table keeps its snapshot until the data or the contract is mended."""

    def __init__(self, table: str, results: list[Result]) -> None:
        broken = "; ".join(f"{r.rule.name} ({r.rule.kind} of {r.rule.column}): {r.failed} of {r.checked} rows" for r in results)
        super().__init__(f'table "{table}" was not merged: {broken}')


@dataclass(frozen=True)
class Result:
    """The result of one rule on one batch."""

    rule: QualityRule
    checked: int
    failed: int


@dataclass(frozen=True)
class Checked:
    """A batch's accepted changes, its quarantined ones, and every rule's result."""

    accepted: DataFrame
    quarantined: DataFrame | None
    results: tuple[Result, ...]
    quarantined_rows: int = 0

    @property
    def stopping(self) -> list[Result]:
        """The broken rules that forbid the merge."""
        return [r for r in self.results if r.rule.severity == STOP and r.failed]

    def summary(self) -> tuple[dict[str, Any], ...]:
        """The broken rules for the batch's outcome."""
        return tuple({"rule": r.rule.name, "severity": r.rule.severity, "rows_failed": r.failed} for r in self.results if r.failed)


def guard(spark: SparkSession, contract: Contract, changes: DataFrame, bucket: str, batch_id: str, opened_at: datetime) -> Checked:
    """Check every rule, keep the results, and put the changes that a rule holds back into the quarantine. Raises ``TableStopped``."""
    checked = check(spark, contract, changes)
    keep(contract, bucket, batch_id, opened_at, checked.results)
    if checked.stopping:
        raise TableStopped(contract.table, checked.stopping)
    if checked.quarantined is not None:
        checked.quarantined.write.mode("overwrite").parquet(quarantine_uri(bucket, contract.table, batch_id))
    return checked


def check(spark: SparkSession, contract: Contract, changes: DataFrame) -> Checked:
    """Check every rule on the images of a batch. A delete has no image, and a column that was left out is not checked."""
    rules = contract.quality_rules
    if not rules:
        return Checked(changes, None, ())
    flagged = reduce(lambda rows, numbered: _flag(spark, contract, rows, *numbered), enumerate(rules), changes)
    counts = flagged.where(f"not {IS_DELETE}").selectExpr(
        "count(*) as checked", *(f"count(case when cdc_broken_{n} then 1 end) as cdc_failed_{n}" for n in range(len(rules)))
    )
    row = counts.collect()[0]
    results = tuple(Result(rule, row["checked"], row[f"cdc_failed_{n}"]) for n, rule in enumerate(rules))
    held = [n for n, result in enumerate(results) if result.failed and result.rule.severity == QUARANTINE]
    if not held:
        return Checked(changes, None, results)
    broken = " or ".join(f"cdc_broken_{n}" for n in held)
    names = ", ".join(f"case when cdc_broken_{n} then '{rules[n].name}' end" for n in held)
    columns = [f"`{name}`" for name in changes.columns]
    quarantined = flagged.where(broken).selectExpr(*columns, f"concat_ws(', ', {names}) as cdc_broken_rules")
    return Checked(flagged.where(f"not ({broken})").selectExpr(*columns), quarantined, results, quarantined.count())


def keep(contract: Contract, bucket: str, batch_id: str, checked_at: datetime, results: tuple[Result, ...]) -> None:
    """Write a batch's results in place of those of an earlier run."""
    if not results:
        return
    rows = [
        {
            "checked_at": checked_at,
            "table_name": contract.table,
            "batch_id": batch_id,
            "rule": r.rule.name,
            "column_name": r.rule.column,
            "kind": r.rule.kind,
            "severity": r.rule.severity,
            "rows_checked": r.checked,
            "rows_failed": r.failed,
        }
        for r in results
    ]
    data = pa.Table.from_pylist(rows, iceberg_schema(FIELDS).as_arrow())
    own = f"table_name == '{contract.table}' and batch_id == '{batch_id}'"
    _replace(data, own, silver_location(bucket, QUALITY_RESULTS))


@retried  # the tables' jobs run side by side and share this table
def _replace(rows: pa.Table, own: str, location: str) -> None:
    ensure(SILVER, QUALITY_RESULTS, FIELDS, (), location).overwrite(rows, overwrite_filter=own)


def held_loads(spark: SparkSession, contract: Contract, bucket: str) -> DataFrame | None:
    """Key and generation of every load row that a rule has held back in any batch, without duplicates. None if there is none."""
    listing = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=silver_quarantine_prefix(contract.table))
    objects = [item["Key"] for page in listing for item in page.get("Contents", ()) if item["Key"].endswith(".parquet")]
    if not objects:
        return None
    types = {c.name: c.type.sql for c in contract.key}
    schema = ", ".join([*(f"`{name}` {kind}" for name, kind in types.items()), f"{cdc.OPERATION} string", f"{cdc.POSITION} string"])
    held = spark.read.schema(f"{schema}, {GENERATION} bigint, {VALID_AT} timestamp").parquet(*(f"s3://{bucket}/{key}" for key in objects))
    return held.where(LOADED).select(*types, GENERATION).distinct()


@retried
def compact() -> int:
    """Rewrite the results as one file if they lie in several. Returns 1 if they were rewritten, else 0.

    Jobs of several tables write here side by side. Raises ``CommitFailedException`` if the table changed meanwhile.
    """
    table = catalog().load_table((SILVER, QUALITY_RESULTS))
    if len(list(table.scan().plan_files())) < 2:
        return 0
    table.overwrite(table.scan().to_arrow())
    return 1


def _flag(spark: SparkSession, contract: Contract, rows: DataFrame, number: int, rule: QualityRule) -> DataFrame:
    """Adds ``cdc_broken_<number>``: whether a row breaks the rule."""
    kinds: dict[str, Callable[[], DataFrame]] = {
        "unique": lambda: _repeated(spark, contract, rows, rule),
        "reference": lambda: _dangling(spark, rows, rule),
    }
    if rule.kind in kinds:
        condition, joined = FOUND, kinds[rule.kind]()
    else:
        condition, joined = _condition(rule), rows
    column = contract.by_name[rule.column]
    present = f"not {IS_DELETE}"
    if column.may_be_unchanged:
        present += f" and not {named(column.name)} and not {named(cdc.UNSEEN + column.name)}"
    kept = [f"`{name}`" for name in rows.columns]
    return joined.selectExpr(*kept, f"coalesce({present} and {condition}, false) as cdc_broken_{number}")


def _condition(rule: QualityRule) -> str:
    column = f"`{rule.column}`"
    if rule.kind == "not_null":
        return f"{column} is null"
    if rule.kind == "accepted_values":
        return f"{column} not in ({', '.join(_literal(value) for value in rule.values)})"
    bounds = [f"{column} < {rule.minimum}"] if rule.minimum is not None else []
    bounds += [f"{column} > {rule.maximum}"] if rule.maximum is not None else []
    return f"({' or '.join(bounds)})"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _repeated(spark: SparkSession, contract: Contract, rows: DataFrame, rule: QualityRule) -> DataFrame:
    """Adds ``FOUND`` if another key of the batch or of the table's live rows holds the same value."""
    keys = [c.name for c in contract.key]
    names = [f"`{name}`" for name in (*keys, rule.column)]
    own = rows.where(f"not {IS_DELETE} and `{rule.column}` is not null").selectExpr(*names)
    known = spark.table(engine_name(SILVER, contract.table)).where("deleted_at is null").selectExpr(*names)
    others = known.join(own.select(*keys), keys, "left_anti").unionByName(own).distinct()
    repeated = others.groupBy(rule.column).agg(expr("count(*) as cdc_count")).where("cdc_count > 1")
    return rows.join(repeated.selectExpr(f"`{rule.column}` as {HELD}", f"true as {FOUND}"), rows[rule.column] == col(HELD), "left")


def _dangling(spark: SparkSession, rows: DataFrame, rule: QualityRule) -> DataFrame:
    """Adds ``FOUND`` if the value is no live key of the referenced table."""
    assert rule.reference is not None  # noqa: S101 - the contract's reader ensures it
    if not exists(SILVER, rule.reference.table):
        return rows.selectExpr("*", f"`{rule.column}` is not null as {FOUND}")
    there = spark.table(engine_name(SILVER, rule.reference.table)).where("deleted_at is null")
    known = there.selectExpr(f"`{rule.reference.column}` as {HELD}").distinct().selectExpr(HELD, f"true as {KNOWN}")
    joined = rows.join(known, rows[rule.column] == col(HELD), "left")
    return joined.selectExpr(*(f"`{name}`" for name in rows.columns), f"`{rule.column}` is not null and {KNOWN} is null as {FOUND}")
