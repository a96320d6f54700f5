"""Spark job: rebuild months of review_flat from the live rows of the four silver tables.

    review_flat.py --manifest s3://<lake bucket>/batches/review_flat/<batch_id>/manifest.json

Every month is written whole, all of them in one commit; a month without live reviews disappears.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pyspark.sql import SparkSession

from jobs.derived import flat
from jobs.derived.rebuild import Derived, months_condition
from jobs.iceberg.catalog import SILVER, exists
from jobs.iceberg.tables import ensure
from lake.keys import silver_location, split_uri
from lake.manifests import MonthsManifest, read_document


def main(arguments: Sequence[str]) -> None:
    """Run the job by its command line."""
    parser = argparse.ArgumentParser(description="Rebuild months of review_flat.")
    parser.add_argument("--manifest", required=True, help="s3:// URI of the batch's manifest.json")
    run(SparkSession.builder.getOrCreate(), parser.parse_args(arguments).manifest)


def run(spark: SparkSession, uri: str) -> None:
    """Rebuild the months that the manifest at ``uri`` names."""
    manifest = MonthsManifest.of(read_document(uri))
    ensure(SILVER, flat.TABLE, flat.FIELDS, flat.PARTITION, silver_location(split_uri(uri)[0], flat.TABLE))
    present = [dimension for dimension in flat.DIMENSIONS if exists(SILVER, dimension)]
    rows = spark.sql(flat.query(months_condition(flat.PARTITION, manifest, "r."), present))
    Derived(SILVER, flat.TABLE, flat.PARTITION).rebuild(rows, manifest, uri)
