"""Tables in the engine's words: a scan of the Iceberg metadata, of Hive Parquet files, or of a metadata table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlglot
from pyiceberg.table import StaticTable
from sqlglot import exp

from datamaster.athena.failures import NotAnswered, StatementFailed, TableNotFound
from datamaster.athena.glue_catalog import Catalog, GlueTable
from datamaster.athena.information_schema import InformationSchema
from datamaster.athena.statement import INFORMATION_SCHEMA, Select, TableName, name_of, parse, table_nodes

if TYPE_CHECKING:
    import pyarrow

METADATA_TABLES: Mapping[str, Callable[[Any], pyarrow.Table]] = {
    "snapshots": lambda inspect: inspect.snapshots(),
    "history": lambda inspect: inspect.history(),
    "files": lambda inspect: inspect.files(),
    "manifests": lambda inspect: inspect.manifests(),
    "partitions": lambda inspect: inspect.partitions(),
    "refs": lambda inspect: inspect.refs(),
}
"""Iceberg's metadata tables, ``"table$snapshots"`` and so on.

https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-table-metadata.html
"""

Constant = Callable[[str], Any]
"""Evaluates one constant SQL expression of the engine."""


@dataclass
class ScanPlan:
    """What the engine runs: the tree, every table and view that it reads, and tables that exist in memory only.

    ``visible`` decides whether the caller may see a database's tables.
    """

    tree: exp.Query
    tables: set[TableName]
    memory: dict[str, pyarrow.Table]
    visible: Callable[[str], bool] = lambda _database: True

    def hold(self, table: pyarrow.Table) -> exp.Table:
        """Keep a table in memory. Returns the node that names it."""
        name = f"memory_{len(self.memory)}"
        self.memory[name] = table
        return exp.Table(this=exp.to_identifier(name, quoted=True))


class ScanPlanner:
    """Replaces the tables of a statement by scans.

    ``file_io`` holds PyIceberg's properties for S3. ``constant`` evaluates the time of FOR TIMESTAMP AS OF.
    """

    def __init__(self, catalog: Catalog, file_io: Mapping[str, str], constant: Constant) -> None:
        self.catalog, self.file_io, self.constant = catalog, dict(file_io), constant

    def plan(self, statement: Select, database: str, visible: Callable[[str], bool]) -> ScanPlan:
        """Resolve every table. Raises ``StatementFailed`` where one is unknown or cannot be read."""
        plan = ScanPlan(statement.tree.copy(), set(), {}, visible)
        self._resolve(plan, plan.tree, database, depth=0)
        databases = {name.database for name in plan.tables} | {INFORMATION_SCHEMA}
        for column in plan.tree.find_all(exp.Column):
            # A path into nested fields looks alike: only what begins with a database names a table.
            if column.args.get("db") and column.text("db").lower() in databases:
                column.set("db", None)
                column.set("catalog", None)
        return plan

    def _resolve(self, plan: ScanPlan, tree: exp.Expr, database: str, depth: int) -> None:
        if depth > 16:
            raise StatementFailed("VIEW_IS_RECURSIVE", "views nest deeper than 16")
        for node in list(table_nodes(tree)):
            alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(node.name, quoted=True))
            node.replace(_aliased(self._source(plan, name_of(node, database), node, depth), alias, node))

    def _source(self, plan: ScanPlan, name: TableName, node: exp.Table, depth: int) -> exp.Expr:
        if name.database == INFORMATION_SCHEMA:
            described = InformationSchema(self.catalog, lambda table: self._iceberg(table).schema(), plan.visible)
            return plan.hold(described.table(name.table))
        table = self.catalog.table(name)
        plan.tables.add(name)
        suffix, version = node.name.lower().partition("$")[2], node.args.get("version")
        if suffix:
            return self._metadata_table(plan, table, suffix)
        if table.view is not None:
            view = parse(table.view.sql)
            if not isinstance(view, Select):
                raise StatementFailed("INVALID_VIEW", f"view {table.name.database}.{table.name.table} is no SELECT")
            subquery = exp.Subquery(this=view.tree)
            self._resolve(plan, subquery, table.view.database, depth + 1)
            return subquery
        if table.metadata_location is not None:
            return _function("iceberg_scan", table.metadata_location, self._snapshot(table, version))
        if version is not None:
            raise StatementFailed("NOT_SUPPORTED", f"time travel needs an Iceberg table; {table.name.database}.{table.name.table} is none")
        return self._hive(table)

    def _metadata_table(self, plan: ScanPlan, table: GlueTable, suffix: str) -> exp.Expr:
        if suffix not in METADATA_TABLES or table.metadata_location is None:
            raise TableNotFound(table.name.database, f"{table.name.table}${suffix}")
        return plan.hold(_without_empty_rows(METADATA_TABLES[suffix](self._iceberg(table).inspect)))

    def _iceberg(self, table: GlueTable) -> StaticTable:
        return StaticTable.from_metadata(table.metadata_location or "", self.file_io)

    def _snapshot(self, table: GlueTable, version: exp.Expr | None) -> int | None:
        """The snapshot that FOR TIMESTAMP | VERSION AS OF means, None for the current one."""
        if version is None:
            return None
        value = self.constant(version.expression.sql(dialect="duckdb"))
        iceberg = self._iceberg(table)
        if version.name == "VERSION":
            found = iceberg.snapshot_by_id(value) if isinstance(value, int) else iceberg.snapshot_by_name(str(value))
        else:
            found = iceberg.snapshot_as_of_timestamp(_milliseconds(value))
        if found is None:
            raise StatementFailed("INVALID_ARGUMENTS", f"table {table.name.database}.{table.name.table} has no version history at {value}")
        return found.snapshot_id

    def _hive(self, table: GlueTable) -> exp.Expr:
        if "parquet" not in table.input_format.lower():
            raise NotAnswered(
                f"reading {table.name.database}.{table.name.table} of format {table.input_format or 'unknown'}",
                "only Iceberg and Parquet tables are read",
            )
        columns = table.columns + table.partition_keys
        registered = table.partition_keys and not table.projected
        locations = list(self.catalog.partition_locations(table.name)) if registered else [table.location]
        files = [pattern for location in locations if self._holds_files(pattern := f"{location.rstrip('/')}/**/*.parquet")]
        casts = ", ".join(f"CAST({_quoted(column.name)} AS {_engine_type(column.type)}) AS {_quoted(column.name)}" for column in columns)
        if not files:
            nulls = ", ".join(f"CAST(NULL AS {_engine_type(column.type)}) AS {_quoted(column.name)}" for column in columns)
            return _subquery(f"SELECT {nulls} WHERE FALSE")
        listed = ", ".join(_text(file) for file in files)
        hive = "TRUE" if table.partition_keys else "FALSE"
        return _subquery(
            f"SELECT {casts} FROM read_parquet([{listed}], union_by_name = TRUE, hive_partitioning = {hive}, hive_types_autocast = FALSE)"
        )

    def _holds_files(self, pattern: str) -> bool:
        """Whether anything lies there: to Athena an empty place has no rows, to the engine it is an error."""
        return bool(self.constant(f"(SELECT count(*) FROM glob({_text(pattern)}))"))


def _without_empty_rows(table: pyarrow.Table) -> pyarrow.Table:
    """Leave out columns whose rows have no field, e.g. the partition of an unpartitioned table: the engine has no such type."""
    return table.select([field.name for field in table.schema if not (field.type.num_fields == 0 and str(field.type).startswith("struct"))])


def _aliased(source: exp.Expr, alias: exp.Expr, node: exp.Table) -> exp.Expr:
    source.set("alias", alias.copy())
    for part in ("joins", "sample", "laterals", "pivots"):
        if node.args.get(part):
            source.set(part, node.args[part])
    return source


def _function(name: str, location: str, snapshot: int | None) -> exp.Table:
    arguments: list[exp.Expr] = [exp.Literal.string(location)]
    if snapshot is not None:
        arguments.append(exp.Kwarg(this=exp.Var(this="snapshot_from_id"), expression=exp.Literal.number(snapshot)))
    return exp.Table(this=exp.Anonymous(this=name, expressions=arguments))


def _subquery(sql: str) -> exp.Subquery:
    return exp.Subquery(this=sqlglot.parse_one(sql, read="duckdb"))


def _engine_type(hive_type: str) -> str:
    return exp.DataType.build(hive_type, dialect="hive").sql(dialect="duckdb")


def _quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect="duckdb")


def _text(value: str) -> str:
    return exp.Literal.string(value).sql(dialect="duckdb")


def _milliseconds(moment: Any) -> int:
    if not isinstance(moment, datetime):
        raise StatementFailed("TYPE_MISMATCH", f"FOR TIMESTAMP AS OF needs a timestamp, got {moment!r}")
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
