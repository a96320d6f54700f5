"""Statements of the silver job: SQL files beside this module, with a contract's columns in the places of their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from pyspark.sql import DataFrame, SparkSession


def query(spark: SparkSession, name: str, parts: Mapping[str, Any], **frames: DataFrame) -> DataFrame:
    """The rows of a statement. It reads ``frames`` by their names, and no other statement of the session sees them."""
    escaped = {part: str(value).replace("{", "{{").replace("}", "}}") for part, value in parts.items()}
    return spark.sql(_file(name).format(**escaped, **{frame: f"{{{frame}}}" for frame in frames}), None, **frames)


def listed(names: Iterable[str], row: str = "") -> str:
    """Columns by their names, separated by commas."""
    return ", ".join(f"{row}`{name}`" for name in names)


def more(expressions: Iterable[str]) -> str:
    """Further items of a list that has others before them."""
    return "".join(f", {expression}" for expression in expressions)


@cache
def _file(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
