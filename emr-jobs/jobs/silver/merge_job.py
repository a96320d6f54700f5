"""Spark job: merge the bronze files of one batch into their silver table.

    bronze_to_silver.py --manifest s3://<lake bucket>/batches/<table>/<batch_id>/manifest.json

The job reads only the files of the manifest. It writes touched.json before it changes the table and outcome.json
afterwards. A repeated run is safe at any point, because the same manifest gives the same rows.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from jobs.iceberg import staging
from jobs.iceberg.catalog import SILVER, engine_name, snapshot_id
from jobs.iceberg.partitions import TOMBSTONES, Month
from jobs.iceberg.statements import query
from jobs.iceberg.tables import ensure_silver
from jobs.silver import bronze, changes, counts, gathering, merge, months, quality
from jobs.silver.history import History
from jobs.silver.lineage import Lineage, merged
from lake.contract import Contract, ContractSet
from lake.contract.store import ContractStore
from lake.errors import TerminalError
from lake.keys import split_uri
from lake.manifests import (
    OUTCOME,
    TOUCHED,
    MissingDocument,
    SilverManifest,
    SilverOutcome,
    month_texts,
    months_by_table,
    read_document,
    sibling,
    write_document,
)

logger = logging.getLogger(__name__)
ATTEMPTS = 4
"""Merge attempts before giving up. Other writers, such as an analyst's DELETE in Athena, may commit in between."""


def main(arguments: Sequence[str]) -> None:
    """Run the job by its command line."""
    parser = argparse.ArgumentParser(description="Merge a batch of bronze files into its silver table.")
    parser.add_argument("--manifest", required=True, help="s3:// URI of the batch's manifest.json")
    uri = parser.parse_args(arguments).manifest
    spark = SparkSession.builder.getOrCreate()
    run(spark, uri)


def run(spark: SparkSession, uri: str) -> SilverOutcome:
    """Merge the batch whose manifest is at ``uri`` and write its outcome beside it."""
    manifest = SilverManifest.of(read_document(uri))
    contracts = ContractStore(manifest.contracts_uri).at(manifest.contract_version)
    contract = contracts.table(manifest.table)
    ensure_silver(contract, split_uri(uri)[0])
    batch, folder = Batch(spark, uri, manifest, contracts), uri.rsplit("/", 1)[0]
    try:
        outcome = _merged(batch, bronze.read(spark, contract, manifest.files, folder))
    except TerminalError:
        raise
    except Exception:  # each engine has its own error type for a damaged page
        readable = bronze.read(spark, contract, manifest.files, folder, every_page=True)
        if not readable.failed:
            raise
        outcome = _merged(batch, readable)
    finally:
        gathering.forget(folder)
    write_document(sibling(uri, OUTCOME), outcome)
    return outcome


def _merged(batch: Batch, files: bronze.Bronze) -> SilverOutcome:
    """Merge the files. If another commit to the table caused the failure, merge again."""
    for _ in range(ATTEMPTS - 1):
        seen = snapshot_id(SILVER, batch.contract.table)
        try:
            return batch.merge(files)
        except TerminalError:
            raise
        except Exception:
            if snapshot_id(SILVER, batch.contract.table) == seen:
                raise
            logger.warning("another commit to %s came between: its batch is merged anew", batch.contract.table, exc_info=True)
    return batch.merge(files)


@dataclass(frozen=True)
class Batch:
    """One run over one batch."""

    spark: SparkSession
    uri: str
    manifest: SilverManifest
    contracts: ContractSet

    @property
    def contract(self) -> Contract:
        """The contract of the batch's table."""
        return self.contracts.table(self.manifest.table)

    @property
    def bucket(self) -> str:
        """The lake's bucket."""
        return split_uri(self.uri)[0]

    @property
    def target(self) -> str:
        """The silver table's name in SQL."""
        return engine_name(SILVER, self.contract.table)

    def merge(self, files: bronze.Bronze) -> SilverOutcome:
        """Merge the batch, and retire older generations if the manifest asks for it. touched.json is written before either."""
        delivered = changes.ordered(files.frame, self.manifest.fences)
        checked = quality.guard(self.spark, self.contract, delivered, self.bucket, self.manifest.batch_id, self.manifest.opened_at)
        reads = counts.reads(delivered, self.manifest.opened_at)
        read_until = counts.latest(self.manifest.read_until, reads)
        moved = Lineage(self.spark, self.contract, checked.accepted, read_until).resolved() if self.contract.partial_columns else None
        keys = self._keys(checked.accepted, moved)
        images = months.of_images(checked.accepted, self.contract.partition)
        own = self._own_months(images, keys)
        touched = both(self._touched_before(), self._derived_months(own, keys))
        write_document(sibling(self.uri, TOUCHED), {"months": touched})
        if files.rows:
            self._merge(checked.accepted, moved, own)
        if self.manifest.retires:
            retired = merge.retire_parts(self.target, self.manifest.opened_at, self.manifest.retired_below)
            query(self.spark, "silver/retire", retired).collect()
        if self.contract.history:
            self._keep_history(delivered)
        return SilverOutcome(
            snapshot_id=snapshot_id(SILVER, self.contract.table),
            rows_read=files.rows,
            rows_merged=keys.count(),
            failed_files=files.failed,
            quarantined=checked.quarantined_rows,
            loads=counts.loads(self.spark, self.contract, self.bucket, reads),
            read_until=read_until,
            missing=counts.missing(self.spark, self.contract, own) if files.rows or self.manifest.retires else {},
            without_month=images.get(TOMBSTONES, 0),
            quality=checked.summary(),
            months=both(touched, self._derived_months(own, keys)),
        )

    def _keys(self, accepted: DataFrame, moved: DataFrame | None) -> DataFrame:
        """The keys whose rows may change."""
        names = [c.name for c in self.contract.key]
        keys = accepted.select(*names)
        return (keys.union(moved.select(*names)) if moved is not None else keys).distinct()

    def _own_months(self, images: Iterable[Month], keys: DataFrame) -> set[Month] | None:
        """The months of this table that the batch may write to. None if the table has no partition."""
        partition = self.contract.partition
        if partition is None:
            return None
        found = months.of_keys(self.spark, self.contract, partition, keys) | set(images)
        if self.manifest.retires:
            found |= months.of_retired(self.spark, self.contract.table, partition, self.manifest.retired_below)
        return found

    def _derived_months(self, own: set[Month] | None, keys: DataFrame) -> dict[str, tuple[str, ...]]:
        """The months of each derived table that this batch may change."""
        below = self.manifest.retired_below
        if self.manifest.retires:
            gone = f"cdc_generation < {below} and deleted_at is not null or {merge.retired_condition(below)}"
            keys = keys.union(self.spark.table(self.target).where(gone).select(*keys.columns)).distinct()
        found = months.of_derived(self.spark, self.contracts, self.contract.table, own or set(), keys)
        return {table: month_texts(touched) for table, touched in found.items()}

    def _touched_before(self) -> Mapping[str, tuple[str, ...]]:
        """The months that an earlier run of this batch has named. After its MERGE, months that rows have left are no longer found."""
        try:
            return months_by_table(read_document(sibling(self.uri, TOUCHED)))
        except MissingDocument:
            return {}

    def _merge(self, accepted: DataFrame, moved: DataFrame | None, own: set[Month] | None) -> None:
        folded = changes.fold(self.spark, accepted, self.contract)
        if moved is not None:
            folded = merged(folded, moved, self.contract)
        rows = staging.source(changes.with_month(folded, self.contract.partition), f"{self.contract.table}_folded", self.bucket)
        parts = merge.merge_parts(self.target, self.contract, own, self.manifest.opened_at, self.manifest.retired_below)
        query(self.spark, "silver/merge", parts, folded=rows).collect()

    def _keep_history(self, delivered: DataFrame) -> None:
        """Derive the history of the batch's keys, and of those that this run retires."""
        below = self.manifest.retired_below
        keys = delivered.select(*(c.name for c in self.contract.key))
        if self.manifest.retires:
            old = self.spark.table(self.target).where(f"cdc_generation >= 0 and cdc_generation < {below}")
            keys = keys.union(old.select(*keys.columns))
        History(self.spark, self.contract, self.bucket, below).keep(delivered, keys.distinct())


def both(before: Mapping[str, Iterable[str]], now: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """The union of two runs' months, for each derived table."""
    return {table: tuple(sorted({*before.get(table, ()), *now.get(table, ())})) for table in before.keys() | now.keys()}
