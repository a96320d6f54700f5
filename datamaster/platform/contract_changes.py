"""The effects of new contracts on existing rows, table by table and column by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lake.contract import Column, Contract, ContractSet
from lake.contract.renames import KnownNames
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
    known = {column.id: column for column in old.columns}
    exchanged = KnownNames().with_names_of(old).exchanged(new)
    for column in new.columns:
        before = known.pop(column.id, None)
        refused = f"refused without dm contract publish --reload {new.table}" if column.source_name in exchanged else None
        if before is None:
            effect = refused or f"null in rows that are there until dm export {new.table} --whole"
            yield ContractChange(new.table, column.name, "new column", effect)
        else:
            yield from _of_names(new.table, before, column, refused)
            yield from _of_column(new.table, before, column)
    for column in known.values():
        yield ContractChange(new.table, column.name, "left out", "the column stays in silver as it is; its new values go to _extra")


def _of_names(table: str, old: Column, new: Column, refused: str | None) -> Iterator[ContractChange]:
    if old.name != new.name:
        yield ContractChange(table, new.name, f"renamed from {old.name}", "every row keeps its value")
    if old.source_name != new.source_name:
        late = f"every row keeps its value; one that came under the new name before now gets it by dm export {table} --whole"
        yield ContractChange(table, new.name, f'is the source\'s "{new.source_name}"', refused or late)


def _of_column(table: str, old: Column, new: Column) -> Iterator[ContractChange]:
    if old.type != new.type and old.type.iceberg != new.type.iceberg:
        effect = (
            "every row keeps its value"
            if widens(old.type.iceberg, new.type.iceberg)
            else f"silver's column cannot become that; dm reload {table} into a new name"
        )
        yield ContractChange(table, new.name, f"{old.type.spelling or old.type.name} becomes {new.type.spelling or new.type.name}", effect)
    if new.allow_nan != old.allow_nan:
        yield ContractChange(
            table, new.name, f"NaN and infinity are {'allowed' if new.allow_nan else 'refused'}", "no row that is there changes"
        )
    if new.required and not old.required:
        yield ContractChange(table, new.name, "required", "rows without a value are refused from now on; those that are there stay")
    if (old.classification, old.mask) != (new.classification, new.mask):
        form = f"{new.classification or 'decided by detection'}" + (f", mask {new.mask}" if new.classification == "personal" else "")
        yield ContractChange(table, new.name, form, f"rows that are there keep their form until dm export {table} --whole")
