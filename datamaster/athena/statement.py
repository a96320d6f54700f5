"""Statements: what kind one is, and which tables it reads, decided on the parsed tree and never on the text."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from datamaster.athena.failures import NotAnswered, StatementFailed

CATALOG = "awsdatacatalog"
EVERY_TABLE = "*"
"""Stands for all tables of a database where a statement names the database alone."""
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@dataclass(frozen=True, order=True)
class TableName:
    """A table of the catalog, in lower case as Athena reads every name."""

    database: str
    table: str


@dataclass(frozen=True)
class Select:
    """A statement that returns rows of tables."""

    tree: exp.Query


@dataclass(frozen=True)
class ShowDatabases:
    """``SHOW DATABASES [LIKE 'regular expression']``."""

    pattern: str | None


@dataclass(frozen=True)
class ShowTables:
    """``SHOW TABLES [IN database] ['regular expression']``."""

    database: str | None
    pattern: str | None


@dataclass(frozen=True)
class ShowColumns:
    """``SHOW COLUMNS IN table``."""

    database: str | None
    table: str


@dataclass(frozen=True)
class Describe:
    """``DESCRIBE table``."""

    database: str | None
    table: str


Statement = Select | ShowDatabases | ShowTables | ShowColumns | Describe

_NAME = r'[`"]?([\w$-]+)[`"]?'
_TABLE = rf"(?:{_NAME}\s*\.\s*)?{_NAME}"
_PATTERN = r"(?:\s+(?:LIKE\s+)?'([^']*)')?"
_SHOW_DATABASES = re.compile(rf"SHOW\s+(?:DATABASES|SCHEMAS){_PATTERN}", re.IGNORECASE)
_SHOW_TABLES = re.compile(rf"SHOW\s+TABLES(?:\s+(?:IN|FROM)\s+{_NAME})?{_PATTERN}", re.IGNORECASE)
_SHOW_COLUMNS = re.compile(rf"SHOW\s+COLUMNS\s+(?:IN|FROM)\s+{_TABLE}(?:\s+(?:IN|FROM)\s+{_NAME})?", re.IGNORECASE)
_DESCRIBE = re.compile(rf"DESC(?:RIBE)?\s+(?:EXTENDED\s+|FORMATTED\s+)?{_TABLE}", re.IGNORECASE)


def parse(sql: str, parameters: Sequence[str] = ()) -> Statement:
    """Read one statement; ``parameters`` are SQL literals for its question marks, in order.

    Raises ``StatementFailed``: a syntax error, more than one statement, or one that is refused (``NotAnswered``).
    """
    text = sql.strip().removesuffix(";").strip()
    utility = _utility(text)
    if utility is not None:
        return utility
    trees = [tree for tree in _parsed(text) if tree is not None]
    if len(trees) != 1:
        raise StatementFailed("SYNTAX_ERROR", f"exactly one statement expected, got {len(trees)}")
    tree = trees[0]
    if isinstance(tree, exp.Values):
        tree = exp.select("*").from_(exp.alias_(tree.copy(), "rows", table=True))
    if not isinstance(tree, exp.Query):
        words = re.findall(r"[A-Za-z]+", text)[:2]
        raise NotAnswered(" ".join(words).upper() or "an empty statement")
    if isinstance(tree, exp.Select) and not tree.expressions:
        raise StatementFailed("SYNTAX_ERROR", "SELECT names no column")
    if any(tree.find_all(exp.Into)):
        raise NotAnswered("SELECT INTO")
    return Select(_bound(tree, parameters))


def tables_read(statement: Statement, database: str) -> frozenset[TableName]:
    """Every table or view that the statement reads by name, wherever in it; ``database`` is that of unqualified names.

    Names of common table expressions are none. Metadata tables (``"t$snapshots"``) count as the table they belong to.
    SHOW TABLES reads ``EVERY_TABLE`` of its database. A caller's rights are checked against this set, so it has to be whole.
    """
    if isinstance(statement, Select):
        return frozenset(name_of(table, database) for table in table_nodes(statement.tree))
    if isinstance(statement, ShowColumns | Describe):
        return frozenset({TableName((statement.database or database).lower(), statement.table.lower())})
    if isinstance(statement, ShowTables):
        return frozenset({TableName((statement.database or database).lower(), EVERY_TABLE)})
    return frozenset()


def table_nodes(tree: exp.Expr) -> Iterator[exp.Table]:
    """The nodes of a tree that name tables of the catalog.

    Raises ``StatementFailed`` for a table function, and for another catalog: both would read past the catalog.
    """
    for table in list(tree.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier):
            raise NotAnswered(f"the table function {table.this.sql(dialect='athena')}", "only tables of the Glue catalog are read")
        if table.catalog and table.catalog.lower() != CATALOG:
            raise StatementFailed("CATALOG_NOT_FOUND", f"Catalog '{table.catalog}' does not exist")
        if not _names_expression(table):
            yield table


def name_of(table: exp.Table, database: str) -> TableName:
    """The table of the catalog that a node names, without a ``$snapshots`` or the like."""
    return TableName((table.db or database).lower(), table.name.lower().partition("$")[0])


def _parsed(text: str) -> list[exp.Expr | None]:
    try:
        return list(sqlglot.parse(text, read="athena"))
    except SqlglotError as error:
        first = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()[0]
        raise StatementFailed("SYNTAX_ERROR", first) from error


def _utility(text: str) -> Statement | None:
    if match := _SHOW_DATABASES.fullmatch(text):
        return ShowDatabases(match[1])
    if match := _SHOW_TABLES.fullmatch(text):
        return ShowTables(match[1], match[2])
    if match := _SHOW_COLUMNS.fullmatch(text):
        return ShowColumns(match[3] or match[1], match[2])
    if match := _DESCRIBE.fullmatch(text):
        return Describe(match[1], match[2])
    return None


def _bound(tree: exp.Query, parameters: Sequence[str]) -> exp.Query:
    places = [node for node in tree.dfs() if isinstance(node, exp.Placeholder) and not node.this]
    if len(places) != len(parameters):
        raise StatementFailed("INVALID_PARAMETER_USAGE", f"the statement has {len(places)} parameters, {len(parameters)} were given")
    for place, text in zip(places, parameters, strict=True):
        values = _parsed(f"SELECT {text}")
        literal = values[0].expressions[0] if len(values) == 1 and isinstance(values[0], exp.Select) else None
        if literal is None or literal.find(exp.Column, exp.Query):
            raise StatementFailed("INVALID_PARAMETER_USAGE", f"parameter {text!r} is no literal")
        place.replace(literal)
    return tree


def _names_expression(table: exp.Table) -> bool:
    """Whether the node names a common table expression that is visible where it stands."""
    if table.db:
        return False
    name, node = table.name.lower(), table
    current: exp.Expr = node
    while (parent := current.parent) is not None:
        visible: list[exp.Expr] = []
        if isinstance(parent, exp.With):
            place = parent.expressions.index(current)
            visible = parent.expressions[: place + 1 if parent.recursive else place]
        elif (clause := parent.args.get("with_")) is not None and clause is not current:
            visible = clause.expressions
        if any(expression.alias.lower() == name for expression in visible):
            return True
        current = parent
    return False
