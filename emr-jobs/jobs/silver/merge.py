"""The parts of merge.sql, the MERGE of folded changes into a silver table, and of retire.sql, the end of older generations.

The ON clause names the months from the pre-pass, the months of the new images, and the tombstones' own (year 0). Both
engines prune by literal partition values.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from jobs.iceberg.partitions import NAMED_MONTHS_LIMIT, TOMBSTONES, Month, months_condition
from jobs.iceberg.statements import listed, more
from jobs.iceberg.tables import ORIGIN, applied_at
from jobs.silver.changes import AT_WIDTH, GENERATION_WIDTH, IMAGE, LAST, LOADED_GENERATION
from lake import cdc
from lake.contract import Contract

DEAD = "(s.cdc_is_delete or s.cdc_last_generation >= 0 and s.cdc_last_generation < {retired_below})"
"""Whether a change ends its row: a delete, or a row of a generation that a complete load has ended."""


def merge_parts(table: str, contract: Contract, months: Collection[Month] | None, now: datetime, retired_below: int) -> dict[str, Any]:
    """The parts of merge.sql. ``months`` is None without a partition."""
    key, partial = [c.name for c in contract.key], [c.name for c in contract.partial_columns]
    whole = [c.name for c in contract.columns if c.key is None and not c.may_be_unchanged]
    whole += contract.partition.fields if contract.partition else ()
    applied, imaged = (newer(f"s.{part}_generation", f"s.{part}_position") for part in (LAST, IMAGE))
    dead, moment = DEAD.format(retired_below=retired_below), timestamp_literal(now)
    deleted = f"case when {applied} then case when {dead} then {moment} end else t.deleted_at end"
    paths = {name: _later(name, applied_at(name)) for name in partial}
    later = [item for name in partial for item in (f"`{name}` = {_later(name, f'`{name}`')}", f"{applied_at(name)} = {paths[name]}")]
    return {
        "table": table,
        "same_key": " and ".join(f"t.`{name}` = s.`{name}`" for name in key),
        "in_months": _in_months(contract, months),
        "applied": applied,
        "changed": " or ".join([applied, *map(carried_later, partial)]),
        "loaded": f"coalesce(s.{LOADED_GENERATION} > coalesce(t.cdc_loaded, -1), false)",
        "now": moment,
        "deleted": deleted,
        "dead": dead,
        "missing": missing(paths, f"({deleted}) is null"),
        "images": more(f"`{name}` = case when {imaged} then s.`{name}` else t.`{name}` end" for name in whole),
        "partial": more([*later, f"{ORIGIN} = coalesce(s.{ORIGIN}, t.{ORIGIN})"] if partial else ()),
        "columns": listed([*key, *whole, *partial]),
        "values": listed([*key, *whole, *partial], "s."),
        "missing_anew": missing({name: f"s.{applied_at(name)}" for name in partial}, f"not {dead}"),
        "partial_columns": more([*map(applied_at, partial), ORIGIN] if partial else ()),
        "partial_values": more([*(f"s.{applied_at(name)}" for name in partial), f"s.{ORIGIN}"] if partial else ()),
    }


def retire_parts(table: str, now: datetime, retired_below: int) -> dict[str, Any]:
    """The parts of retire.sql."""
    return {"table": table, "now": timestamp_literal(now), "retired": retired_condition(retired_below)}


def retired_condition(retired_below: int) -> str:
    """The condition for live rows of a generation older than the newest complete load. Foreign rows (-1) belong to no generation."""
    return f"cdc_generation >= 0 and cdc_generation < {retired_below} and deleted_at is null"


def timestamp_literal(moment: datetime) -> str:
    """A SQL literal with its zone, in microseconds."""
    return f"timestamp'{moment.strftime('%Y-%m-%d %H:%M:%S.%f')}+00:00'"


def newer(generation: str, position: str) -> str:
    """The condition that a change lies behind the row's own place. It is false if the change has no place."""
    return f"coalesce({generation} > t.cdc_generation or ({generation} = t.cdc_generation and {position} > t.cdc_position), false)"


def carried_later(column: str) -> str:
    """The condition that the column's carrier lies behind the place of the row's value."""
    at = applied_at(column)
    return f"coalesce(s.{at} > coalesce(t.{at}, ''), false)"


def _later(column: str, name: str) -> str:
    return f"case when {carried_later(column)} then s.{name} else t.{name} end"


def _in_months(contract: Contract, months: Collection[Month] | None) -> str:
    if contract.partition is None or months is None or len(months) > NAMED_MONTHS_LIMIT:
        return ""
    return f" and ({months_condition(contract.partition.fields, {*months, TOMBSTONES}, 't.')})"


def missing(paths: dict[str, str], live: str) -> str:
    """The names of a live row's partial columns with an unseen or uncertain value, joined by commas. Null for none."""
    if not paths:
        return "cast(null as string)"
    names = ", ".join(
        f"case when ({path}) is null or right({path}, 1) in ('<', '{cdc.UNSEEN}') "
        f"or ({path}) like '%>%' or {_outlived(path)} then '{name}' end"
        for name, path in paths.items()
    )
    return f"case when {live} then nullif(concat_ws(',', {names}), '') end"


def _outlived(path: str) -> str:
    """Whether a value came with a key change in a load's generation, but is older than that generation.

    The load then read the table after the key change, and perhaps after other changes that the log does not show.
    """
    first, last = (f"substring({path}, {start}, {GENERATION_WIDTH})" for start in ("1", f"length({path}) - {AT_WIDTH - 1}"))
    return f"({first} > greatest({last}, '{'0' * GENERATION_WIDTH}'))"
