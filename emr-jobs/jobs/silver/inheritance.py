"""Values that a row's history takes from another key: columns that a key change left out, read from the table of all changes.

Silver keeps one image per key and follows values by their paths (lineage.py). History has every change, so the value is
the old key's at that place. Only rows that such key changes touch pass through the driver.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from jobs.silver.changes import AT, GENERATION, IS_DELETE, LOGGED, PLACE, carried, unchanged_now
from jobs.silver.lineage import Events, Key, KeyChange, key_changes
from lake import cdc
from lake.contract import Column, Contract


class Inheritance:
    """The key changes in a table of changes (``log``) that concern ``keys``."""

    def __init__(self, spark: SparkSession, contract: Contract, log: DataFrame, keys: DataFrame) -> None:
        self.spark = spark
        self.contract = contract
        self.key = [c.name for c in contract.key]
        self.columns = [c.name for c in contract.partial_columns]
        self.log = log.selectExpr(
            *(f"`{name}`" for name in (*self.key, *self.columns)),
            GENERATION,
            cdc.POSITION,
            f"{unchanged_now(contract, LOGGED)} as {cdc.UNCHANGED}",
            f"{cdc.OPERATION} = '{cdc.DELETE}' as {IS_DELETE}",
            f"{PLACE} as {AT}",
        )
        self.touched = keys

    @cached_property
    def _changes(self) -> list[KeyChange]:
        return key_changes(self.log, self.contract) if self.columns else []

    @cached_property
    def _affected(self) -> set[Key]:
        """The keys of key changes whose versions must be derived again: touched keys, and those that inherit from them."""
        named = {key for change in self._changes for key in (change.key, change.origin) if key is not None}
        affected = self._keys(self._only(self.touched, named)) if named else set()
        grown = True
        while grown:
            heirs = {change.key for change in self._changes if change.origin in affected} - affected
            affected |= heirs
            grown = bool(heirs)
        return affected

    def keys(self) -> DataFrame:
        """The touched keys and their heirs."""
        if not self._affected:
            return self.touched
        return self.touched.union(self._frame(self._affected)).distinct()

    def values(self) -> DataFrame | None:
        """Key, place and ``cdc_inherited_<column>`` of each key change. ``cdc_inherits_<column>`` is true if it left the column out.

        None if no key change concerns the keys.
        """
        changes = [change for change in self._changes if change.key in self._affected]
        if not changes:
            return None
        events = self._events()
        rows = []
        for key, origin, at, columns in changes:
            found = {name: events[name].resolve(origin, at) for name in columns} if origin is not None else {}
            values: list[Any] = []
            for name in self.columns:
                answer = found.get(name)
                values += [answer[1] if answer else None, name in columns]
            rows.append((*key, at, *values))
        types = {c.name: c.type.sql for c in self.contract.columns}
        fields = [f"`{name}` {types[name]}" for name in self.key] + [f"{AT} string"]
        fields += [part for name in self.columns for part in (f"`cdc_inherited_{name}` {types[name]}", f"`cdc_inherits_{name}` boolean")]
        return self.spark.createDataFrame(rows, ", ".join(fields))

    def _events(self) -> dict[str, Events]:
        """The writers of each column by key, for every key that a key change names."""
        events = {name: Events() for name in self.columns}
        for key, origin, at, columns in self._changes:
            for name in columns:
                events[name].arrivals[key][at] = origin
        origins = {change.origin for change in self._changes if change.origin is not None}
        for row in self._only(self.log.where(f"not {IS_DELETE}"), origins).collect() if origins else ():
            key = tuple(row[name] for name in self.key)
            for name in self.columns:
                events[name].write(key, name, row)
        return events

    def _only(self, rows: DataFrame, keys: Iterable[Key]) -> DataFrame:
        return rows.join(self._frame(keys), self.key, "left_semi")

    def _frame(self, keys: Iterable[Key]) -> DataFrame:
        types = ", ".join(f"`{c.name}` {c.type.sql}" for c in self.contract.key)
        return self.spark.createDataFrame(sorted(keys, key=repr), types)

    def _keys(self, rows: DataFrame) -> set[Key]:
        return {tuple(row) for row in rows.select(*self.key).distinct().collect()}


def carried_or_inherited(column: Column) -> str:
    """As ``changes.carried``, for rows joined with ``Inheritance.values``. An inherited value counts as carried, even if null."""
    value = column.type.form.to_text.format(f"`cdc_inherited_{column.name}`")
    return (
        f"case when coalesce(`cdc_inherits_{column.name}`, false) then concat({AT}, coalesce(concat('1', {value}), '0')) "
        f"else {carried(column)} end"
    )
