"""The answers of SHOW and DESCRIBE: lines of plain text, with tabs between the columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from datamaster.athena.failures import NotAnswered, SchemaNotFound, StatementFailed
from datamaster.athena.glue_catalog import Catalog, GlueColumn, GlueTable
from datamaster.athena.statement import TableName
from datamaster.athena.utilities import Show

Listing = tuple[list[str], list[str]]
"""Names of the columns, and lines."""


def listing(catalog: Catalog, show: Show, database: str) -> Listing:
    """Answer a statement about the catalog. Raises ``StatementFailed``."""
    place = (show.database or database).lower()
    if show.kind == "DATABASES":
        return ["database_name"], _like(catalog.databases(), show.pattern)
    if show.kind in ("TABLES", "VIEWS"):
        if not catalog.has_database(place):
            raise SchemaNotFound(place)
        tables = [table.name.table for table in catalog.tables(place) if show.kind == "TABLES" or table.view]
        return ["tab_name" if show.kind == "TABLES" else "views"], _like(tables, show.pattern)
    table = catalog.table(TableName(place, (show.table or "").lower()))
    if show.kind == "PARTITIONS":
        return ["partition"], _partitions(catalog, table)
    if show.kind == "TBLPROPERTIES":
        return _properties(table, show.pattern)
    return OF_TABLE[show.kind](table)


def _columns(table: GlueTable) -> Listing:
    return ["field"], [column.name for column in table.columns + table.partition_keys]


def _description(table: GlueTable) -> Listing:
    columns = table.columns + table.partition_keys
    lines = ["\t".join(f"{part:<20}" for part in (column.name, column.type, column.comment)) for column in columns]
    return ["col_name", "data_type", "comment"], lines


def _partitions(catalog: Catalog, table: GlueTable) -> list[str]:
    """Registered partitions. Projected ones are not shown: https://docs.aws.amazon.com/athena/latest/ug/show-partitions.html"""
    name = f"{table.name.database}.{table.name.table}"
    if table.metadata_location is not None:
        raise NotAnswered(f"SHOW PARTITIONS of the Iceberg table {name}", f'SELECT * FROM "{table.name.table}$partitions" tells them')
    if not table.partition_keys:
        raise StatementFailed("FAILED", f"Execution Error: Table {name} is not a partitioned table")
    keys = [key.name for key in table.partition_keys]
    return ["/".join(f"{key}={value}" for key, value in zip(keys, values, strict=True)) for values in catalog.partition_values(table.name)]


def _properties(table: GlueTable, wanted: str | None) -> Listing:
    properties = properties_of(table)
    if wanted is None:
        return ["prpt_name", "prpt_value"], [f"{name}\t{value}" for name, value in properties.items()]
    missing = f"Table {table.name.database}.{table.name.table} does not have property: {wanted}"
    return ["prpt_name"], [properties.get(wanted, missing)]


def properties_of(table: GlueTable) -> dict[str, str]:
    """The properties that Athena shows: of an Iceberg table only its own.

    https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-show-table-properties.html
    """
    if table.metadata_location is None:
        return dict(sorted(table.parameters.items()))
    return {"table_type": "iceberg", "format": "parquet", "write_compression": "zstd"}


def _create_table(table: GlueTable) -> Listing:
    if table.view is not None:
        raise StatementFailed("NOT_SUPPORTED", f"{table.name.database}.{table.name.table} is a view; SHOW CREATE VIEW tells it")
    lines = _create_iceberg(table) if table.metadata_location is not None else _create_hive(table)
    properties = [f"  '{name}'='{value}'" for name, value in properties_of(table).items()]
    return ["createtab_stmt"], [*lines, "TBLPROPERTIES (", *_separated(properties, ")")]


def _create_iceberg(table: GlueTable) -> list[str]:
    columns = _separated([f"  {column.name} {column.type}" for column in table.columns], ")")
    return [f"CREATE TABLE {table.name.database}.{table.name.table} (", *columns, f"LOCATION '{table.location}'"]


def _create_hive(table: GlueTable) -> list[str]:
    lines = [f"CREATE EXTERNAL TABLE `{table.name.table}`(", *_separated(map(_hive_column, table.columns), ")")]
    if table.partition_keys:
        lines += ["PARTITIONED BY ( ", *_separated(map(_hive_column, table.partition_keys), ")")]
    formats = ["STORED AS INPUTFORMAT ", f"  '{table.input_format}' ", "OUTPUTFORMAT ", f"  '{table.output_format}'"]
    return [*lines, "ROW FORMAT SERDE ", f"  '{table.serde}' ", *formats, "LOCATION", f"  '{table.location}'"]


def _hive_column(column: GlueColumn) -> str:
    return f"  `{column.name}` {column.type} COMMENT '{column.comment}'"


def _separated(lines: Iterable[str], end: str) -> list[str]:
    parts = list(lines)
    return [f"{part}," for part in parts[:-1]] + [f"{parts[-1]}{end}"] if parts else [end]


def _create_view(table: GlueTable) -> Listing:
    if table.view is None:
        raise StatementFailed("NOT_SUPPORTED", f"{table.name.database}.{table.name.table} is no view; SHOW CREATE TABLE tells it")
    return ["Create View"], [f"CREATE VIEW {table.name.database}.{table.name.table} AS", *table.view.sql.splitlines()]


OF_TABLE: dict[str, Callable[[GlueTable], Listing]] = {
    "COLUMNS": _columns,
    "DESCRIBE": _description,
    "CREATE TABLE": _create_table,
    "CREATE VIEW": _create_view,
}


def _like(names: list[str], pattern: str | None) -> list[str]:
    """Names that match: ``*`` or ``.*`` for any characters, a bar for alternatives.

    https://docs.aws.amazon.com/athena/latest/ug/show-tables.html
    """
    if pattern is None:
        return names
    expression = "|".join(re.escape(part.replace(".*", "*")).replace(r"\*", ".*") for part in pattern.split("|"))
    return [name for name in names if re.fullmatch(expression, name)]
