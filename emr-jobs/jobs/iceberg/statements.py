"""Statements of the jobs: SQL files beside the modules that run them, with a contract's columns in the places of their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from pyspark.sql import DataFrame, SparkSession


def query(spark: SparkSession, name: str, parts: Mapping[str, Any], **frames: DataFrame) -> DataFrame:
    """The rows of a statement. It reads ``frames`` by their names, and no other statement of the session sees them.

    ``name`` is the path of its file under jobs/, such as silver/fold. The engine runs a statement that writes at once.
    """
    escaped = {part: str(value).replace("{", "{{").replace("}", "}}") for part, value in parts.items()}
    return spark.sql(_file(name).format(**escaped, **{frame: f"{{{frame}}}" for frame in frames}), None, **frames)


def overwrite(table: str, rows: DataFrame) -> None:
    """Replace all rows of a table, also of one with delete files. ``rows`` has the table's columns in their order."""
    query(rows.sparkSession, "iceberg/overwrite", {"table": table, "columns": listed(rows.columns)}, rows=rows).collect()


def listed(names: Iterable[str], row: str = "") -> str:
    """Columns by their names, separated by commas."""
    return ", ".join(f"{row}`{name}`" for name in names)


def more(expressions: Iterable[str]) -> str:
    """Further items of a list that has others before them."""
    return "".join(f", {expression}" for expression in expressions)


@cache
def _file(name: str) -> str:
    return resources.files("jobs").joinpath(f"{name}.sql").read_text(encoding="utf-8")
