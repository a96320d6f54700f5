"""Spark job: rebuild months of one derived table from its sources, by its SQL file.

    review_flat.py or silver_to_gold.py --manifest s3://<lake bucket>/batches/<table>/<batch_id>/manifest.json

The SQL sees whole months only. A second run therefore changes nothing, and a filter over a month sees all of it. All
months are written in one commit. A month without rows disappears.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession

from jobs.derived.rebuild import Derived, months_of
from jobs.iceberg.catalog import GOLD, SILVER, engine_name, exists
from jobs.iceberg.tables import ensure_derived, fields_of, silver_fields
from lake.contract import ContractSet, DerivedTable
from lake.contract.store import ContractStore
from lake.errors import TerminalError
from lake.keys import gold_location, silver_location, split_uri
from lake.manifests import MonthsManifest, read_document

PLACES = {"silver": (SILVER, silver_location), "gold": (GOLD, gold_location)}


class UnknownDerivedTable(TerminalError):
    """The manifest names a table that has no SQL file among the contracts."""


class MonthsNotSelected(TerminalError):
    """The SQL of a derived table does not select the table's year and month columns."""


def main(arguments: Sequence[str]) -> None:
    """Run the job by its command line."""
    parser = argparse.ArgumentParser(description="Rebuild months of a derived table.")
    parser.add_argument("--manifest", required=True, help="s3:// URI of the batch's manifest.json")
    run(SparkSession.builder.getOrCreate(), parser.parse_args(arguments).manifest)


def run(spark: SparkSession, uri: str) -> None:
    """Rebuild the months that the manifest at ``uri`` names. Rebuild all of them if the table is empty."""
    manifest = MonthsManifest.of(read_document(uri))
    contracts = ContractStore(manifest.contracts_uri).at(manifest.contract_version)
    if manifest.table not in contracts.derived:
        raise UnknownDerivedTable(f"no derived/{manifest.table}.sql in the contracts; known: {', '.join(contracts.derived) or 'none'}")
    table = contracts.derived[manifest.table]
    database, location = PLACES[table.layer]
    rows = _rows(spark, contracts, table, manifest)
    made = ensure_derived(database, table.name, fields_of(rows), table.partition, location(split_uri(uri)[0], table.name))
    if made.current_snapshot() is None and not manifest.whole:
        manifest = replace(manifest, whole=True)
        rows = _rows(spark, contracts, table, manifest)
    Derived(database, table.name, table.partition).rebuild(rows, manifest, uri)


def _rows(spark: SparkSession, contracts: ContractSet, table: DerivedTable, manifest: MonthsManifest) -> DataFrame:
    """The rows of the manifest's months."""
    months = months_of(contracts.months_of(table.fact), manifest)
    rows_of = {name: _source(spark, contracts, name, months if name == table.fact else "true") for name in table.sources}
    named = ", ".join(f"`{name}` as (select * from {{rows_of_{name}}})" for name in rows_of)
    # the table's SQL may begin with names of its own, which parentheses allow, and end with a comment
    sql = table.sql.replace("{", "{{").replace("}", "}}")
    frames = {f"rows_of_{name}": source for name, source in rows_of.items()}
    # Spark's writers analyse the statement once more, when its names are gone; the selection holds what they stood for
    rows = spark.sql(f"with {named} select * from (\n{sql}\n)", None, **frames).select("*")
    missing = [column for column in table.partition if column not in rows.columns]
    if missing:
        raise MonthsNotSelected(f'derived/{table.name}.sql selects no column "{missing[0]}", which its partition names')
    return rows


def _source(spark: SparkSession, contracts: ContractSet, source: str, months: str) -> DataFrame:
    """A source's rows that meet the condition on months. A contract's table gives its live rows, or none before it exists."""
    if source in contracts.derived:
        return spark.table(engine_name(SILVER, source)).where(months)
    if not exists(SILVER, source):
        nothing = ", ".join(f"cast(NULL as {field.engine_type}) as `{field.name}`" for field in silver_fields(contracts.table(source)))
        return spark.sql(f"SELECT {nothing} WHERE false")
    return spark.table(engine_name(SILVER, source)).where(f"deleted_at is null and ({months})")
