"""Staging tables for MERGE sources that hold binary columns.

Sail distinguishes binary from large binary, and its MERGE casts neither. The columns of a table have the type that it expects.
"""

from __future__ import annotations

from pyspark.sql import DataFrame

from jobs.iceberg.catalog import SILVER, engine_name
from jobs.iceberg.statements import overwrite
from jobs.iceberg.tables import ensure_derived, fields_of
from lake.contract.names import STAGED
from lake.keys import silver_location


def source(rows: DataFrame, name: str, bucket: str) -> DataFrame:
    """The rows as a MERGE can read them: themselves, or a staging table with a name that no contract can have."""
    if "binary" not in dict(rows.dtypes).values():
        return rows
    table = f"{name}{STAGED}"
    ensure_derived(SILVER, table, fields_of(rows), (), silver_location(bucket, table))
    staged = rows.sparkSession.table(engine_name(SILVER, table))
    overwrite(engine_name(SILVER, table), rows.select(*staged.columns))
    return staged
