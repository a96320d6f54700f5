"""``<table>_history``: every version of a row with the time it was valid, for contracts with ``history: true``.

All delivered changes are kept in ``<table>_changes``, those too that a quality rule holds back from silver. The
versions of the keys that a batch touches are derived from it anew, so that a change that arrives late takes its place among
them. A column that a key change left out has the old key's value. A transaction leaves one version, equal consecutive
images are one version, and a load is valid from its snapshot, for which its fence's time stands. A loaded row that changes
committed before that time follow is no version of its own: it would end before it began. An exported row's time lies before
its snapshot, so it holds from right behind the change before it where that was committed later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from jobs.iceberg import staging
from jobs.iceberg.catalog import SILVER, engine_name
from jobs.iceberg.tables import Field, ensure
from jobs.silver.changes import AT, GENERATION, GENERATION_WIDTH, PLACE, VALID_AT, carried, value_of
from jobs.silver.inheritance import Inheritance, carried_or_inherited
from lake import cdc
from lake.contract import Contract
from lake.keys import silver_location

_LSN_WIDTH = GENERATION_WIDTH + 1 + 16


@dataclass(frozen=True)
class History:
    """The history of one table. ``swept_generation`` as in the batch's manifest."""

    spark: SparkSession
    contract: Contract
    bucket: str
    swept_generation: int

    def keep(self, changes: DataFrame, keys: DataFrame) -> None:
        """Add a batch's changes and derive the versions of ``keys`` anew. Repeating it changes nothing."""
        for name, fields in ((self.log, self._log_fields()), (self.table, self._fields())):
            ensure(SILVER, name, fields, (), silver_location(self.bucket, name))
        self._add(changes)
        self._derive(keys)

    @property
    def table(self) -> str:
        """The table of versions."""
        return f"{self.contract.table}_history"

    @property
    def log(self) -> str:
        """The table of changes."""
        return f"{self.contract.table}_changes"

    def _fields(self) -> list[Field]:
        own = [Field("valid_from", "timestamptz"), Field("valid_to", "timestamptz"), Field("is_current", "boolean")]
        return [*self._columns(), *own, Field(GENERATION, "long"), Field(cdc.POSITION, "string")]

    def _log_fields(self) -> list[Field]:
        own = [Field(cdc.OPERATION, "string"), Field(GENERATION, "long"), Field(cdc.POSITION, "string")]
        return [*self._columns(), *own, Field(VALID_AT, "timestamptz"), Field(cdc.UNCHANGED, "string")]

    def _columns(self) -> list[Field]:
        return [Field(c.name, c.type.iceberg, c.renamed_from) for c in self.contract.columns]

    def _keys(self) -> list[str]:
        return [c.name for c in self.contract.key]

    def _add(self, changes: DataFrame) -> None:
        """A change is known by key and position. Loads share a position, so their time tells them apart.

        The batch's first and last position as literals are what both engines leave files of the log unread by.
        """
        first, last = changes.selectExpr(f"min({cdc.POSITION})", f"max({cdc.POSITION})").collect()[0]
        if first is None:
            return
        keys = _quoted(self._keys())
        others = [f.name for f in self._log_fields() if f.name not in {*self._keys(), cdc.POSITION, cdc.UNCHANGED}]
        changes.createOrReplaceTempView("delivered")
        moment = f"case when {cdc.POSITION} = '{cdc.ZERO_POSITION}' then {VALID_AT} end"
        values = ", ".join(f"max(`{name}`) as `{name}`" for name in others)
        distinct = self.spark.sql(
            f"select {keys}, {cdc.POSITION}, {values}, max(concat_ws(',', {cdc.UNCHANGED})) as {cdc.UNCHANGED} "
            f"from delivered group by {keys}, {cdc.POSITION}, {moment}"
        )
        source = staging.source(distinct, f"{self.log}_new", self.bucket)
        same = f"t.{cdc.POSITION} = s.{cdc.POSITION} AND (s.{cdc.POSITION} <> '{cdc.ZERO_POSITION}' OR t.{VALID_AT} = s.{VALID_AT})"
        near = f"t.{cdc.POSITION} BETWEEN '{first}' AND '{last}'"
        names = [f.name for f in self._log_fields()]
        self.spark.sql(
            f"MERGE INTO {engine_name(SILVER, self.log)} t USING {source} s "
            f"ON {_equal(self._keys())} AND {same} AND {near} "
            f"WHEN MATCHED AND s.{GENERATION} > t.{GENERATION} THEN UPDATE SET {GENERATION} = s.{GENERATION} "
            f"WHEN NOT MATCHED THEN INSERT ({_quoted(names)}) VALUES ({_quoted(names, 's.')})"
        ).collect()

    def _derive(self, keys: DataFrame) -> None:
        everything = self.spark.table(engine_name(SILVER, self.log))
        inheritance = Inheritance(self.spark, self.contract, everything, keys)
        keys = inheritance.keys()
        log = self._last_loads(everything.join(keys, self._keys(), "left_semi"))
        self._versions(log, inheritance.values()).createOrReplaceTempView("versions")
        identity = [*self._keys(), GENERATION, cdc.POSITION, "valid_from"]
        names = [f.name for f in self._fields()]
        target = engine_name(SILVER, self.table)
        old = self.spark.table(target).join(keys, self._keys(), "left_semi").select(*names)
        gone = old.join(self.spark.table("versions").select(*identity), identity, "left_anti")
        new = self.spark.table("versions").selectExpr(*(f"`{name}`" for name in names), "false as gone")
        rewritten = new.unionByName(gone.selectExpr(*(f"`{name}`" for name in names), "true as gone"))
        source = staging.source(rewritten, f"{self.table}_new", self.bucket)
        changed = ", ".join(f"`{name}` = s.`{name}`" for name in names if name not in identity)
        self.spark.sql(
            f"MERGE INTO {target} t USING {source} s ON {_equal(identity)} "
            f"WHEN MATCHED AND s.gone THEN DELETE WHEN MATCHED THEN UPDATE SET {changed} "
            f"WHEN NOT MATCHED THEN INSERT ({_quoted(names)}) VALUES ({_quoted(names, 's.')})"
        ).collect()

    def _last_loads(self, log: DataFrame) -> DataFrame:
        """The changes without rows that a later load brought again, where the fence between the two loads has not arrived."""
        newest = f"max({VALID_AT}) over (partition by {_quoted(self._keys())}, {GENERATION}, {cdc.POSITION})"
        return log.selectExpr("*", f"{newest} as newest").where(f"not ({_SNAPSHOT}) or {VALID_AT} = newest").drop("newest")

    def _versions(self, log: DataFrame, inherited: DataFrame | None) -> DataFrame:
        """Every version of the keys in ``log``."""
        keys = _quoted(self._keys())
        window = f"over (partition by {keys} order by {AT}, {VALID_AT})"
        self._placed(log, inherited).createOrReplaceTempView("placed")
        filled = ", ".join(
            f"max(`{c.name}`) {window} as `{c.name}`" if c.may_be_unchanged else f"`{c.name}`" for c in self.contract.columns
        )
        first_change = (
            f"min(case when {cdc.POSITION} <> '{cdc.ZERO_POSITION}' then {VALID_AT} end) over (partition by {keys}, {GENERATION})"
        )
        before = f"max({VALID_AT}) over (partition by {keys} order by {AT}, {VALID_AT} rows between unbounded preceding and 1 preceding)"
        behind = f"greatest({VALID_AT}, timestamp_micros(unix_micros({before}) + 1))"
        holds_from = f"case when {_EXPORTED} then {behind} else {VALID_AT} end as {VALID_AT}"
        self.spark.sql(
            f"select {filled}, is_gone, {GENERATION}, {cdc.POSITION}, {AT}, {holds_from}, {first_change} as first_change from placed"
        ).createOrReplaceTempView("filled")
        overtaken = f"{cdc.POSITION} = '{cdc.ZERO_POSITION}' and first_change is not null and first_change <= {VALID_AT}"
        self.spark.sql(
            f"select *, {_TRANSACTION} as txn, lead({_TRANSACTION}) {window} as next_txn from filled where not ({overtaken})"
        ).createOrReplaceTempView("stepped")
        columns = ", ".join(value_of(c) if c.may_be_unchanged else f"`{c.name}`" for c in self.contract.columns)
        own = f"is_gone, {GENERATION}, {cdc.POSITION}, {AT}, {VALID_AT}"
        self.spark.sql(f"select {columns}, {own} from stepped where next_txn is null or next_txn <> txn").createOrReplaceTempView(
            "by_transaction"
        )
        names = _quoted([c.name for c in self.contract.columns])
        image = f"case when is_gone then 'gone' else hex(xxhash64({names})) end"
        self.spark.sql(
            f"select {names}, {own}, {image} as image, lag({image}) {window} as image_before, "
            f"max({GENERATION}) over (partition by {keys}) as newest from by_transaction"
        ).createOrReplaceTempView("compared")
        self.spark.sql(
            f"select {names}, {own}, newest, lead({VALID_AT}) {window} as until from compared "
            "where image_before is null or image_before <> image"
        ).createOrReplaceTempView("distinct_images")
        swept = f"newest >= 0 and newest < {self.swept_generation}"
        end = f"coalesce(until, case when {swept} then timestamp_micros({self.swept_generation}) end)"
        return self.spark.sql(
            f"select {names}, {VALID_AT} as valid_from, {end} as valid_to, {end} is null as is_current, {GENERATION}, {cdc.POSITION} "
            f"from distinct_images where not is_gone"
        )

    def _placed(self, log: DataFrame, inherited: DataFrame | None) -> DataFrame:
        """Changes with their place as sortable text, the time from which they hold, and partial columns behind their place."""
        placed = log.selectExpr(
            *(f"`{c.name}`" for c in self.contract.columns),
            GENERATION,
            cdc.POSITION,
            f"split({cdc.UNCHANGED}, ',') as {cdc.UNCHANGED}",
            f"case when {_SNAPSHOT} then timestamp_micros({GENERATION}) else {VALID_AT} end as {VALID_AT}",
            f"{PLACE} as {AT}",
            f"{cdc.OPERATION} = '{cdc.DELETE}' as is_delete",
        )
        written = carried
        if inherited is not None:
            placed, written = placed.join(inherited, [*self._keys(), AT], "left"), carried_or_inherited
        columns = (f"{written(c)} as `{c.name}`" if c.may_be_unchanged else f"`{c.name}`" for c in self.contract.columns)
        return placed.selectExpr(*columns, GENERATION, cdc.POSITION, VALID_AT, AT, "is_delete as is_gone")


_SNAPSHOT = f"{cdc.OPERATION} = '{cdc.LOAD}' and {cdc.POSITION} = '{cdc.ZERO_POSITION}' and {GENERATION} > 0"
_EXPORTED = f"{cdc.POSITION} like '%{cdc.READ}' and {cdc.POSITION} <> '{cdc.ZERO_POSITION}'"
_LOADED = f"concat({AT}, cast({VALID_AT} as string))"
_TRANSACTION = f"case when {cdc.POSITION} = '{cdc.ZERO_POSITION}' then {_LOADED} else substring({AT}, 1, {_LSN_WIDTH}) end"


def _quoted(names: Iterable[str], row: str = "") -> str:
    return ", ".join(f"{row}`{name}`" for name in names)


def _equal(names: Iterable[str]) -> str:
    return " AND ".join(f"t.`{name}` = s.`{name}`" for name in names)
