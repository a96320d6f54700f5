"""Folds a batch's changes to one row per key.

Order is (generation, position). ``cdc_generation`` is the newest fence that is not younger than the change, in
microseconds since 1970. It is 0 if the table has none, and -1 for rows without a position, which only fill missing keys.

A folded row has two parts with an order each: the newest change (``LAST``: was it a delete?) and the newest image
(``IMAGE``: the newest change that was no delete). A delete carries only its key, so a deleted row keeps the values
of its newest image.

Places are compared as text of fixed width, and a join fetches the image. Both engines aggregate plain text an order of
magnitude faster than structs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from jobs.iceberg.statements import listed, more, query
from jobs.iceberg.tables import ORIGIN, applied_at
from jobs.silver.month_rule import month_fields
from lake import cdc
from lake.contract import Column, Contract, MonthPartition
from lake.generations import Fence

GENERATION = "cdc_generation"
FOREIGN_GENERATION = -1
IS_DELETE, VALID_AT, AT = "cdc_is_delete", "cdc_valid_at", "cdc_at"
LOADED_GENERATION, LAST, IMAGE = "cdc_loaded_generation", "cdc_last", "cdc_image"
STREAMED = f"{cdc.OPERATION} = '{cdc.LOAD}' and {cdc.POSITION} = '{cdc.ZERO_POSITION}' and {GENERATION} >= 0"
"""Whether a row belongs to a load without a position of its own."""
LOADED = f"({STREAMED} or ({cdc.OPERATION} = '{cdc.LOAD}' and unix_micros({VALID_AT}) = {GENERATION}))"
"""Whether a row belongs to a load. Rows of an export have positions of their own and do not, unless their time is that of a fence."""
GENERATION_WIDTH, POSITION_WIDTH = 17, len(cdc.ZERO_POSITION)
AT_WIDTH = GENERATION_WIDTH + 1 + POSITION_WIDTH
_FOREIGN = "-" + str(-FOREIGN_GENERATION).zfill(GENERATION_WIDTH - 1)

_GENERATION = f"case when {GENERATION} < 0 then '{_FOREIGN}' else lpad(cast({GENERATION} as string), {GENERATION_WIDTH}, '0') end"
PLACE = f"concat({_GENERATION}, '/', {cdc.POSITION})"
"""Generation and position as one text of fixed width that sorts as they do. ``-`` sorts before every digit."""

LOGGED = f"split({cdc.UNCHANGED}, ',')"
"""The unchanged columns of a change in ``<table>_changes``."""


def ordered(frame: DataFrame, fences: Iterable[Fence]) -> DataFrame:
    """Bronze rows with generation, position and both as one sortable text (``AT``), without fence lines.

    ``VALID_AT`` is the time from which a row holds.
    """
    whens = " ".join(f"when unix_micros({cdc.BUILT_AT}) >= {g} then {g}" for g in sorted({f.generation for f in fences}, reverse=True))
    generation = f"case when {cdc.POSITION} is null then {FOREIGN_GENERATION} {whens} else 0 end"
    own = {cdc.OPERATION, cdc.POSITION, cdc.BUILT_AT, cdc.COMMITTED_AT}
    placed = frame.where(f"{cdc.OPERATION} <> '{cdc.FENCE}'").selectExpr(
        *(f"`{name}`" for name in frame.columns if name not in own),
        cdc.OPERATION,
        f"cast({generation} as bigint) as {GENERATION}",
        f"coalesce({cdc.POSITION}, '{cdc.ZERO_POSITION}') as {cdc.POSITION}",
        f"{cdc.OPERATION} = '{cdc.DELETE}' as {IS_DELETE}",
        f"coalesce({cdc.COMMITTED_AT}, {cdc.BUILT_AT}) as {VALID_AT}",
    )
    return placed.selectExpr("*", f"{PLACE} as {AT}")


def fold(spark: SparkSession, changes: DataFrame, contract: Contract) -> DataFrame:
    """Fold the changes to one row per key.

    Columns: the key, the image's columns, and each partial column with the place of the change that carried it
    (``cdc_at_<column>``). Then generation and position of the newest change and of the image, whether the newest change is
    a delete, and the newest generation whose load brought the key.
    """
    return query(spark, "silver/fold", fold_parts(contract), changes=changes)


def fold_parts(contract: Contract) -> dict[str, Any]:
    """The parts of fold.sql."""
    key = [c.name for c in contract.key]
    whole = [c for c in contract.columns if c.key is None and not c.may_be_unchanged]
    partial = [part for c in contract.partial_columns for part in (value_of(c), f"{place_of(c)} as {applied_at(c.name)}")]
    return {
        "key": listed(key),
        "newest_key": listed(key, "n."),
        "same_key": " and ".join(f"n.`{name}` = c.`{name}`" for name in key),
        "columns": listed(c.name for c in contract.columns),
        "loaded": LOADED,
        "carriers": more(f"max({carried(c)}) as `{c.name}`" for c in contract.partial_columns),
        "newest_partial": more(f"max(n.`{c.name}`) as `{c.name}`" for c in contract.partial_columns),
        "images": more(f"{greatest(c, 'c.')} as `{c.name}`" for c in whole),
        "whole": more(f"`{c.name}`" for c in whole),
        "partial": more([*partial, f"cast(null as string) as {ORIGIN}"] if partial else ()),
        "generation_width": GENERATION_WIDTH,
        "position_width": POSITION_WIDTH,
    }


def with_month(folded: DataFrame, partition: MonthPartition | None) -> DataFrame:
    """Adds the year and month of the image. They are 0 and 0, as for tombstones, if the image has no month or the key no image."""
    if partition is None:
        return folded
    return folded.selectExpr(*(f"`{name}`" for name in folded.columns), *month_fields(partition))


def greatest(column: Column, row: str = "") -> str:
    """The greatest of a column's values, as an aggregate. All values of a key are equal, except in a foreign CSV.

    Floats are compared as text. Sail's MAX over floats starts at the lowest finite number, which is above -Infinity.
    """
    path = f"{row}`{column.name}`"
    return f"cast(max(cast({path} as string)) as {column.type.sql})" if column.type.is_float else f"max({path})"


def carried(column: Column) -> str:
    """A partial column's value after its place, as one text. Null if the change does not carry the column.

    A value that did not travel takes its place too, so that no older one counts as the current value.
    """
    value = column.type.form.to_text.format(f"`{column.name}`")
    written = f"case when {named(cdc.UNSEEN + column.name)} then '{cdc.UNSEEN}' else coalesce(concat('1', {value}), '0') end"
    return f"case when not {IS_DELETE} and not {named(column.name)} then concat({AT}, {written}) end"


def named(name: str) -> str:
    """Whether the change lists a name as one that it did not carry."""
    return f"coalesce(array_contains({cdc.UNCHANGED}, '{name}'), false)"


def unchanged_now(contract: Contract, names: str) -> str:
    """A list of unchanged columns (``names``, as SQL) by their present names, if it was written before a rename."""
    if not any(map(contract.formers, contract.columns)):
        return names
    cases = []
    for column in contract.columns:
        for mark in ("", cdc.UNSEEN):
            found = " or ".join(f"array_contains({names}, '{mark}{name}')" for name in (column.name, *contract.formers(column)))
            cases.append(f"case when {found} then '{mark}{column.name}' end")
    return f"split(nullif(concat_ws(',', {', '.join(cases)}), ''), ',')"


def value_of(column: Column) -> str:
    """The value in a text of ``carried``."""
    text = f"substring(`{column.name}`, {AT_WIDTH + 2})"
    value = (column.type.form.from_text or f"cast({{}} as {column.type.sql})").format(text)
    return f"case when substring(`{column.name}`, {AT_WIDTH + 1}, 1) = '1' then {value} end as `{column.name}`"


def place_of(column: Column) -> str:
    """The place that ``carried`` wrote, marked if the value did not travel."""
    mark = f"case when substring(`{column.name}`, {AT_WIDTH + 1}, 1) = '{cdc.UNSEEN}' then '{cdc.UNSEEN}' else '' end"
    return f"concat(substring(`{column.name}`, 1, {AT_WIDTH}), {mark})"
