"""A silver table against its source table: every row, every column, soft deletes, masks, partition."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import duckdb

from datamaster.platform.query import Athena, QueryFailed
from datamaster.verify.masked_columns import masked
from datamaster.verify.report import TableReport
from datamaster.verify.source_snapshot import SourceSnapshot, names
from datamaster.verify.workbench import Workbench, quoted
from lake.contract import Column, Contract, MonthPartition

SQL_TYPES = {
    "smallint": "BIGINT",
    "integer": "BIGINT",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP",
}


def compare_silver(
    bench: Workbench, source: SourceSnapshot, athena: Athena, contract: Contract, masks: Mapping[str, str], mask_key: bytes
) -> TableReport:
    """Compare dm_silver.<table> with the table of its contract. The source's rows stay on the bench as ``source_<table>``."""
    table, columns = contract.table, names(contract.columns)
    of_source, of_lake = bench.folder / f"{table}.source.csv", bench.folder / f"{table}.lake.csv"
    partition = contract.partition
    months = (partition.year_field, partition.month_field) if partition else ()
    wanted = (*columns, *months, "deleted_at")
    statement = f"SELECT {', '.join(quoted(name) for name in wanted)} FROM dm_silver.{quoted(table)}"
    with ThreadPoolExecutor(1) as other:
        download = other.submit(athena.download, statement, of_lake)
        source.copy_table(contract, of_source)
        bench.load(source_table(table), of_source, columns, _source_values(contract, masks, mask_key))
        try:
            download.result()
        except QueryFailed as error:
            return TableReport.unread(f"dm_silver.{table}", str(error))
    try:
        values = {column.name: lake_value(column, column.name in masks) for column in contract.columns}
        values |= {name: f"CAST({quoted(name)} AS BIGINT)" for name in months} | {"deleted_at": quoted("deleted_at")}
        bench.load("lake", of_lake, wanted, values)
    except duckdb.ConversionException as error:
        return TableReport.unread(f"dm_silver.{table}", str(error).splitlines()[0])
    keys = names(contract.key)
    compared = [name for name in (*columns, *months) if name not in keys]
    report = bench.compare(f"dm_silver.{table}", source_table(table), "lake", keys, compared, soft_deletes=True)
    bench.run("DROP TABLE lake")
    return report


def source_table(table: str) -> str:
    """The name of a source table on the bench."""
    return f"source_{table}"


def _source_values(contract: Contract, masks: Mapping[str, str], mask_key: bytes) -> dict[str, str]:
    values = {}
    for column in contract.columns:
        if column.name in masks:
            values[column.name] = masked(masks[column.name], _raw_text(column), mask_key)
        else:
            values[column.name] = typed(column)
    return values | (_months(contract.partition, contract) if contract.partition else {})


def _months(partition: MonthPartition, contract: Contract) -> dict[str, str]:
    moment = typed(contract.by_name[partition.column])
    if partition.unit == "epoch_seconds":
        moment = f"make_timestamp({moment} * 1000000)"
    return {partition.year_field: f"year({moment})", partition.month_field: f"month({moment})"}


def lake_value(column: Column, is_masked: bool) -> str:
    """The SQL of a column's value over Athena's text."""
    return quoted(column.name) if is_masked else typed(column)


def typed(column: Column) -> str:
    """The SQL of a column's value over its text, PostgreSQL's or Athena's."""
    name, kind = quoted(column.name), column.type
    if kind.name == "numeric":
        return f"CAST({name} AS DECIMAL({kind.precision}, {kind.scale}))"
    if kind.name in ("timestamp", "timestamptz"):
        return f"CAST(regexp_replace({name}, ' UTC$', '') AS TIMESTAMP)"
    if kind.name == "bytea":
        return f"replace(replace(lower({name}), '\\x', ''), ' ', '')"
    sql_type = SQL_TYPES.get(kind.name)
    return f"CAST({name} AS {sql_type})" if sql_type else name


def _raw_text(column: Column) -> str:
    """The SQL of the text that raw lines carry, which is what is masked."""
    kind = column.type.name
    if kind in ("timestamp", "timestamptz"):
        return f"strftime({typed(column)}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    if kind == "boolean":
        return f"CAST({typed(column)} AS VARCHAR)"
    return typed(column) if kind == "bytea" else quoted(column.name)
