"""Values as SQL over text from PostgreSQL or Athena: of the lake's type if the text is one, else as written.

Nothing here fails on a value. A text that its column's type cannot hold exactly is compared as text. The rules are those of docs/types.md
and docs/semantics.md, independent of the code that writes the lake.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from datamaster.verify.masked_columns import masked
from datamaster.verify.workbench import AS_WRITTEN, quoted
from lake.contract import Column, Contract, MonthPartition

INTEGERS = frozenset({"smallint", "integer", "bigint"})
MOMENTS = frozenset({"timestamp", "timestamptz"})
FLOATS = {"real": "FLOAT", "double": "DOUBLE"}
CALENDAR_DAY = r"^\d{4,}-\d\d-\d\d$"
A_SECOND_HOLDS = {"epoch_seconds": 1, "epoch_milliseconds": 1_000, "epoch_microseconds": 1_000_000}
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799  # of the years 1 to 9999


def typed(column: Column) -> str:
    """The SQL of a column's value. Null if the text is no value of the column's type."""
    name, kind = quoted(column.name), column.type
    if kind.name == "bytea":
        return f"replace(replace(lower({name}), '\\x', ''), ' ', '')"
    return f"CASE WHEN {fits} THEN {_cast(column)} END" if (fits := _fits(column)) else name


def both_forms(columns: Sequence[Column], hidden: Container[str] = ()) -> dict[str, str]:
    """The SQL of each column's value, and of its text if that is no value. Columns in ``hidden`` are masks, so texts."""
    values = {}
    for column in columns:
        name = quoted(column.name)
        fits = None if column.name in hidden else _fits(column)
        values[column.name] = name if column.name in hidden else typed(column)
        if fits:
            values[column.name + AS_WRITTEN] = f"CASE WHEN NOT coalesce({fits}, FALSE) THEN {name} END"
    return values


def source_values(contract: Contract, masks: Mapping[str, str], mask_key: bytes | None) -> dict[str, str]:
    """The SQL of everything that the lake has to hold of a source row: values, masks, months."""
    values = both_forms(contract.columns, masks)
    values |= {c.name: masked(masks[c.name], _raw_text(c), mask_key) for c in contract.columns if c.name in masks}
    return values | (_months(contract.partition, contract) if contract.partition else {})


def _cast(column: Column) -> str:
    name, kind = quoted(column.name), column.type
    if kind.name == "numeric":
        return f"TRY_CAST({name} AS DECIMAL({kind.precision}, {kind.scale}))"
    if kind.name in MOMENTS:
        return f"TRY_CAST(regexp_replace({name}, ' UTC$', '') AS TIMESTAMP)"
    sql_type = "BIGINT" if kind.name in INTEGERS else FLOATS.get(kind.name) or {"boolean": "BOOLEAN", "date": "DATE"}[kind.name]
    return f"TRY_CAST({name} AS {sql_type})"


def _fits(column: Column) -> str | None:
    """The SQL condition that the text is exactly a value of the column's type. None if every text is."""
    name, kind = quoted(column.name), column.type.name
    if kind == "numeric" or kind in INTEGERS:
        return f"{_without_zeros(name)} = {_without_zeros(f'CAST({_cast(column)} AS VARCHAR)')}"
    if kind in FLOATS:
        return f"(isfinite({_cast(column)}) OR NOT regexp_matches({name}, '[0-9]'))"
    if kind == "date":
        return f"(regexp_matches({name}, '{CALENDAR_DAY}') AND {_cast(column)} IS NOT NULL)"
    return f"{_cast(column)} IS NOT NULL" if kind in MOMENTS or kind == "boolean" else None


def _without_zeros(text: str) -> str:
    return f"CASE WHEN contains({text}, '.') THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"


def _months(partition: MonthPartition, contract: Contract) -> dict[str, str]:
    """Year and month of the partition column, or 0 and 0 without a value in the years 1 to 9999."""
    column = contract.by_name[partition.column]
    if partition.unit in A_SECOND_HOLDS:
        share = A_SECOND_HOLDS[partition.unit]
        known = f"{typed(column)} BETWEEN {FIRST_SECOND * share} AND {LAST_SECOND * share + share - 1}"
        moment = f"make_timestamp(CASE WHEN {known} THEN {typed(column)} * {1_000_000 // share} END)"
    else:
        moment = f"CASE WHEN isfinite({typed(column)}) THEN {typed(column)} END"
    inside = f"year({moment}) BETWEEN 1 AND 9999"
    fields = {partition.year_field: "year", partition.month_field: "month"}
    return {field: f"CASE WHEN {inside} THEN {part}({moment}) ELSE 0 END" for field, part in fields.items()}


def _raw_text(column: Column) -> str:
    """The SQL of the text in raw lines, which is the input of masks."""
    kind = column.type.name
    if kind in MOMENTS:
        return f"strftime({typed(column)}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    if kind == "boolean":
        return f"CAST({typed(column)} AS VARCHAR)"
    return typed(column) if kind == "bytea" else quoted(column.name)
