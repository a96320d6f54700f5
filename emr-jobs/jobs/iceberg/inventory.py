"""The files of a table: those of its snapshot, those that its metadata names, and all objects in S3."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from pyiceberg.manifest import DataFileContent, ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from lake.clients import s3
from lake.keys import split_uri

READERS = 16
Partition = tuple[int, ...]


@dataclass(frozen=True)
class LiveFile:
    """A data or delete file of the current snapshot. ``partition`` is empty if the table has none."""

    uri: str
    partition: Partition
    bytes: int
    deletes: bool


@dataclass(frozen=True)
class StoredObject:
    """An object under a table's location."""

    uri: str
    bytes: int
    modified: datetime


def live_files(table: Table) -> list[LiveFile]:
    """The data and delete files of the table's current snapshot."""
    return _files(table, 0)


def files_since(table: Table, snapshot: Snapshot) -> list[LiveFile]:
    """The current snapshot's files that were added after ``snapshot``, one of its ancestors.

    Sequence numbers grow with every commit (https://iceberg.apache.org/spec/#sequence-numbers), so that only manifests
    written since then are read.
    """
    return _files(table, (snapshot.sequence_number or 0) + 1)


def _files(table: Table, least_sequence: int) -> list[LiveFile]:
    snapshot = table.current_snapshot()
    if snapshot is None:
        return []
    manifests = [manifest for manifest in snapshot.manifests(table.io) if manifest.sequence_number >= least_sequence]
    with ThreadPoolExecutor(READERS) as pool:
        groups = pool.map(lambda manifest: manifest.fetch_manifest_entry(table.io, discard_deleted=True), manifests)
        entries = [entry for group in groups for entry in group if entry.sequence_number is None or entry.sequence_number >= least_sequence]
    return [
        LiveFile(
            entry.data_file.file_path,
            tuple(int(entry.data_file.partition[n]) for n in range(len(entry.data_file.partition))),
            entry.data_file.file_size_in_bytes,
            entry.data_file.content != DataFileContent.DATA,
        )
        for entry in entries
    ]


def named_objects(table: Table) -> set[str]:
    """The URI of every object that the table's metadata names: the files of all snapshots and the metadata itself."""
    metadata = table.metadata
    named = {table.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    named |= {file.statistics_path for file in (*metadata.statistics, *metadata.partition_statistics)}
    named |= {snapshot.manifest_list for snapshot in metadata.snapshots}
    manifests: dict[str, ManifestFile] = {}

    def listed(snapshot: Snapshot) -> list[ManifestFile]:
        return snapshot.manifests(table.io)

    def entries(manifest: ManifestFile) -> list[str]:
        return [entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)]

    with ThreadPoolExecutor(READERS) as pool:
        for group in pool.map(listed, metadata.snapshots):
            manifests.update({manifest.manifest_path: manifest for manifest in group})
        for paths in pool.map(entries, manifests.values()):
            named.update(paths)
    return named | set(manifests)


def stored_objects(root: str) -> list[StoredObject]:
    """Every object under ``root``, an ``s3://`` URI without a trailing slash."""
    bucket, prefix = split_uri(root)
    pages = s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    return [
        StoredObject(f"s3://{bucket}/{entry['Key']}", entry["Size"], entry["LastModified"])
        for page in pages
        for entry in page.get("Contents", ())
    ]


def remove_objects(uris: Iterable[str]) -> None:
    """Delete objects of one bucket. Raises ``OSError`` with the first object that S3 refused to delete."""
    keys = [split_uri(uri) for uri in sorted(uris)]
    for first in range(0, len(keys), 1000):
        batch = keys[first : first + 1000]
        answer = s3().delete_objects(Bucket=batch[0][0], Delete={"Objects": [{"Key": key} for _, key in batch], "Quiet": True})
        for refused in answer.get("Errors", ()):
            raise OSError(f"s3://{batch[0][0]}/{refused['Key']} was not deleted: {refused['Code']} {refused.get('Message', '')}")
