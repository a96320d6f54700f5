"""The effects of new contracts on existing rows, table by table and column by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lake.contract import Column, Contract, ContractSet
from lake.types import widens


@dataclass(frozen=True)
class ContractChange:
    """One change. ``column`` is empty for a change of the table; ``effect`` is a sentence about rows that are there."""

    table: str
    column: str
    change: str
    effect: str


def changes(old: ContractSet, new: ContractSet) -> list[ContractChange]:
    """Everything that differs, in the order of tables and columns."""
    found: list[ContractChange] = []
    for table in sorted(old.tables.keys() | new.tables.keys()):
        before, after = old.tables.get(table), new.tables.get(table)
        if before is None and after is not None:
            source = f"{after.source_schema}.{after.source_table}"
            found.append(ContractChange(table, "", "new table", f"nothing comes of it until dm tables add {source}"))
        elif after is None:
            found.append(
                ContractChange(
                    table, "", "left out", f"its rows stay, its new records are refused; dm tables drop {table} ends it in order"
                )
            )
        elif before is not None:
            found += _of_table(before, after)
    return found


def _of_table(old: Contract, new: Contract) -> Iterator[ContractChange]:
    table, again = new.table, f"dm reload {new.table}"
    if (old.source_schema, old.source_table) != (new.source_schema, new.source_table):
        source = f"{new.source_schema}.{new.source_table}"
        yield ContractChange(table, "", f"source is {source}", f"rows of the former source stay until {again}")
    if [c.source_name for c in old.key] != [c.source_name for c in new.key]:
        yield ContractChange(
            table, "", f"key is {', '.join(c.name for c in new.key)}", f"rows are told apart by the former key until {again}"
        )
    if old.partition != new.partition:
        yield ContractChange(table, "", "partition", f"rows that are there lie where they lay; {again} places them anew")
    if old.history != new.history:
        effect = "versions are kept from now on" if new.history else "no version is added any more; those that are there stay"
        yield ContractChange(table, "", "history", effect)
    for name in ("evolution", "reject_ratio", "cdc", "export_watermark", "export_lateness"):
        if getattr(old, name) != getattr(new, name):
            yield ContractChange(table, "", f"{name} is {getattr(new, name)}", "no row that is there changes")
    if old.quality_rules != new.quality_rules:
        yield ContractChange(table, "", "quality rules", "they are asked of rows that come from now on")
    yield from _of_columns(old, new)


def _of_columns(old: Contract, new: Contract) -> Iterator[ContractChange]:
    taken = set()
    for column in new.columns:
        before = old.by_name.get(column.name)
        former = next((name for name in new.formers(column) if name in old.by_name), None)
        if before is None and former is not None:
            taken.add(former)
            yield ContractChange(new.table, column.name, f"renamed from {former}", "every row keeps its value")
            before = old.by_name[former]
        if before is None:
            yield ContractChange(new.table, column.name, "new column", f"null in rows that are there until dm export {new.table} --whole")
        else:
            yield from _of_column(new.table, before, column)
    for name in old.by_name:
        if name not in new.by_name and name not in taken:
            yield ContractChange(new.table, name, "left out", "the column stays in silver as it is; its new values go to _extra")


def _of_column(table: str, old: Column, new: Column) -> Iterator[ContractChange]:
    if old.type != new.type and old.type.iceberg != new.type.iceberg:
        effect = (
            "every row keeps its value"
            if widens(old.type.iceberg, new.type.iceberg)
            else f"silver's column cannot become that; dm reload {table} into a new name"
        )
        yield ContractChange(table, new.name, f"{old.type.spelling or old.type.name} becomes {new.type.spelling or new.type.name}", effect)
    if old.source_name != new.source_name and not new.former_names:
        yield ContractChange(
            table,
            new.name,
            f'is the source\'s "{new.source_name}"',
            f"rows that are there hold the former column's values until dm reload {table}",
        )
    if new.allow_nan != old.allow_nan:
        yield ContractChange(
            table, new.name, f"NaN and infinity are {'allowed' if new.allow_nan else 'refused'}", "no row that is there changes"
        )
    if new.required and not old.required:
        yield ContractChange(table, new.name, "required", "rows without a value are refused from now on; those that are there stay")
    if (old.classification, old.mask) != (new.classification, new.mask):
        form = f"{new.classification or 'decided by detection'}" + (f", mask {new.mask}" if new.classification == "personal" else "")
        yield ContractChange(table, new.name, form, f"rows that are there keep their form until dm export {table} --whole")
