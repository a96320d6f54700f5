"""Athena's SQL in the engine's words, where the translation of sqlglot is not exact.

https://docs.aws.amazon.com/athena/latest/ug/functions-env3.html: engine version 3 is Trino's SQL, https://trino.io/docs/current/
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import SqlglotError

from datamaster.athena.failures import StatementFailed

TIMESTAMPS = (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ)


def engine_sql(tree: exp.Query) -> str:
    """The statement as DuckDB takes it. Raises ``StatementFailed`` for a form that DuckDB has no words for."""
    try:
        return tree.transform(_translated).sql(dialect="duckdb")
    except SqlglotError as error:
        raise StatementFailed("NOT_SUPPORTED", str(error).splitlines()[0]) from error


def _translated(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.DataType) and node.this in TIMESTAMPS:
        # Athena compares timestamps of every precision, with and without zone; the engine only those of microseconds.
        return exp.DataType(this=node.this, nested=False)
    return node
