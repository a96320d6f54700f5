"""A silver table against its source table: every row, every column, soft deletes, masks, partition."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from datamaster.platform.query import Athena, QueryFailed
from datamaster.verify.report import TableReport
from datamaster.verify.source_snapshot import SourceSnapshot, names
from datamaster.verify.values import both_forms, source_values
from datamaster.verify.workbench import AS_WRITTEN, Workbench, quoted
from lake.contract import Contract
from lake.contract.names import ROW

NO_MASK_KEY = "and this identity may not read the mask key"
LACKING = ("TABLE_NOT_FOUND", "COLUMN_NOT_FOUND", "SCHEMA_NOT_FOUND")


def compare_silver(
    bench: Workbench, source: SourceSnapshot, athena: Athena, contract: Contract, masks: Mapping[str, str], mask_key: bytes | None
) -> TableReport:
    """Compare dm_silver.<table> with the table of its contract. The source's rows stay on the bench as ``source_<table>``.

    The report's ``trouble`` names columns that the source no longer has. Raises errors of the source and the bench.
    """
    table, columns = contract.table, names(contract.columns)
    of_source, of_lake = bench.folder / f"{table}.source.csv", bench.folder / f"{table}.lake.csv"
    partition = contract.partition
    months = (partition.year_field, partition.month_field) if partition else ()
    wanted = (*columns, *months, "deleted_at")
    statement = f"SELECT {', '.join(quoted(name) for name in wanted)} FROM dm_silver.{quoted(table)}"
    if contract.is_keyless:
        statement += " WHERE deleted_at IS NULL"
    with ThreadPoolExecutor(1) as other:
        download = other.submit(athena.download, statement, of_lake)
        gone = source.copy_table(contract, of_source)
        bench.load(source_table(table), of_source, columns, _numbered(contract, source_values(contract, masks, mask_key)))
        try:
            download.result()
        except QueryFailed as error:
            return unread(f"dm_silver.{table}", error)
    values = both_forms(contract.columns, masks)
    values |= {name: f"TRY_CAST({quoted(name)} AS BIGINT)" for name in months} | {"deleted_at": quoted("deleted_at")}
    bench.load("lake", of_lake, wanted, _numbered(contract, values))
    keys = columns if contract.is_keyless else names(contract.key)
    gone_months = months if partition and partition.column in gone else ()
    hashed = unknown(masks, mask_key)
    if not hashed.isdisjoint(keys):
        return TableReport.undecided(f"dm_silver.{table}", f"its key is hashed, {NO_MASK_KEY}")
    compared = [name for name in (*columns, *months) if name not in (*keys, *gone, *gone_months, *hashed)]
    report = bench.compare(f"dm_silver.{table}", source_table(table), "lake", keys, compared, soft_deletes=True)
    bench.run("DROP TABLE lake")
    lost = (f'the source has no column "{name}" any more; see docs/source.md, "Events outside the log"' for name in sorted(gone))
    unseen = (f'column "{name}" is hashed, {NO_MASK_KEY}' for name in sorted(hashed))
    return replace(report, trouble=(*lost, *unseen))


def unknown(masks: Mapping[str, str], mask_key: bytes | None) -> frozenset[str]:
    """The columns whose masks cannot be computed, as there is no key."""
    return frozenset(name for name, mask in masks.items() if mask == "hash" and mask_key is None)


def _numbered(contract: Contract, values: Mapping[str, str]) -> Mapping[str, str]:
    """The rows of a table without a key are identified by all their values. Equal rows are numbered."""
    if not contract.is_keyless:
        return values
    alike = ", ".join(expression for name, expression in values.items() if name not in (ROW, ROW + AS_WRITTEN))
    kept = {name: expression for name, expression in values.items() if name != ROW + AS_WRITTEN}
    return kept | {ROW: f"row_number() OVER (PARTITION BY {alike})"}


def unread(table: str, error: QueryFailed) -> TableReport:
    """The report of a lake table that Athena does not read: missing there, or out of reach for a reason of Athena's own."""
    make = TableReport.missing if str(error).startswith(LACKING) else TableReport.undecided
    return make(table, str(error))


def source_table(table: str) -> str:
    """The name of a source table on the bench."""
    return f"source_{table}"
