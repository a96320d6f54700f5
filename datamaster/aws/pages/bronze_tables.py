"""The Glue tables over bronze, generated from the contracts. ``python -m datamaster.aws.pages.bronze_tables`` writes the template.

Their only partition is the day of arrival. It is projected, so days need no registration and a query that names days only lists those
(https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html). The file's id is the folder below the day. It is not a partition,
because a projection needs a range. Athena reads subfolders too, and ``"$path"`` shows a row's file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from datamaster.project import PROJECT, demo_contracts
from lake.cdc import CDC_TYPES, UNCHANGED
from lake.contract import Contract, ContractSet
from lake.types import ColumnType

STACK = "bronze-tables"
TEMPLATE = PROJECT / "templates" / f"{STACK}.yaml"
TABLES_A_STACK = 200
FIRST_DAY = "2026-01-01"
"""No lake has a file of an earlier day. Athena lists a prefix for each day of a query without a day."""
EXTRA = "_extra"
HEAD = """# Written by python -m datamaster.aws.pages.bronze_tables from examples/beer/contracts/; a test holds it to them.
AWSTemplateFormatVersion: "2010-09-09"
Description: Data Master - tables over the bronze files, a partition for each day of arrival, projected.
"""


def bronze_table(contract: Contract) -> dict[str, Any]:
    """The CloudFormation resource of a contract's bronze table."""
    columns = [(column.name, column.type.sql) for column in contract.columns]
    columns += [(name, "array<string>" if name == UNCHANGED else ColumnType.parse(kind).sql) for name, kind in CDC_TYPES.items()]
    columns.append((EXTRA, "string"))
    place = f"s3://${{LakeBucket}}/bronze/{contract.table}"
    return {
        "Type": "AWS::Glue::Table",
        "Properties": {
            "CatalogId": {"Ref": "AWS::AccountId"},
            "DatabaseName": {"Ref": "BronzeDatabase"},
            "TableInput": {
                "Name": contract.table,
                "Description": "Files as they arrived, masked: every change once or more, in no order.",
                "TableType": "EXTERNAL_TABLE",
                "PartitionKeys": [{"Name": "ingest_date", "Type": "date"}],
                "Parameters": {
                    "classification": "parquet",
                    "projection.enabled": "true",
                    "projection.ingest_date.type": "date",
                    "projection.ingest_date.format": "yyyy-MM-dd",
                    "projection.ingest_date.range": f"{FIRST_DAY},NOW+1DAYS",
                    "storage.location.template": {"Fn::Sub": f"{place}/ingest_date=${{!ingest_date}}/"},
                },
                "StorageDescriptor": {
                    "Location": {"Fn::Sub": f"{place}/"},
                    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
                    "Columns": [{"Name": name, "Type": kind} for name, kind in columns],
                },
            },
        },
    }


def template(contracts: Iterable[Contract]) -> str:
    """The whole template, with a table for each contract."""
    parameters = {"LakeBucket": {"Type": "String"}, "BronzeDatabase": {"Type": "String"}}
    tables = {_logical(contract.table): bronze_table(contract) for contract in sorted(contracts, key=lambda one: one.table)}
    body = yaml.safe_dump({"Parameters": parameters, "Resources": tables}, sort_keys=False, width=140)
    return f"{HEAD}{body}"


def templates(contracts: Iterable[Contract]) -> dict[str, str]:
    """The templates by the name of their stack. CloudFormation takes 500 resources and 1 MB in each."""
    ordered = sorted(contracts, key=lambda one: one.table)
    chunks = [ordered[first : first + TABLES_A_STACK] for first in range(0, len(ordered), TABLES_A_STACK)] or [[]]
    return {STACK if number == 1 else f"{STACK}-{number}": template(chunk) for number, chunk in enumerate(chunks, 1)}


def _logical(table: str) -> str:
    return "".join(part.capitalize() for part in table.split("_"))


def main() -> None:
    """Write the templates and the configuration of every stack but the first. Delete files of stacks that are no longer needed."""
    made = templates(ContractSet.from_directory(demo_contracts()).tables.values())
    config = PROJECT / "config"
    for folder in (TEMPLATE.parent, config):
        for stale in folder.glob(f"{STACK}-*.yaml"):
            stale.unlink()
    for name, text in made.items():
        (TEMPLATE.parent / f"{name}.yaml").write_text(text)
        if name != STACK:
            (config / f"{name}.yaml").write_text((config / f"{STACK}.yaml").read_text().replace(f"{STACK}.yaml", f"{name}.yaml", 1))


if __name__ == "__main__":
    main()
