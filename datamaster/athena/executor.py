"""Runs one statement: plan, check, engine, result in S3."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
from sqlglot import exp

from datamaster.athena.dialect import engine_sql
from datamaster.athena.duckdb_engine import Engine
from datamaster.athena.failures import StatementFailed, explained
from datamaster.athena.glue_catalog import Catalog
from datamaster.athena.listings import listing
from datamaster.athena.relations import ScanPlan, ScanPlanner
from datamaster.athena.result_values import ResultColumn
from datamaster.athena.results import write_csv, write_lines
from datamaster.athena.statement import EVERY_TABLE, Select, Statement, TableName, tables_read
from datamaster.athena.utilities import Show

BATCH_ROWS = 20_000
_UNNAMED = "unnamed column "


class AccessCheck(Protocol):
    """Decides whether a caller may read tables."""

    def __call__(self, access_key: str | None, tables: frozenset[TableName]) -> None:
        """Raise ``StatementFailed`` (PERMISSION_DENIED) if the owner of ``access_key`` may not read one of ``tables``."""


def everyone(access_key: str | None, tables: frozenset[TableName]) -> None:
    """The check of an emulator without authorisation: every caller reads every table."""


@dataclass(frozen=True)
class Job:
    """A statement, its caller, and the location of its result."""

    statement: Statement
    database: str
    access_key: str | None
    output_bucket: str
    output_key: str


@dataclass(frozen=True)
class Answer:
    """A finished statement: the columns of its result and the number of its rows."""

    columns: tuple[dict[str, Any], ...]
    rows: int


class Executor:
    """Runs statements on one engine. Several threads may use it."""

    def __init__(self, engine: Engine, catalog: Catalog, s3: Any, file_io: dict[str, str], allowed: AccessCheck = everyone) -> None:
        self.engine, self.catalog, self.s3, self.allowed = engine, catalog, s3, allowed
        self.planner = ScanPlanner(catalog, file_io, engine.constant)

    def run(self, job: Job, started: Callable[[duckdb.DuckDBPyConnection], None]) -> Answer:
        """Run ``job`` and put its result into S3. ``started`` gets the session, so that it can be interrupted.

        Raises ``StatementFailed`` with Athena's reason.
        """
        self.allowed(job.access_key, tables_read(job.statement, job.database))
        with tempfile.TemporaryDirectory(prefix="athena-") as folder:
            file = Path(folder) / "result"
            if isinstance(job.statement, Select):
                answer = self._select(job.statement, job, file, started)
            else:
                answer = self._show(job.statement, job.database, file)
            try:
                self.s3.upload_file(str(file), job.output_bucket, job.output_key)
            except Exception as error:
                raise StatementFailed(
                    "HIVE_WRITER_OPEN_ERROR", f"result not written to s3://{job.output_bucket}/{job.output_key}: {error}"
                ) from error
        return answer

    def _select(self, statement: Select, job: Job, file: Path, started: Callable[[duckdb.DuckDBPyConnection], None]) -> Answer:
        plan = self.planner.plan(statement, job.database, lambda database: self._sees(job.access_key, database))
        self.allowed(job.access_key, frozenset(plan.tables))
        with self.engine.session() as session:
            started(session)
            columns, sql = selected(session, plan)
            try:
                reader = session.execute(sql).to_arrow_reader(BATCH_ROWS)
                rows = write_csv(reader, [column.name for column in columns], file)
            except duckdb.Error as error:
                raise explained(error) from error
        return Answer(tuple(column.info for column in columns), rows)

    def _sees(self, access_key: str | None, database: str) -> bool:
        """Whether the caller may list the tables of a database."""
        try:
            self.allowed(access_key, frozenset({TableName(database, EVERY_TABLE)}))
        except StatementFailed:
            return False
        return True

    def _show(self, statement: Show, database: str, file: Path) -> Answer:
        heads, lines = listing(self.catalog, statement, database)
        write_lines(lines, file)
        return Answer(tuple(ResultColumn(head, "VARCHAR").info | {"Type": "string"} for head in heads), len(lines))


def selected(session: duckdb.DuckDBPyConnection, plan: ScanPlan) -> tuple[list[ResultColumn], str]:
    """The columns of a planned SELECT, and the engine's statement that gives its rows as Athena's text. Raises ``StatementFailed``."""
    for name, table in plan.memory.items():
        session.register(name, table)
    _name_columns(plan.tree)
    sql = engine_sql(plan.tree, Types(session))
    try:
        columns = _described(session, sql, _untyped(plan.tree))
    except duckdb.Error as error:
        raise explained(error) from error
    names = ", ".join(f"c{index}" for index in range(len(columns)))
    texts = ", ".join(f"{column.text(f'c{index}')} AS c{index}" for index, column in enumerate(columns))
    return columns, f"SELECT {texts} FROM ({sql}) AS result({names})"


def _name_columns(tree: exp.Query) -> None:
    """Mark the columns that the statement does not name: Athena calls them _col0, _col1, … by their place."""
    first: exp.Expr = tree
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    if isinstance(first, exp.Select):
        for place, column in enumerate(first.expressions):
            if isinstance(column, exp.Column) and column.name != column.name.lower():
                # The heading is written as the statement writes it: .../ug/tables-databases-columns-names.html
                column.replace(exp.alias_(column.copy(), column.name, quoted=True))
            elif not column.alias and not isinstance(column, exp.Column | exp.Star | exp.Dot):
                column.replace(exp.alias_(column.copy(), f"{_UNNAMED}{place}", quoted=True))


class Types:
    """The engine's types of expressions, each determined at its place: with its FROM and the WITH names before it."""

    def __init__(self, session: duckdb.DuckDBPyConnection) -> None:
        self.session = session
        self.known: dict[str, str | None] = {}

    def __call__(self, expression: exp.Expr) -> str | None:
        """The type, None for an expression that the engine cannot read by itself, e.g. one that refers to an outer query."""
        sql = self._alone(expression).sql(dialect="duckdb")
        if sql not in self.known:
            try:
                self.known[sql] = str(self.session.execute(f"DESCRIBE {sql}").fetchall()[0][1])
            except duckdb.Error:
                self.known[sql] = None
        return self.known[sql]

    @staticmethod
    def _alone(expression: exp.Expr) -> exp.Select:
        alone = exp.Select(expressions=[expression.copy()])
        if not any(expression.find_all(exp.Column)):
            return alone
        select = expression.find_ancestor(exp.Select)
        if select is not None:
            for part in ("from_", "joins", "laterals"):
                found = select.args.get(part)
                alone.set(part, [one.copy() for one in found] if isinstance(found, list) else found and found.copy())
        named: list[exp.Expr] = []
        around: exp.Query | None = select
        while around is not None:
            clause = around.args.get("with_")
            named = [*(one.copy() for one in clause.expressions), *named] if clause else named
            around = around.find_ancestor(exp.Query)
        if named:
            alone.set("with_", exp.With(expressions=named))
        return alone


def _untyped(tree: exp.Query) -> dict[int, str]:
    """Types, by place, of columns for which the engine has no type of its own: NULL, and an interval of years or months."""
    found: dict[int, str] = {}
    if not isinstance(tree, exp.Select) or tree.is_star:
        return found
    for place, column in enumerate(tree.expressions):
        value = column.unalias()
        if isinstance(value, exp.Null):
            found[place] = "NULL"
        elif isinstance(value, exp.Interval) and value.text("unit").upper() in ("YEAR", "MONTH"):
            found[place] = "INTERVAL YEAR TO MONTH"
    return found


def _described(session: duckdb.DuckDBPyConnection, sql: str, untyped: Mapping[int, str]) -> list[ResultColumn]:
    described = session.execute(f"DESCRIBE {sql}").fetchall()
    return [
        ResultColumn(f"_col{place}" if name.startswith(_UNNAMED) else name, untyped.get(place, kind))
        for place, (name, kind, *_) in enumerate(described)
    ]
