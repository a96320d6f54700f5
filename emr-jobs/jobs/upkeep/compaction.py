"""Rewrites the months of a table that lie in many files to one file each, sorted by key.

The engine writes, so that it works the same on Sail and on Spark. A table without partitions is rewritten as a whole.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from pyiceberg.table import Table
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - pyspark's own idiom

from jobs.iceberg.catalog import engine_name
from jobs.iceberg.inventory import LiveFile, Partition, live_files
from jobs.iceberg.statements import overwrite

FILES_OF_A_MONTH = 2
FILE_BYTES = 128 * 1024 * 1024
COMMIT_BYTES = 512 * 1024 * 1024
"""The limit of one commit. A first run over many months then fits an engine's memory, and a crash loses little."""


def compact(spark: SparkSession, database: str, table: Table) -> int:
    """Rewrite the partitions that lie in too many files. Returns their number.

    A table with delete files is rewritten as a whole, because Sail cannot overwrite a part of such a table. The lake's own
    jobs leave none, but Athena's DELETE and UPDATE do.
    """
    files = live_files(table)
    scattered = scattered_partitions(files)
    name, columns = engine_name(database, table.name()[-1]), [field.name for field in table.schema().fields]
    partition = [field.name for field in table.spec().fields]
    if any(file.deletes for file in files) or (scattered and not partition):
        _rewrite_whole(spark.table(name).select(*columns), name, partition, sum(file.bytes for file in files))
        return len({file.partition for file in files})
    for group in groups(scattered):
        condition = partitions_condition(partition, group)
        rows = spark.table(name).where(condition).select(*columns).repartition(*(F.col(column) for column in partition))
        rows.sortWithinPartitions(*partition, columns[0]).writeTo(name).overwrite(F.expr(condition))
    return len(scattered)


def _rewrite_whole(rows: DataFrame, name: str, partition: list[str], size: int) -> None:
    by = [F.col(column) for column in partition]
    rows = rows.repartition(*by) if by else rows.repartition(max(1, math.ceil(size / FILE_BYTES)))
    overwrite(name, rows.sortWithinPartitions(*partition, rows.columns[0]))


def scattered_partitions(files: Iterable[LiveFile]) -> dict[Partition, int]:
    """The partitions that lie in more than two files and in more than their size needs, each with its bytes."""
    by_partition: dict[Partition, list[LiveFile]] = defaultdict(list)
    for file in files:
        by_partition[file.partition].append(file)
    sizes = {partition: sum(file.bytes for file in group) for partition, group in by_partition.items()}
    return {
        partition: sizes[partition]
        for partition, group in sorted(by_partition.items())
        if len(group) > max(FILES_OF_A_MONTH, math.ceil(sizes[partition] / FILE_BYTES))
    }


def groups(sizes: Mapping[Partition, int]) -> Iterator[list[Partition]]:
    """Groups of partitions, each to be rewritten in one commit."""
    group: list[Partition] = []
    total = 0
    for partition, size in sizes.items():
        if group and total + size > COMMIT_BYTES:
            yield group
            group, total = [], 0
        group.append(partition)
        total += size
    if group:
        yield group


def partitions_condition(columns: Collection[str], partitions: Iterable[Partition]) -> str:
    """A literal condition on the partition columns. Both engines overwrite by such a condition."""
    alternatives = (
        " and ".join(f"{column} = {value}" for column, value in zip(columns, partition, strict=True)) for partition in partitions
    )
    return " or ".join(f"({alternative})" for alternative in alternatives)
