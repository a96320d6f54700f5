"""The source in one snapshot: whatever is read of it belongs to the same moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import psycopg2
from psycopg2 import sql

from lake.contract import Column, Contract

# Text forms that do not depend on the server's settings.
SESSION = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1"
)


class SourceSnapshot:
    """A read-only transaction on the source that sees one snapshot (REPEATABLE READ)."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg2.connect(dsn)
        self.connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with self.connection.cursor() as cursor:
            cursor.execute(SESSION)

    def __enter__(self) -> SourceSnapshot:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.connection.close()

    def copy_table(self, contract: Contract, path: Path) -> None:
        """Write the contract's columns of its table to a CSV file: a header row, null as nothing, empty text as ``\"\"``."""
        columns = sql.SQL(", ").join(_selected(column) for column in contract.columns)
        table = sql.Identifier(contract.source_schema, contract.source_table)
        self._copy(sql.SQL("SELECT {} FROM {}").format(columns, table), path)

    def copy_statement(self, statement: str, schema: str, path: Path) -> None:
        """Write a statement's rows; its unqualified tables lie in ``schema``."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
        self._copy(sql.SQL(statement), path)

    def _copy(self, statement: sql.Composable, path: Path) -> None:
        with self.connection.cursor() as cursor, path.open("wb") as sink:
            cursor.copy_expert(sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER)").format(statement), sink)


def names(columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns' names."""
    return tuple(column.name for column in columns)


def _selected(column: Column) -> sql.Composable:
    name, source = sql.Identifier(column.name), sql.Identifier(column.source_name)
    value = sql.SQL("{} AT TIME ZONE 'UTC'").format(source) if column.type.name == "timestamptz" else source
    return sql.SQL("{} AS {}").format(value, name)
