"""Compare derived tables with the source: DuckDB runs their SQL over the source's rows, masked as in the lake.

This proves that the lake's table matches its file and the source's current state: no month is missing or stale. A domain may add a check
that also proves the SQL, as the demo does. Floating-point numbers are compared to nine digits, because their sums depend on the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points

import boto3
import sqlglot
from sqlglot.errors import SqlglotError

from datamaster.platform.query import Athena, QueryFailed
from datamaster.verify.report import TableReport
from datamaster.verify.silver import source_table, unread
from datamaster.verify.source_snapshot import SourceSnapshot
from datamaster.verify.workbench import Workbench, quoted
from lake.contract import ContractSet, DerivedTable

SCHEMA = "of_source"
COPIES = "(copies)"
TYPES = {"int": "BIGINT", "bigint": "BIGINT", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}
FLOATS = ("float", "double")


@dataclass(frozen=True)
class Sides:
    """Source and lake, while they are compared. The rows of the contracts' tables lie on the bench as ``source_<table>``."""

    bench: Workbench
    source: SourceSnapshot
    athena: Athena
    contracts: ContractSet
    masks: Mapping[str, Mapping[str, str]]
    mask_key: bytes | None


Check = Callable[[Sides], TableReport]
Checks = Callable[[ContractSet], Mapping[str, Check]]
"""The checks that a domain brings for its derived tables, by name."""


def installed_checks(contracts: ContractSet) -> Mapping[str, Check]:
    """The checks of every installed domain, found by the entry point ``datamaster.checks``."""
    found: dict[str, Check] = {}
    for domain in entry_points(group="datamaster.checks"):
        found |= domain.load()(contracts)
    return found


def no_checks(_contracts: ContractSet) -> Mapping[str, Check]:
    """Every table is compared by its own SQL."""
    return {}


def compare_derived(table: DerivedTable, sides: Sides) -> TableReport:
    """Compare a derived table with the result of its SQL over the source's rows, as sets of whole rows."""
    name, bench = f"dm_{table.layer}.{table.name}", sides.bench
    path = bench.folder / "derived.csv"
    try:
        columns = _columns(f"dm_{table.layer}", table.name)
        sides.athena.download(f"SELECT {', '.join(map(quoted, columns))} FROM {name}", path)
    except QueryFailed as error:
        return unread(name, error)
    bench.load("lake_rows", path, tuple(columns), {column: _value(quoted(column), kind) for column, kind in columns.items()})
    try:
        with _sources(sides, table):
            chosen = ", ".join(f"{_value(quoted(column), kind)} AS {quoted(column)}" for column, kind in columns.items())
            bench.run(f"CREATE OR REPLACE TABLE main.source_rows AS SELECT {chosen} FROM ({_in_duckdb(table)})")
    except SqlglotError as error:
        return TableReport.undecided(name, f"derived/{table.name}.sql could not be read: {str(error).splitlines()[0]}")
    for side in ("source", "lake"):
        rows = f"SELECT {', '.join(map(quoted, columns))}, count(*) AS {quoted(COPIES)}, TRUE AS present FROM {side}_rows GROUP BY ALL"
        bench.run(f"CREATE OR REPLACE TABLE {side}_groups AS {rows}")
    return bench.compare(name, "source_groups", "lake_groups", tuple(columns), (COPIES,))


@contextmanager
def _sources(sides: Sides, table: DerivedTable) -> Iterator[None]:
    """The sources of a derived table under their own names, as views in a schema of their own, which is the current one."""
    bench = sides.bench
    bench.run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}; SET schema = '{SCHEMA}'")
    try:
        for source in table.sources:
            bench.run(f"CREATE OR REPLACE VIEW {quoted(source)} AS {_rows(sides, source)}")
        yield
    finally:
        bench.run(f"SET schema = 'main'; DROP SCHEMA {SCHEMA} CASCADE")


def _rows(sides: Sides, source: str) -> str:
    if source in sides.contracts.derived:
        fact = sides.contracts.derived[source]
        for below in fact.sources:
            sides.bench.run(f"CREATE OR REPLACE VIEW {quoted(below)} AS {_rows(sides, below)}")
        return _in_duckdb(fact)
    contract = sides.contracts.table(source)
    months = sides.contracts.months_of(source) if contract.partition else ()
    return f"SELECT {', '.join(map(quoted, (*(c.name for c in contract.columns), *months)))} FROM main.{quoted(source_table(source))}"


def _in_duckdb(table: DerivedTable) -> str:
    return sqlglot.transpile(table.sql, read="spark", write="duckdb", comments=False)[0]


def _columns(database: str, table: str) -> dict[str, str]:
    """The columns of a lake table with Glue's types. Raises ``QueryFailed`` in Athena's words if there is no such table."""
    glue = boto3.client("glue")
    try:
        found = glue.get_table(DatabaseName=database, Name=table)["Table"]["StorageDescriptor"]["Columns"]
    except glue.exceptions.EntityNotFoundException:
        raise QueryFailed(f"TABLE_NOT_FOUND: Table '{database}.{table}' does not exist") from None
    return {column["Name"]: column["Type"] for column in found}


def _value(column: str, kind: str) -> str:
    """The SQL of a value in its lake type, over Athena's text or over a value of DuckDB's."""
    if kind in FLOATS:
        return f"format('{{:.8e}}', TRY_CAST({column} AS DOUBLE) + 0.0)"
    if kind == "timestamp":
        return f"TRY_CAST(regexp_replace(CAST({column} AS VARCHAR), ' UTC$', '') AS TIMESTAMP)"
    sql_type = kind.upper() if kind.startswith("decimal") else TYPES.get(kind, "VARCHAR")
    return f"TRY_CAST({column} AS {sql_type})"
