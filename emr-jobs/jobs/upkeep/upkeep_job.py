"""Spark job: maintain one table. It compacts scattered months, expires old snapshots and removes unnamed objects.

    maintenance.py --manifest s3://<lake bucket>/batches/<table>/<batch_id>/manifest.json

The rows do not change. A repeated run is safe at any point, because the job removes a file only after it has committed
the replacement.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyiceberg.table import Table
from pyspark.sql import SparkSession

from jobs.iceberg.catalog import GOLD, catalog
from jobs.iceberg.commits import retried
from jobs.iceberg.inventory import live_files, named_objects, remove_objects, stored_objects
from jobs.silver import key_index, quality
from jobs.upkeep.compaction import compact
from lake.contract.names import QUALITY_RESULTS
from lake.errors import TerminalError
from lake.keys import gold_location, silver_location, split_uri
from lake.manifests import OUTCOME, MaintenanceManifest, read_document, sibling, write_document


class MissingFiles(TerminalError):
    """The metadata names files that S3 does not list. Removing objects by such a listing would be a guess."""

    def __init__(self, table: str, missing: set[str]) -> None:
        super().__init__(f'table "{table}": S3 does not list {len(missing)} files of its snapshot, as {min(missing)}; nothing was removed')


@dataclass(frozen=True)
class Size:
    """A table's size: partitions, files and bytes of its snapshot, the number of its snapshots, and all its stored objects."""

    partitions: int
    files: int
    delete_files: int
    bytes: int
    snapshots: int
    stored_objects: int
    stored_bytes: int


@dataclass(frozen=True)
class Maintained:
    """The changes that maintenance made to one table."""

    table: str
    before: Size
    after: Size
    partitions_rewritten: int
    snapshots_expired: int
    objects_removed: int


def main(arguments: Sequence[str]) -> None:
    """Run the job by its command line."""
    parser = argparse.ArgumentParser(description="Compact a table, expire its snapshots, remove what nothing names.")
    parser.add_argument("--manifest", required=True, help="s3:// URI of the batch's manifest.json")
    run(SparkSession.builder.getOrCreate(), parser.parse_args(arguments).manifest)


def run(spark: SparkSession, uri: str) -> list[Maintained]:
    """Maintain the tables that the manifest at ``uri`` names, and write the outcome beside it."""
    manifest = MaintenanceManifest.of(read_document(uri))
    known = {identifier[-1] for identifier in catalog().list_tables(manifest.database)}
    names = [name for name in (manifest.table, *manifest.beside) if name in known]
    done = [maintain(spark, manifest, name, split_uri(uri)[0]) for name in names]
    write_document(sibling(uri, OUTCOME), {"tables": done})
    return done


def maintain(spark: SparkSession, manifest: MaintenanceManifest, name: str, bucket: str) -> Maintained:
    """Compact, expire, refresh the key index and remove objects, in this order."""
    identifier = (manifest.database, name)
    root = (gold_location if manifest.database == GOLD else silver_location)(bucket, name)
    table = catalog().load_table(identifier)
    before = size(table, root)
    old = named_objects(table)
    rewritten = quality.compact() if name == QUALITY_RESULTS else compact(spark, manifest.database, table)
    expired = expire(identifier, manifest.snapshots_before)
    if name == manifest.table and manifest.key:
        key_index.refresh(spark, name, manifest.key, bucket)
    removed = remove_unnamed(identifier, root, old, manifest.orphans_before)
    return Maintained(name, before, size(catalog().load_table(identifier), root), rewritten, expired, removed)


def size(table: Table, root: str) -> Size:
    """The table's size now. All its objects lie under ``root``."""
    files, stored = live_files(table), stored_objects(root)
    return Size(
        partitions=len({file.partition for file in files}),
        files=sum(not file.deletes for file in files),
        delete_files=sum(file.deletes for file in files),
        bytes=sum(file.bytes for file in files),
        snapshots=len(table.metadata.snapshots),
        stored_objects=len(stored),
        stored_bytes=sum(entry.bytes for entry in stored),
    )


@retried
def expire(identifier: tuple[str, str], before: datetime) -> int:
    """Expire the snapshots older than ``before``. The current one stays. Returns the number of expired snapshots."""
    table = catalog().load_table(identifier)
    old = len(table.metadata.snapshots)
    table.maintenance.expire_snapshots().older_than(before).commit()
    return old - len(table.metadata.snapshots)


def remove_unnamed(identifier: tuple[str, str], root: str, once_named: set[str], before: datetime) -> int:
    """Remove objects that no snapshot names, if the table named them once or they are older than ``before``. Returns their number.

    ``once_named`` are the objects that the table named at the start. None of them can belong to a writer that has not
    committed yet. Raises ``MissingFiles``.
    """
    table = catalog().load_table(identifier)
    current = {file.uri for file in live_files(table)}
    stored = stored_objects(root)
    missing = {uri for uri in current if uri.startswith(f"{root}/")} - {entry.uri for entry in stored}
    if missing:
        raise MissingFiles(identifier[1], missing)
    named = named_objects(catalog().load_table(identifier))  # read after the listing, so that it includes commits made meanwhile
    unnamed = [entry.uri for entry in stored if entry.uri not in named and (entry.uri in once_named or entry.modified < before)]
    remove_objects(unnamed)
    return len(unnamed)
