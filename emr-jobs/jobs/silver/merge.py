"""The MERGE of folded changes into a silver table.

Its ON clause names the months from the pre-pass, the months of the new images, and the tombstones' own (year 0). Both
engines prune by literal partition values.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from jobs.iceberg.tables import LOADED_BY, MISSING, ORIGIN, applied_at
from jobs.silver.changes import AT_WIDTH, GENERATION_WIDTH, IMAGE, IS_DELETE, LAST, LOADED_GENERATION
from lake import cdc
from lake.contract import Contract, MonthPartition

Month = tuple[int, int]
LAST_GENERATION, LAST_POSITION = f"s.{LAST}_generation", f"s.{LAST}_position"
TOMBSTONES: Month = (0, 0)
NAMED_MONTHS_LIMIT = 240
"""With more months, the predicate costs more than it saves, because most of the table is touched anyway."""


def statement(target: str, source: str, contract: Contract, months: Collection[Month] | None, now: datetime, retired_below: int) -> str:
    """The MERGE statement. ``source`` is the view of changes.fold and changes.with_month, ``months`` None without a partition."""
    return _Merge(contract, now, retired_below).text(target, source, months)


def retire_statement(target: str, now: datetime, retired_below: int) -> str:
    """The UPDATE that soft-deletes the rows that a completed load did not bring again."""
    return (
        f"UPDATE {target} SET deleted_at = {timestamp_literal(now)}, updated_at = {timestamp_literal(now)}, "
        f"{MISSING} = cast(null as string) WHERE {retired_condition(retired_below)}"
    )


def retired_condition(retired_below: int, row: str = "") -> str:
    """The condition for live rows of a generation older than the newest complete load. Foreign rows (-1) belong to no generation."""
    return f"{row}cdc_generation >= 0 AND {row}cdc_generation < {retired_below} AND {row}deleted_at IS NULL"


def months_predicate(partition: MonthPartition, months: Collection[Month], row: str = "t.") -> str:
    """Literal conditions on the partition columns, one per year."""
    by_year: dict[int, list[int]] = {}
    for year, month in sorted(months):
        by_year.setdefault(year, []).append(month)
    return " OR ".join(
        f"({row}`{partition.year_field}` = {year} AND {row}`{partition.month_field}` IN ({', '.join(map(str, numbers))}))"
        for year, numbers in by_year.items()
    )


def timestamp_literal(moment: datetime) -> str:
    """A SQL literal with its zone, in microseconds."""
    return f"timestamp'{moment.strftime('%Y-%m-%d %H:%M:%S.%f')}+00:00'"


def newer(generation: str, position: str) -> str:
    """The condition that a change lies behind the row's own place. It is false if the change has no place."""
    return f"coalesce({generation} > t.cdc_generation OR ({generation} = t.cdc_generation AND {position} > t.cdc_position), false)"


class _Merge:
    """Builds the clauses: each column's value for a row that the table has, and for one that it lacks."""

    def __init__(self, contract: Contract, now: datetime, retired_below: int) -> None:
        self.contract = contract
        self.now = timestamp_literal(now)
        old = f"({LAST_GENERATION} >= 0 AND {LAST_GENERATION} < {retired_below})"
        self.dead = f"(s.{IS_DELETE} OR {old})" if retired_below else f"s.{IS_DELETE}"
        self.applied = newer(LAST_GENERATION, LAST_POSITION)
        self.imaged = newer(f"s.{IMAGE}_generation", f"s.{IMAGE}_position")
        self.changed = " OR ".join([self.applied, *(self.carried(c.name) for c in contract.partial_columns)])
        self.loaded = f"coalesce(s.{LOADED_GENERATION} > coalesce(t.{LOADED_BY}, -1), false)"

    def text(self, target: str, source: str, months: Collection[Month] | None) -> str:
        on = " AND ".join(f"t.`{c.name}` = s.`{c.name}`" for c in self.contract.key)
        partition = self.contract.partition
        if partition and months is not None and len(months) <= NAMED_MONTHS_LIMIT:
            on += f" AND ({months_predicate(partition, {*months, TOMBSTONES})})"
        updates = ", ".join(f"`{name}` = {value}" for name, value in self.updates().items())
        inserts = self.inserts()
        columns, values = ", ".join(f"`{name}`" for name in inserts), ", ".join(inserts.values())
        return (
            f"MERGE INTO {target} t USING {source} s ON {on} "
            f"WHEN MATCHED AND ({self.changed} OR {self.loaded}) THEN UPDATE SET {updates} "
            f"WHEN NOT MATCHED AND {LAST_GENERATION} IS NOT NULL THEN INSERT ({columns}) VALUES ({values})"
        )

    def carried(self, column: str) -> str:
        at = applied_at(column)
        return f"coalesce(s.{at} > coalesce(t.{at}, ''), false)"

    def updates(self) -> dict[str, str]:
        values = {name: f"CASE WHEN {self.imaged} THEN s.`{name}` ELSE t.`{name}` END" for name in self.imaged_columns()}
        deleted = f"CASE WHEN {self.applied} THEN CASE WHEN {self.dead} THEN {self.now} END ELSE t.deleted_at END"
        values |= {
            "updated_at": f"CASE WHEN {self.changed} THEN {self.now} ELSE t.updated_at END",
            "deleted_at": deleted,
            LOADED_BY: f"CASE WHEN {self.loaded} THEN s.{LOADED_GENERATION} ELSE t.{LOADED_BY} END",
            "cdc_generation": f"CASE WHEN {self.applied} THEN {LAST_GENERATION} ELSE t.cdc_generation END",
            "cdc_position": f"CASE WHEN {self.applied} THEN {LAST_POSITION} ELSE t.cdc_position END",
        }
        paths = {}
        for column in self.contract.partial_columns:
            name, at = column.name, applied_at(column.name)
            values[name] = f"CASE WHEN {self.carried(name)} THEN s.`{name}` ELSE t.`{name}` END"
            values[at] = paths[name] = f"CASE WHEN {self.carried(name)} THEN s.{at} ELSE t.{at} END"
        values[MISSING] = missing(paths, f"({deleted}) IS NULL")
        if self.contract.partial_columns:
            values[ORIGIN] = f"coalesce(s.{ORIGIN}, t.{ORIGIN})"
        return values

    def inserts(self) -> dict[str, str]:
        deleted = f"CASE WHEN {self.dead} THEN {self.now} END"
        values = {c.name: f"s.`{c.name}`" for c in self.contract.columns}
        values |= {name: f"s.`{name}`" for name in self.imaged_columns()}
        values |= {
            "created_at": self.now,
            "updated_at": self.now,
            "deleted_at": deleted,
            "cdc_generation": LAST_GENERATION,
            "cdc_position": LAST_POSITION,
            LOADED_BY: f"s.{LOADED_GENERATION}",
        }
        paths = {c.name: f"s.{applied_at(c.name)}" for c in self.contract.partial_columns}
        values |= {applied_at(name): path for name, path in paths.items()}
        values[MISSING] = missing(paths, f"NOT {self.dead}")
        if self.contract.partial_columns:
            values[ORIGIN] = f"s.{ORIGIN}"
        return values

    def imaged_columns(self) -> list[str]:
        names = [c.name for c in self.contract.columns if c.key is None and not c.may_be_unchanged]
        partition = self.contract.partition
        return names + ([partition.year_field, partition.month_field] if partition else [])


def missing(paths: dict[str, str], live: str) -> str:
    """The names of a live row's partial columns with an unseen or uncertain value, joined by commas. Null for none."""
    if not paths:
        return "cast(null as string)"
    names = ", ".join(
        f"CASE WHEN ({path}) IS NULL OR right({path}, 1) IN ('<', '{cdc.UNSEEN}') "
        f"OR ({path}) LIKE '%>%' OR {_outlived(path)} THEN '{name}' END"
        for name, path in paths.items()
    )
    return f"CASE WHEN {live} THEN nullif(concat_ws(',', {names}), '') END"


def _outlived(path: str) -> str:
    """Whether a value came with a key change in a load's generation, but is older than that generation.

    The load then read the table after the key change, and perhaps after other changes that the log does not show.
    """
    first, last = (f"substring({path}, {start}, {GENERATION_WIDTH})" for start in ("1", f"length({path}) - {AT_WIDTH - 1}"))
    return f"({first} > greatest({last}, '{'0' * GENERATION_WIDTH}'))"
