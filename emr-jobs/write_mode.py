"""How merges write to a table that has no months.

Copy-on-write (``tables.PROPERTIES``) writes a file with one changed row anew. Where months are named that is little; a table
without them would be written anew as a whole, whatever a batch changes. So from ``MERGE_ON_READ_BYTES`` on such a table is
merged on read: the batch adds its rows and files that tell which older rows they replace. Every reader pays for those,
so the batch that finds ``DELETE_FILES`` of them first rewrites the table.
"""

from __future__ import annotations

from catalog import SILVER, catalog
from compaction import compact
from inventory import live_files
from pyspark.sql import SparkSession

MERGE_ON_READ_BYTES = 4 * 1024 * 1024
DELETE_FILES = 64
MODE = "write.merge.mode"
"""UPDATE, which a reload ends with, stays copy-on-write: Sail has no other for tables of format version 2."""


def choose(spark: SparkSession, name: str) -> None:
    """Set the write mode of a silver table for the merge to come, by what the table holds now."""
    table = catalog().load_table((SILVER, name))
    if table.spec().fields:
        return
    files = live_files(table)
    if sum(file.deletes for file in files) >= DELETE_FILES:
        compact(spark, SILVER, table)
        table = catalog().load_table((SILVER, name))
    large = sum(file.bytes for file in files) >= MERGE_ON_READ_BYTES
    mode = "merge-on-read" if large else "copy-on-write"
    if table.properties.get(MODE) != mode:
        with table.transaction() as change:
            change.set_properties({MODE: mode})
