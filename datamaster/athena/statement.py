"""Statements: their kind and the tables that they read, from the parsed tree and never from the text."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from datamaster.athena.failures import NotAnswered, StatementFailed
from datamaster.athena.utilities import Show, read_show

CATALOG = "awsdatacatalog"
INFORMATION_SCHEMA = "information_schema"
EVERY_TABLE = "*"
"""Stands for all tables of a database if a statement names the database alone."""
_RESERVED = re.compile(
    r"""
    ALTER|AND|AS|BETWEEN|BY|CASE|CAST|CONSTRAINT|CREATE|CROSS|CUBE|DEALLOCATE|DELETE|DESCRIBE|DISTINCT|DROP|ELSE|END|ESCAPE
    |EXCEPT|EXECUTE|EXISTS|EXTRACT|FALSE|FOR|FROM|FULL|GROUP|GROUPING|HAVING|IN|INNER|INSERT|INTERSECT|INTO|IS|JOIN|LEFT|LIKE
    |NATURAL|NORMALIZE|NOT|NULL|ON|OR|ORDER|OUTER|PREPARE|RECURSIVE|RIGHT|ROLLUP|SELECT|SKIP|TABLE|THEN|TRUE|UESCAPE|UNION
    |UNNEST|USING|VALUES|WHEN|WHERE|WITH
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Words that name nothing unless quoted: https://docs.aws.amazon.com/athena/latest/ug/reserved-words.html"""
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


Statement = Select | Show


def parse(sql: str, parameters: Sequence[str] = ()) -> Statement:
    """Parse one statement. ``parameters`` are SQL literals for its question marks, in order.

    Raises ``StatementFailed``: a syntax error, more than one statement, or one that is refused (``NotAnswered``).
    """
    text = sql.strip().removesuffix(";").strip()
    show = read_show(text)
    if show is not None:
        return show
    trees = [tree for tree in _parsed(text) if tree is not None]
    if len(trees) != 1:
        raise StatementFailed("SYNTAX_ERROR", f"exactly one statement expected, got {len(trees)}")
    tree = trees[0]
    _refuse_reserved(tree)
    if isinstance(tree, exp.Values):
        tree = exp.select("*").from_(exp.alias_(tree.copy(), "rows", table=True))
    if not isinstance(tree, exp.Query):
        words = " ".join(re.findall(r"[A-Za-z]+", text)[:2]).upper()
        reads = words.startswith(("EXPLAIN", "EXECUTE", "PREPARE", "DEALLOCATE"))
        raise NotAnswered(words or "an empty statement", "the local Athena does not answer it" if reads else NotAnswered.WRITES)
    if isinstance(tree, exp.Select) and not tree.expressions:
        raise StatementFailed("SYNTAX_ERROR", "SELECT names no column")
    if any(tree.find_all(exp.Into)):
        raise NotAnswered("SELECT INTO")
    return Select(_bound(tree, parameters))


def tables_read(statement: Statement, database: str) -> frozenset[TableName]:
    """Every table or view that the statement reads by name. Unqualified names belong to ``database``.

    Common table expressions are excluded. Metadata tables (``"t$snapshots"``) count as their table. SHOW TABLES reads ``EVERY_TABLE`` of
    its database. information_schema is excluded, because it only shows tables that its reader may see. A caller's rights are checked
    against this set, so it has to be complete.
    """
    if isinstance(statement, Select):
        named = {name_of(table, database) for table in table_nodes(statement.tree)}
        return frozenset(name for name in named if name.database != INFORMATION_SCHEMA)
    if statement.kind == "DATABASES":
        return frozenset()
    return frozenset({TableName((statement.database or database).lower(), (statement.table or EVERY_TABLE).lower())})


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


def _refuse_reserved(tree: exp.Expr) -> None:
    """Raise ``StatementFailed`` for a reserved word that names something without quotes: the parser here would take it."""
    for name in tree.find_all(exp.Identifier):
        if not name.args.get("quoted") and _RESERVED.fullmatch(name.name):
            raise StatementFailed("SYNTAX_ERROR", f"mismatched input '{name.name}': the word is reserved; write \"{name.name}\" for a name")


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
    """Whether the node names a common table expression that is visible at its place."""
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
