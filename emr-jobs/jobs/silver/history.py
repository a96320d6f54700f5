"""``<table>_history``: every version of a row with its time of validity, for contracts with ``history: true``.

``<table>_changes`` keeps all delivered changes, also those that a quality rule holds back from silver. The versions of
the keys that a batch touches are derived from it again, so that a late change takes its place among them. A column that
a key change left out has the old key's value.

A transaction leaves one version, and equal consecutive images are one version. A load is valid from its snapshot, and the
time of its fence stands for the snapshot. A loaded row is no version of its own if a later change of the row was committed
before that time, because it would end before it began. An exported row's time lies before its snapshot. If the change
before it was committed later, the row is valid from just after that change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from jobs.iceberg import staging
from jobs.iceberg.catalog import SILVER, engine_name
from jobs.iceberg.statements import listed, more, query
from jobs.iceberg.tables import Field, ensure
from jobs.silver.changes import (
    AT,
    GENERATION,
    GENERATION_WIDTH,
    IS_DELETE,
    LOGGED,
    PLACE,
    VALID_AT,
    carried,
    greatest,
    unchanged_now,
    value_of,
)
from jobs.silver.inheritance import Inheritance, carried_or_inherited
from lake import cdc
from lake.contract import Contract
from lake.contract.names import CHANGES, HISTORY
from lake.keys import silver_location

GONE, NEWEST = "cdc_gone", "cdc_newest"
_LSN_WIDTH = GENERATION_WIDTH + 1 + 16


@dataclass(frozen=True)
class History:
    """The history of one table. ``retired_below`` as in the batch's manifest."""

    spark: SparkSession
    contract: Contract
    bucket: str
    retired_below: int

    def keep(self, changes: DataFrame, keys: DataFrame) -> None:
        """Add a batch's changes and derive the versions of ``keys`` again. Repeating it changes nothing."""
        for name, fields in ((self.log, self._log_fields()), (self.table, self._fields())):
            ensure(SILVER, name, fields, (), silver_location(self.bucket, name))
        self._add(changes)
        self._derive(keys)

    @property
    def table(self) -> str:
        """The table of versions."""
        return f"{self.contract.table}{HISTORY}"

    @property
    def log(self) -> str:
        """The table of changes."""
        return f"{self.contract.table}{CHANGES}"

    def _fields(self) -> list[Field]:
        own = [Field("valid_from", "timestamptz"), Field("valid_to", "timestamptz"), Field("is_current", "boolean")]
        return [*self._columns(), *own, Field(GENERATION, "long"), Field(cdc.POSITION, "string")]

    def _log_fields(self) -> list[Field]:
        own = [Field(cdc.OPERATION, "string"), Field(GENERATION, "long"), Field(cdc.POSITION, "string")]
        return [
            *self._columns(),
            *own,
            Field(VALID_AT, "timestamptz", () if "valid_at" in self.contract.by_name else ("valid_at",)),
            Field(cdc.UNCHANGED, "string"),
        ]

    def _columns(self) -> list[Field]:
        return [Field(c.name, c.type.iceberg, self.contract.formers(c)) for c in self.contract.columns]

    def _keys(self) -> list[str]:
        return [c.name for c in self.contract.key]

    def _add(self, changes: DataFrame) -> None:
        """Add the changes that the log does not hold yet."""
        first, last = changes.selectExpr(f"min({cdc.POSITION})", f"max({cdc.POSITION})").collect()[0]
        if first is None:
            return
        distinct = query(self.spark, "silver/history_log", log_parts(self.contract), delivered=changes)
        source = staging.source(distinct, f"{self.log}_new", self.bucket)
        parts = log_merge_parts(self.contract, engine_name(SILVER, self.log), [f.name for f in self._log_fields()], first, last)
        query(self.spark, "silver/history_log_merge", parts, distinct_changes=source).collect()

    def _derive(self, keys: DataFrame) -> None:
        everything = self.spark.table(engine_name(SILVER, self.log))
        inheritance = Inheritance(self.spark, self.contract, everything, keys)
        keys = inheritance.keys()
        log = self._last_loads(everything.join(keys, self._keys(), "left_semi"))
        placed = self._placed(log, inheritance.values())
        versions = query(self.spark, "silver/history_versions", version_parts(self.contract, self.retired_below), placed=placed)
        identity = [*self._keys(), GENERATION, cdc.POSITION, "valid_from"]
        names = [f.name for f in self._fields()]
        target = engine_name(SILVER, self.table)
        old = self.spark.table(target).join(keys, self._keys(), "left_semi").select(*names)
        gone = old.join(versions.select(*identity), identity, "left_anti")
        new = versions.selectExpr(*(f"`{name}`" for name in names), f"false as {GONE}")
        rewritten = new.unionByName(gone.selectExpr(*(f"`{name}`" for name in names), f"true as {GONE}"))
        source = staging.source(rewritten, f"{self.table}_new", self.bucket)
        query(self.spark, "silver/history_versions_merge", versions_merge_parts(target, names, identity), versions=source).collect()

    def _last_loads(self, log: DataFrame) -> DataFrame:
        """The changes without rows that a later load repeated while the fence between the two loads has not arrived."""
        newest = f"max({VALID_AT}) over (partition by {listed(self._keys())}, {GENERATION}, {cdc.POSITION})"
        return log.selectExpr("*", f"{newest} as {NEWEST}").where(f"not ({_SNAPSHOT}) or {VALID_AT} = {NEWEST}").drop(NEWEST)

    def _placed(self, log: DataFrame, inherited: DataFrame | None) -> DataFrame:
        """Changes with their place as sortable text, their time of validity, and partial columns after their place."""
        placed = log.selectExpr(
            *(f"`{c.name}`" for c in self.contract.columns),
            GENERATION,
            cdc.POSITION,
            f"{unchanged_now(self.contract, LOGGED)} as {cdc.UNCHANGED}",
            f"case when {_SNAPSHOT} then timestamp_micros({GENERATION}) else {VALID_AT} end as {VALID_AT}",
            f"{PLACE} as {AT}",
            f"{cdc.OPERATION} = '{cdc.DELETE}' as {IS_DELETE}",
        )
        written = carried
        if inherited is not None:
            placed, written = placed.join(inherited, [*self._keys(), AT], "left"), carried_or_inherited
        columns = (f"{written(c)} as `{c.name}`" if c.may_be_unchanged else f"`{c.name}`" for c in self.contract.columns)
        return placed.selectExpr(*columns, GENERATION, cdc.POSITION, VALID_AT, AT, IS_DELETE)


_SNAPSHOT = f"{cdc.OPERATION} = '{cdc.LOAD}' and {cdc.POSITION} = '{cdc.ZERO_POSITION}' and {GENERATION} > 0"


def log_parts(contract: Contract) -> dict[str, Any]:
    """The parts of history_log.sql."""
    values = more(f"{greatest(c)} as `{c.name}`" for c in contract.columns if c.key is None)
    return {"key": listed(c.name for c in contract.key), "values": values, "zero": cdc.ZERO_POSITION}


def version_parts(contract: Contract, retired_below: int) -> dict[str, Any]:
    """The parts of history_versions.sql."""
    key = listed(c.name for c in contract.key)
    window = f"over (partition by {key} order by {AT}, {VALID_AT})"
    return {
        "key": key,
        "columns": listed(c.name for c in contract.columns),
        "filled": ", ".join(f"max(`{c.name}`) {window} as `{c.name}`" if c.may_be_unchanged else f"`{c.name}`" for c in contract.columns),
        "values": ", ".join(value_of(c) if c.may_be_unchanged else f"`{c.name}`" for c in contract.columns),
        "transaction_width": _LSN_WIDTH,
        "retired_below": retired_below,
        "read": cdc.READ,
        "zero": cdc.ZERO_POSITION,
    }


def log_merge_parts(contract: Contract, log: str, columns: Sequence[str], first: str, last: str) -> dict[str, Any]:
    """The parts of history_log_merge.sql. ``first`` and ``last`` are the batch's first and last position."""
    return {
        "log": log,
        "same_key": _equal(c.name for c in contract.key),
        "columns": listed(columns),
        "values": listed(columns, "s."),
        "zero": cdc.ZERO_POSITION,
        "first": first,
        "last": last,
    }


def versions_merge_parts(history: str, columns: Sequence[str], identity: Sequence[str]) -> dict[str, Any]:
    """The parts of history_versions_merge.sql. ``identity`` are the columns that identify a version."""
    changed = ", ".join(f"`{name}` = s.`{name}`" for name in columns if name not in identity)
    values = listed(columns, "s.")
    return {"history": history, "same_version": _equal(identity), "changed": changed, "columns": listed(columns), "values": values}


def _equal(names: Iterable[str]) -> str:
    return " and ".join(f"t.`{name}` = s.`{name}`" for name in names)
