"""How a statement fails: Athena's error names, with messages in Athena's words."""

from __future__ import annotations

import re

import duckdb


class StatementFailed(Exception):
    """The statement ends FAILED. ``str()`` is its StateChangeReason, for example ``TABLE_NOT_FOUND: …``."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class TableNotFound(StatementFailed):
    """The statement names a table that the catalog does not hold."""

    def __init__(self, database: str, table: str) -> None:
        super().__init__("TABLE_NOT_FOUND", f"Table 'awsdatacatalog.{database}.{table}' does not exist")


class SchemaNotFound(StatementFailed):
    """The statement names a database that the catalog does not hold."""

    def __init__(self, database: str) -> None:
        super().__init__("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist")


class NotAnswered(StatementFailed):
    """The statement would write, or needs a feature that only AWS has. Nothing was done."""

    ANSWERED = "SELECT, VALUES, DESCRIBE, SHOW DATABASES, TABLES, VIEWS, COLUMNS, PARTITIONS, TBLPROPERTIES, CREATE TABLE, CREATE VIEW"
    WRITES = "the local Athena reads the lake and never writes to it"

    def __init__(self, what: str, reason: str = WRITES) -> None:
        super().__init__("NOT_SUPPORTED", f"{what} is refused and nothing was done: {reason}. Answered here: {self.ANSWERED}")


_COLUMN = re.compile(r'Referenced column "([^"]+)" not found|does not have a column named "([^"]+)"|column named "?([^"\s!]+)"?')
_FUNCTION = re.compile(r"Function with name (\S+) does not exist")


def explained(error: duckdb.Error) -> StatementFailed:
    """The engine's error in Athena's terms. Unknown errors keep the engine's text."""
    text = str(error).strip()
    first = text.splitlines()[0]
    column = _COLUMN.search(text)
    if isinstance(error, duckdb.BinderException) and column:
        name = next(group for group in column.groups() if group)
        return StatementFailed("COLUMN_NOT_FOUND", f"Column '{name}' cannot be resolved")
    function = _FUNCTION.search(text)
    if function:
        missing = f"Function '{function[1]}' not registered in the engine behind the local Athena"
        return StatementFailed("FUNCTION_NOT_FOUND", f"{missing}; Athena's functions are https://trino.io/docs/current/functions.html")
    if "Division by zero" in text:
        return StatementFailed("DIVISION_BY_ZERO", "Division by zero")
    names: list[tuple[type[duckdb.Error], str]] = [
        (duckdb.OutOfMemoryException, "EXCEEDED_LOCAL_MEMORY_LIMIT"),
        (duckdb.ParserException, "SYNTAX_ERROR"),
        (duckdb.BinderException, "TYPE_MISMATCH"),
        (duckdb.ConversionException, "INVALID_CAST_ARGUMENT"),
        (duckdb.OutOfRangeException, "NUMERIC_VALUE_OUT_OF_RANGE"),
        (duckdb.HTTPException, "HIVE_CANNOT_OPEN_SPLIT"),
        (duckdb.IOException, "HIVE_CANNOT_OPEN_SPLIT"),
    ]
    return StatementFailed(next((name for kind, name in names if isinstance(error, kind)), "GENERIC_INTERNAL_ERROR"), first)
