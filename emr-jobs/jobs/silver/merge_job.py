"""Spark job: merge the bronze files of one batch into their silver table.

    bronze_to_silver.py --manifest s3://<lake bucket>/batches/<table>/<batch_id>/manifest.json

The job reads only the files of the manifest. It writes touched.json before it changes the table and outcome.json
afterwards. A repeated run is safe at any point, because the same manifest gives the same rows.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr

from jobs.iceberg import staging
from jobs.iceberg.catalog import SILVER, engine_name, snapshot_id
from jobs.iceberg.tables import LOADED_BY, MISSING, ensure_silver
from jobs.silver import bronze, changes, gathering, merge, months, quality
from jobs.silver.history import History
from jobs.silver.lineage import Lineage, merged
from jobs.silver.merge import TOMBSTONES, Month
from lake import cdc
from lake.contract import ContractSet
from lake.contract.store import ContractStore
from lake.control.target_items import WHOLE
from lake.errors import TerminalError
from lake.keys import quarantine_uri, split_uri
from lake.manifests import (
    OUTCOME,
    TOUCHED,
    MissingDocument,
    SilverManifest,
    SilverOutcome,
    month_text,
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


class Read(NamedTuple):
    """The time until which a batch's rows of a generation were read (microseconds since 1970), and whether a load read them."""

    generation: int
    until: int
    is_load: bool


class Batch:
    """One run over one batch's readable files."""

    def __init__(self, spark: SparkSession, uri: str, manifest: SilverManifest, contracts: ContractSet) -> None:
        self.spark = spark
        self.uri = uri
        self.manifest = manifest
        self.contracts = contracts
        self.contract = contracts.table(manifest.table)
        self.target = engine_name(SILVER, self.contract.table)
        self.without_month = 0

    def merge(self, files: bronze.Bronze) -> SilverOutcome:
        """Merge the batch, and retire older generations if the manifest asks for it. touched.json is written before either."""
        delivered = changes.ordered(files.frame, self.manifest.fences)
        checked = self._checked(delivered)
        ordered = checked.accepted
        reads = self._reads(delivered)
        read_until = latest(self.manifest.read_until, reads)
        resolved = Lineage(self.spark, self.contract, ordered, read_until).resolved() if self.contract.partial_columns else None
        keys = self._keys(ordered, resolved)
        own = self._own_months(ordered, keys)
        touched = both(self._touched_before(), self._derived_months(own, keys))
        write_document(sibling(self.uri, TOUCHED), {"months": touched})
        if files.rows:
            self._merge(ordered, resolved, own)
        if self.manifest.retires:
            self.spark.sql(merge.retire_statement(self.target, self.manifest.opened_at, self.manifest.retired_below)).collect()
        if self.contract.history:
            self._keep_history(delivered)
        return SilverOutcome(
            snapshot_id=snapshot_id(SILVER, self.contract.table),
            rows_read=files.rows,
            rows_merged=keys.count(),
            failed_files=files.failed,
            quarantined=checked.quarantined_rows,
            loads=self._loads(reads),
            read_until=read_until,
            missing=self._missing(own) if files.rows or self.manifest.retires else {},
            without_month=self.without_month,
            quality=checked.summary(),
            months=both(touched, self._derived_months(own, keys)),
        )

    def _loads(self, reads: list[Read]) -> dict[str, int]:
        """The number of keys that each load has brought so far, by generation, for the loads with rows in this batch.

        plan compares them with the count that the source reported. Keys are counted instead of rows, because a row may be
        delivered twice and a file merged twice. A key that a quality rule holds back counts too, though silver lacks it.
        """
        generations = sorted(str(read.generation) for read in reads if read.is_load)
        if not generations:
            return {}
        key, own = [f"`{c.name}`" for c in self.contract.key], f"({', '.join(generations)})"
        brought = self.spark.table(self.target).where(f"{LOADED_BY} in {own}").selectExpr(*key, f"{LOADED_BY} as {changes.GENERATION}")
        held = quality.held_loads(self.spark, self.contract, split_uri(self.uri)[0])
        if held is not None:
            brought = brought.unionByName(held.where(f"{changes.GENERATION} in {own}")).distinct()
        return {str(generation): int(keys) for generation, keys in brought.groupBy(changes.GENERATION).count().collect()}

    def _missing(self, own: set[Month] | None) -> dict[str, dict[str, int]]:
        """The rows that ``cdc_missing`` names columns of, by month and by those columns; ``WHOLE`` if every month was counted."""
        if not self.contract.partial_columns or not (own is None or own):
            return {}
        rows, partition = self.spark.table(self.target).where(f"{MISSING} is not null"), self.contract.partition
        counted: dict[str, dict[str, int]] = {WHOLE: {}}
        if own is not None and partition is not None and len(own) <= merge.NAMED_MONTHS_LIMIT:
            rows = rows.where(merge.months_predicate(partition, own, ""))
            counted = {month_text(*month): {} for month in own}
        month = (f"`{partition.year_field}` as year", f"`{partition.month_field}` as month") if partition else ("0 as year", "0 as month")
        for year, number, columns, count in rows.selectExpr(*month, MISSING).groupBy("year", "month", MISSING).count().collect():
            counted.setdefault(month_text(year, number) if partition else WHOLE, {})[columns] = int(count)
        return counted

    def _reads(self, delivered: DataFrame) -> list[Read]:
        """The rows that loads and exports read, by generation.

        A load's row was read before its message was built. An export's row was read before the batch with its file was opened.
        """
        opened = int(self.manifest.opened_at.timestamp()) * 1_000_000 + self.manifest.opened_at.microsecond
        until = f"max(case when {changes.LOADED} then unix_micros({changes.VALID_AT}) else {opened} end)"
        read = delivered.where(f"{cdc.OPERATION} = '{cdc.LOAD}' and {changes.GENERATION} >= 0").groupBy(changes.GENERATION)
        return [Read(*row) for row in read.agg(expr(until), expr(f"bool_or({changes.LOADED})")).collect()]

    def _touched_before(self) -> Mapping[str, tuple[str, ...]]:
        """The months that an earlier run of this batch has named. After its MERGE, months that rows have left are no longer found."""
        try:
            return months_by_table(read_document(sibling(self.uri, TOUCHED)))
        except MissingDocument:
            return {}

    def _keep_history(self, delivered: DataFrame) -> None:
        """Derive the history of the batch's keys, and of those that this run retires."""
        below = self.manifest.retired_below
        keys = delivered.select(*(c.name for c in self.contract.key))
        if self.manifest.retires:
            old = self.spark.table(self.target).where(f"cdc_generation >= 0 and cdc_generation < {below}")
            keys = keys.union(old.select(*keys.columns))
        History(self.spark, self.contract, split_uri(self.uri)[0], below).keep(delivered, keys.distinct())

    def _checked(self, ordered: DataFrame) -> quality.Checked:
        """The changes that follow the contract's rules. The others go to the quarantine. Raises ``quality.TableStopped``."""
        checked = quality.check(self.spark, self.contract, ordered)
        bucket = split_uri(self.uri)[0]
        quality.keep(self.contract, bucket, self.manifest.batch_id, self.manifest.opened_at, checked.results)
        if checked.stopping:
            raise quality.TableStopped(self.contract.table, checked.stopping)
        if checked.quarantined is not None:
            checked.quarantined.write.mode("overwrite").parquet(quarantine_uri(bucket, self.contract.table, self.manifest.batch_id))
        return checked

    def _keys(self, ordered: DataFrame, resolved: DataFrame | None) -> DataFrame:
        """The keys whose rows may change."""
        names = [c.name for c in self.contract.key]
        keys = ordered.select(*names)
        return (keys.union(resolved.select(*names)) if resolved is not None else keys).distinct()

    def _merge(self, ordered: DataFrame, resolved: DataFrame | None, own: set[Month] | None) -> None:
        folded = changes.fold(self.spark, ordered, self.contract)
        if resolved is not None:
            folded = merged(folded, resolved, self.contract)
        rows = changes.with_month(folded, self.contract.partition)
        source = staging.source(rows, f"{self.contract.table}_folded", split_uri(self.uri)[0])
        manifest = self.manifest
        statement = merge.statement(self.target, source, self.contract, own, manifest.opened_at, manifest.retired_below)
        self.spark.sql(statement).collect()

    def _own_months(self, ordered: DataFrame, keys: DataFrame) -> set[Month] | None:
        """The months of this table that the batch may write to. None if the table has no partition."""
        partition = self.contract.partition
        if partition is None:
            return None
        images = months.of_images(ordered, partition)
        self.without_month = images.get(TOMBSTONES, 0)
        found = months.of_keys(self.spark, self.contract, partition, keys) | images.keys()
        if self.manifest.retires:
            found |= months.of_retired(self.spark, self.contract.table, partition, self.manifest.retired_below)
        return found

    def _derived_months(self, own: set[Month] | None, keys: DataFrame) -> dict[str, tuple[str, ...]]:
        """The months of each derived table that this batch may change."""
        if self.manifest.retires:
            retired = self.spark.table(self.target).where(
                f"cdc_generation < {self.manifest.retired_below} and deleted_at is not null or "
                + merge.retired_condition(self.manifest.retired_below)
            )
            keys = keys.union(retired.select(*keys.columns)).distinct()
        found = months.of_derived(self.spark, self.contracts, self.contract.table, own or set(), keys)
        return {table: month_texts(touched) for table, touched in found.items()}


def both(before: Mapping[str, Iterable[str]], now: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """The union of two runs' months, for each derived table."""
    return {table: tuple(sorted({*before.get(table, ()), *now.get(table, ())})) for table in before.keys() | now.keys()}


def latest(known: Mapping[str, int], reads: Iterable[Read]) -> dict[str, int]:
    """The time until which the rows of each generation were read, including this batch's reads."""
    found = {str(read.generation): max(read.until, known.get(str(read.generation), 0)) for read in reads}
    return {**known, **found}
