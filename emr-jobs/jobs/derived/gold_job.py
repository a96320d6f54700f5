"""Spark job: rebuild months of one gold table from review_flat.

    silver_to_gold.py --manifest s3://<lake bucket>/batches/<gold table>/<batch_id>/manifest.json

The table's SQL sees whole months only, so running twice changes nothing and a filter over a month sees all of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pyspark.sql import SparkSession

from gold import gold_tables
from jobs.derived import flat
from jobs.derived.rebuild import Derived, months_condition
from jobs.iceberg.catalog import GOLD, SILVER, engine_name
from jobs.iceberg.tables import ensure_derived, fields_of
from lake.errors import TerminalError
from lake.keys import gold_location, split_uri
from lake.manifests import MonthsManifest, read_document


class UnknownGoldTable(TerminalError):
    """The manifest names a table that has no SQL file."""


def main(arguments: Sequence[str]) -> None:
    """Run the job by its command line."""
    parser = argparse.ArgumentParser(description="Rebuild months of a gold table.")
    parser.add_argument("--manifest", required=True, help="s3:// URI of the batch's manifest.json")
    run(SparkSession.builder.getOrCreate(), parser.parse_args(arguments).manifest)


def run(spark: SparkSession, uri: str) -> None:
    """Rebuild the months that the manifest at ``uri`` names."""
    manifest = MonthsManifest.of(read_document(uri))
    known = gold_tables()
    if manifest.table not in known:
        raise UnknownGoldTable(f"no gold/{manifest.table}.sql; known: {', '.join(known)}")
    table = known[manifest.table]
    source = spark.table(engine_name(SILVER, flat.TABLE)).where(months_condition(flat.PARTITION, manifest))
    source.createOrReplaceTempView(flat.TABLE)
    rows = spark.sql(table.sql)
    ensure_derived(GOLD, table.name, fields_of(rows), table.partition, gold_location(split_uri(uri)[0], table.name))
    Derived(GOLD, table.name, table.partition).rebuild(rows, manifest, uri)
