"""``<table>_keys``: the months of each key, for silver tables of many files.

A merge needs the current months of its keys, and would open every file of the table to find them. The index has the same
in few files, sorted by key. A data file never changes, so the index stays true for the files that it covers. It names
the snapshot that it was made from. Months with younger files are read from the table itself. A key that has left a month
since then is still found there. Such an extra month costs time but never loses a row.

Maintenance makes the index if the table is large enough. A table without an index is read itself.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of
from pyspark.sql import DataFrame, SparkSession

from jobs.iceberg.catalog import SILVER, catalog, engine_name
from jobs.iceberg.inventory import files_since, live_files
from jobs.iceberg.partitions import NAMED_MONTHS_LIMIT, Month, months_condition
from jobs.iceberg.statements import overwrite
from jobs.iceberg.tables import ensure_derived, fields_of
from lake.contract import Contract, MonthPartition
from lake.contract.names import KEYS
from lake.keys import silver_location

FROM_FILES = 64
"""A table with fewer files is read as fast as its index."""
YOUNG_SHARE = 8
"""The index is built again once an eighth of the table's months holds younger files."""
FILE_ROWS = 16_000_000
SNAPSHOT = "datamaster.indexed-snapshot"


@dataclass(frozen=True)
class KeyIndex:
    """An index that covers a part of its table. ``young`` are the months to read from the table itself."""

    name: str
    young: frozenset[Month]


def index_name(table: str) -> str:
    """The name of the index table of a silver table."""
    return f"{table}{KEYS}"


def rows(spark: SparkSession, contract: Contract, partition: MonthPartition) -> DataFrame:
    """Key and month of every row of a silver table, also of deleted rows and of some that have left their month."""
    columns = [*(c.name for c in contract.key), *partition.fields]
    table = spark.table(engine_name(SILVER, contract.table)).select(*columns)
    index = find(contract.table, columns)
    if index is None:
        return table
    indexed = spark.table(engine_name(SILVER, index.name)).select(*columns)
    return indexed.union(table.where(months_condition(partition.fields, index.young))) if index.young else indexed


def find(table: str, columns: Collection[str]) -> KeyIndex | None:
    """The table's index. None if there is none, or if it has other columns or belongs to another history of the table.

    It is also None if too many months hold younger files.
    """
    try:
        index = catalog().load_table((SILVER, index_name(table)))
    except NoSuchTableError:
        return None
    silver = catalog().load_table((SILVER, table))
    indexed = _indexed(silver, index)
    if indexed is None or {field.name for field in index.schema().fields} != set(columns):
        return None
    young = frozenset((file.partition[0], file.partition[1]) for file in files_since(silver, indexed))
    return KeyIndex(index_name(table), young) if len(young) <= NAMED_MONTHS_LIMIT else None


def refresh(spark: SparkSession, table: str, key: Sequence[str], bucket: str) -> bool:
    """Make the index if the table is large enough and has no usable one. Returns whether it was made."""
    silver = catalog().load_table((SILVER, table))
    snapshot, partition = silver.current_snapshot(), [field.name for field in silver.spec().fields]
    files = live_files(silver)
    if snapshot is None or not partition or len(files) < FROM_FILES:
        return False
    columns = [*key, *partition]
    present = find(table, columns)
    if present is not None and len(present.young) * YOUNG_SHARE < len({file.partition for file in files}):
        return False
    keys = spark.table(engine_name(SILVER, table)).select(*columns)
    location = silver_location(bucket, index_name(table))
    ensure_derived(SILVER, index_name(table), fields_of(keys), (), location)
    parts = max(1, math.ceil(_rows_of(snapshot) / FILE_ROWS))
    overwrite(engine_name(SILVER, index_name(table)), keys.repartitionByRange(parts, key[0]).sortWithinPartitions(*key))
    # the snapshot is named last: until then the index holds more than it promises
    with catalog().load_table((SILVER, index_name(table))).transaction() as change:
        change.set_properties({SNAPSHOT: str(snapshot.snapshot_id)})
    return True


def _indexed(silver: Table, index: Table) -> Snapshot | None:
    """The snapshot that the index was made from, if it is an ancestor of the table's current one."""
    named = index.properties.get(SNAPSHOT)
    ancestors = ancestors_of(silver.current_snapshot(), silver.metadata)
    return next((snapshot for snapshot in ancestors if str(snapshot.snapshot_id) == named), None)


def _rows_of(snapshot: Snapshot) -> int:
    return int(snapshot.summary["total-records"] or 0) if snapshot.summary else 0
