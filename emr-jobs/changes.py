"""Folding a batch's changes to one row a key.

Order is (generation, position). ``cdc_generation`` is the newest fence that is not younger than the change, in
microseconds since 1970; 0 where the table has none, and -1 for rows without a position: they only fill missing keys.

A folded row holds two things that are ordered by themselves: the newest change (``last``: was it a delete?) and the newest
image (``image``: the newest change that was none). A delete carries only its key, so the values of a deleted row are
those of its newest image.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame, SparkSession
from tables import ORIGIN, applied_at

from lake import cdc
from lake.contracts import Contract, MonthPartition
from lake.control_records import Fence

GENERATION = "cdc_generation"
FOREIGN_GENERATION = -1
AT = f"struct({GENERATION}, {cdc.POSITION})"
IS_DELETE = "is_delete"


def ordered(frame: DataFrame, fences: Iterable[Fence]) -> DataFrame:
    """Bronze rows with their generation and position; fence lines are left out."""
    whens = " ".join(f"when unix_micros({cdc.BUILT_AT}) >= {g} then {g}" for g in sorted({f.generation for f in fences}, reverse=True))
    generation = f"case when {cdc.POSITION} is null then {FOREIGN_GENERATION} {whens} else 0 end"
    own = {cdc.OPERATION, cdc.POSITION, cdc.BUILT_AT}
    return frame.where(f"{cdc.OPERATION} <> '{cdc.FENCE}'").selectExpr(
        *(f"`{name}`" for name in frame.columns if name not in own),
        cdc.OPERATION,
        f"cast({generation} as bigint) as {GENERATION}",
        f"coalesce({cdc.POSITION}, '{cdc.ZERO_POSITION}') as {cdc.POSITION}",
        f"{cdc.OPERATION} = '{cdc.DELETE}' as {IS_DELETE}",
    )


def fold(spark: SparkSession, changes: DataFrame, contract: Contract) -> DataFrame:
    """One row a key: ``last`` (generation, position, delete or not), ``image_at``, the image's columns, and each partial
    column with the position of the change that carried it (``cdc_at_<column>``)."""
    key = [c.name for c in contract.key]
    whole = [c.name for c in contract.columns if c.key is None and not c.may_be_unchanged]
    columns = ", ".join(f"`{name}`" for name in whole)
    aggregates = [
        f"max(struct({GENERATION}, {cdc.POSITION}, {IS_DELETE})) as last",
        f"max({AT}) filter (where not {IS_DELETE}) as image_at",
    ]
    if whole:
        aggregates.append(f"max_by(struct({columns}), {AT}) filter (where not {IS_DELETE}) as image")
    for column in contract.partial_columns:
        carried = f"filter (where not {IS_DELETE} and not coalesce(array_contains({cdc.UNCHANGED}, '{column.name}'), false))"
        aggregates.append(f"max_by(`{column.name}`, {AT}) {carried} as `{column.name}`")
        aggregates.append(f"max({ELEMENT}) {carried} as {applied_at(column.name)}")
    view = _view(changes, "changes")
    keys = ", ".join(f"`{name}`" for name in key)
    folded = spark.sql(f"select {keys}, {', '.join(aggregates)} from {view} group by {keys}")
    partial = [name for c in contract.partial_columns for name in (f"`{c.name}`", applied_at(c.name))]
    if partial:
        partial.append(f"cast(null as string) as {ORIGIN}")
    return folded.selectExpr(*(f"`{name}`" for name in key), *(f"image.`{name}` as `{name}`" for name in whole), *partial, *PLACES)


PLACES = (
    f"last.{GENERATION} as last_generation",
    f"last.{cdc.POSITION} as last_position",
    f"last.{IS_DELETE} as {IS_DELETE}",
    f"image_at.{GENERATION} as image_generation",
    f"image_at.{cdc.POSITION} as image_position",
)

ELEMENT = f"concat(case when {GENERATION} < 0 then '-' else lpad(cast({GENERATION} as string), 17, '0') end, '/', {cdc.POSITION})"
"""A generation and position as one sortable text; ``-`` sorts before every digit."""


def with_month(folded: DataFrame, partition: MonthPartition | None) -> DataFrame:
    """Adds the year and month of the image; 0 and 0, where tombstones lie, for a key of which no image is known."""
    if partition is None:
        return folded
    moment = f"timestamp_seconds(`{partition.column}`)" if partition.unit == "epoch_seconds" else f"`{partition.column}`"
    return folded.selectExpr(
        *(f"`{name}`" for name in folded.columns),
        f"coalesce(year({moment}), 0) as `{partition.year_field}`",
        f"coalesce(month({moment}), 0) as `{partition.month_field}`",
    )


def _view(frame: DataFrame, name: str) -> str:
    frame.createOrReplaceTempView(name)
    return name
