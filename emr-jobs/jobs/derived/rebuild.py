"""Replaces whole months of a derived table in one commit."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - pyspark's own idiom

from jobs.iceberg.catalog import engine_name, snapshot_id
from jobs.iceberg.partitions import months_condition
from lake.control.target_items import WHOLE
from lake.manifests import OUTCOME, MonthsManifest, month_pair, month_text, sibling, write_document


def months_of(partition: tuple[str, str], manifest: MonthsManifest) -> str:
    """The condition for the manifest's months. True for the whole table."""
    return "true" if manifest.whole else months_condition(partition, {month_pair(text) for text in manifest.months})


@dataclass(frozen=True)
class Derived:
    """A table whose months can be computed again. ``partition`` names its year and month columns."""

    database: str
    table: str
    partition: tuple[str, str]

    def rebuild(self, rows: DataFrame, manifest: MonthsManifest, manifest_uri: str) -> None:
        """Replace the manifest's months by ``rows`` in one commit, and write the outcome beside the manifest."""
        everything = f"{self.partition[0]} is not null"
        condition = everything if manifest.whole else months_of(self.partition, manifest)
        name = engine_name(self.database, self.table)
        months = (set(manifest.months) - {WHOLE}) | (self._present(rows) if manifest.whole else set())
        rows.writeTo(name).overwrite(F.expr(condition))
        months |= self._present(rows) if manifest.whole else set()
        outcome = {"snapshot_id": snapshot_id(self.database, self.table), "months": sorted(months)}
        write_document(sibling(manifest_uri, OUTCOME), outcome)

    def _present(self, rows: DataFrame) -> set[str]:
        """The months that the table holds now."""
        months = rows.sparkSession.table(engine_name(self.database, self.table)).select(*self.partition).distinct().collect()
        return {month_text(year, month) for year, month in months}
