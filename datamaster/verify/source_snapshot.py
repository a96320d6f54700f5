"""The source in one snapshot: all reads see the same moment."""

from __future__ import annotations

import codecs
from collections.abc import Container, Sequence
from pathlib import Path
from types import TracebackType

import psycopg2
from psycopg2 import sql

from datamaster.source.pg_catalog import UnknownSourceTable
from lake.contract import Column, Contract
from lake.contract.names import ROW
from lake.errors import TransientError
from lake.source_session import SESSION_OPTIONS

COLUMNS = """
    SELECT attname, relkind FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""


class SourceLost(TransientError):
    """The source does not answer, or ended the session that reads it."""


class SourceSnapshot:
    """A read-only transaction on the source that sees one snapshot (REPEATABLE READ).

    A refused statement ends only itself. Raises ``SourceLost`` if the session is gone.
    """

    def __init__(self, dsn: str) -> None:
        try:
            self.connection = psycopg2.connect(dsn, options=SESSION_OPTIONS)
            self.connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('server_encoding')")
                self._as_bytes = cursor.fetchone() == ("SQL_ASCII",)
                if self._as_bytes:  # it converts nothing, so asking for UTF-8 would be refused at the first other byte
                    cursor.execute("SET client_encoding = 'SQL_ASCII'")
        except psycopg2.OperationalError as error:
            raise SourceLost(f"source: {str(error).strip()}") from error

    def __enter__(self) -> SourceSnapshot:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.connection.close()

    def copy_table(self, contract: Contract, path: Path) -> frozenset[str]:
        """Write the contract's columns of its table to a CSV file: with a header row, null as nothing, empty text as ``\"\"``.

        Returns the columns that the table no longer has. They are null in the file. A key is read in any case. Raises
        ``UnknownSourceTable``, psycopg2's errors.
        """
        with self.connection.cursor() as cursor:
            cursor.execute(COLUMNS, (contract.source_schema, contract.source_table))
            there = dict(cursor.fetchall())
        if not there:
            raise UnknownSourceTable(f'the source has no table "{contract.source_schema}.{contract.source_table}" any more')
        gone = frozenset(c.name for c in contract.columns if c.source_name not in there and c.key is None)
        columns = sql.SQL(", ").join(_selected(column, gone) for column in contract.columns)
        table = sql.Identifier(contract.source_schema, contract.source_table)
        only = sql.SQL("" if "p" in there.values() else "ONLY ")  # rows of tables that inherit from this one are not its own
        self._copy(sql.SQL("SELECT {} FROM {}{}").format(columns, only, table), path)
        return gone

    def copy_statement(self, statement: str, schema: str, path: Path) -> None:
        """Write a statement's rows. Its unqualified tables belong to ``schema``. Raises psycopg2's errors."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
        self._copy(sql.SQL(statement), path)

    def _copy(self, statement: sql.Composable, path: Path) -> None:
        with self.connection.cursor() as cursor, path.open("wb") as sink:
            cursor.execute("SAVEPOINT one_statement")
            try:
                cursor.copy_expert(
                    sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER)").format(statement), _Readable(sink) if self._as_bytes else sink
                )
                cursor.execute("RELEASE SAVEPOINT one_statement")
            except psycopg2.Error as error:
                if self.connection.closed:
                    raise SourceLost(f"source: {str(error).strip()}") from error
                cursor.execute("ROLLBACK TO SAVEPOINT one_statement")
                raise


class _Readable:
    """Takes bytes of no known encoding and writes UTF-8: a byte that is none becomes ``\\xNN``, which no row of the lake holds."""

    def __init__(self, sink: object) -> None:
        self._sink = codecs.getwriter("utf-8")(sink)  # type: ignore[arg-type]
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: bytes) -> int:
        self._sink.write(self._decoder.decode(data))
        return len(data)


def names(columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns' names."""
    return tuple(column.name for column in columns)


def _selected(column: Column, gone: Container[str]) -> sql.Composable:
    name, source = sql.Identifier(column.name), sql.Identifier(column.source_name)
    if column.name == ROW:
        return sql.SQL("NULL AS {}").format(name)
    if column.name in gone:
        return sql.SQL("NULL AS {}").format(name)
    value = sql.SQL("{} AT TIME ZONE 'UTC'").format(source) if column.type.name == "timestamptz" else source
    return sql.SQL("{} AS {}").format(value, name)
