"""Measures one run of a job: its pre-pass, its other parts, and the files that it wrote."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.derived import build_job
from jobs.iceberg.catalog import SILVER, catalog
from jobs.iceberg.inventory import live_files
from jobs.silver import bronze, counts, merge_job, quality
from jobs.silver import months as months_module
from lake.generations import Fence
from lake.manifests import MANIFEST, BatchFile, MonthsManifest, SilverManifest, utc_now, write_document


@dataclass
class Setting:
    """The setting of the jobs: session, bucket, published contracts."""

    spark: Any
    bucket: str
    contracts_uri: str
    version: str


@dataclass
class Timed:
    """Seconds of a run and of its pre-pass. Files and bytes that its commit added, and their number of months."""

    seconds: float
    prepass: float
    merge: float
    files: int = 0
    bytes: int = 0
    months: int = 0
    parts: dict[str, float] = field(default_factory=dict)


def merge(setting: Setting, table: str, uris: list[str], run: Callable[[str], Any] | None = None) -> Timed:
    """Merge bronze files into a silver table as one batch. ``run`` passes its manifest to another engine than the setting's."""
    batch_id = uuid.uuid4().hex
    uri = f"s3://{setting.bucket}/batches/{table}/{batch_id}/{MANIFEST}"
    files = tuple(BatchFile(f"file-{n}", setting.version, (part,)) for n, part in enumerate(uris))
    fences: tuple[Fence, ...] = ()
    manifest = SilverManifest(batch_id, table, setting.version, setting.contracts_uri, files, fences, 0, False, utc_now())
    write_document(uri, manifest)
    before = {file.uri for file in live_files(catalog().load_table((SILVER, table)))} if catalog().table_exists((SILVER, table)) else set()
    parts: dict[str, float] = {}
    steps: tuple[tuple[Any, str], ...] = (
        (months_module, "of_keys"),
        (months_module, "of_images"),
        (bronze, "read"),
        (quality, "check"),
        (quality, "keep"),
        (merge_job, "ensure_silver"),
        (merge_job.Batch, "_merge"),
        (merge_job.Batch, "_keep_history"),
        (counts, "loads"),
    )
    originals = [(holder, name, getattr(holder, name)) for holder, name in steps]
    for holder, name, original in originals:
        setattr(holder, name, _clocked(name, original, parts))
    begin = time.perf_counter()
    try:
        run(uri) if run else merge_job.run(setting.spark, uri)
    finally:
        for holder, name, original in originals:
            setattr(holder, name, original)
    seconds = time.perf_counter() - begin
    added = [file for file in live_files(catalog().load_table((SILVER, table))) if file.uri not in before]
    parts["rest"] = seconds - sum(parts.values())
    return Timed(
        seconds,
        parts.get("of_keys", 0.0),
        parts.get("_merge", 0.0),
        len(added),
        sum(file.bytes for file in added),
        len({file.partition for file in added}),
        {name: round(value, 3) for name, value in parts.items()},
    )


def derive(setting: Setting, table: str, months: dict[str, str], whole: bool) -> float:
    """Seconds of one run of a derived table's job."""
    batch_id = uuid.uuid4().hex
    uri = f"s3://{setting.bucket}/batches/{table}/{batch_id}/{MANIFEST}"
    write_document(uri, MonthsManifest(batch_id, table, setting.version, setting.contracts_uri, "1", months, whole, utc_now()))
    begin = time.perf_counter()
    build_job.run(setting.spark, uri)
    return time.perf_counter() - begin


def _clocked(name: str, call: Callable[..., Any], parts: dict[str, float]) -> Callable[..., Any]:
    def clocked(*arguments: Any, **named: Any) -> Any:
        begin = time.perf_counter()
        try:
            return call(*arguments, **named)
        finally:
            parts[name] = parts.get(name, 0.0) + time.perf_counter() - begin

    return clocked
