"""The tables over bronze are those of the contracts, and describe the files that the converter writes."""

from dataclasses import replace

import pyarrow as pa
import pytest
import yaml

import beer
from convert.parse import schema
from datamaster.aws.pages.bronze_tables import TABLES_A_STACK, TEMPLATE, bronze_table, template, templates
from lake.contract import ContractSet
from lake.keys import bronze_part

CONTRACTS = ContractSet.from_directory(beer.CONTRACTS).tables
HIVE = {
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.string(): "string",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.binary(): "binary",
    pa.list_(pa.string()): "array<string>",
}


def test_the_template_is_what_the_contracts_make():
    assert TEMPLATE.read_text() == template(CONTRACTS.values()), "run python -m datamaster.aws.pages.bronze_tables"


@pytest.mark.parametrize("table", CONTRACTS)
def test_a_table_has_the_columns_of_the_files(table):
    written = schema.RowSchema.of(CONTRACTS[table]).arrow_schema
    described = bronze_table(CONTRACTS[table])["Properties"]["TableInput"]["StorageDescriptor"]["Columns"]

    assert [(column["Name"], column["Type"]) for column in described] == [(field.name, HIVE[field.type]) for field in written]


@pytest.mark.parametrize("table", CONTRACTS)
def test_a_projected_day_is_the_folder_that_the_converter_writes_to(table):
    parameters = bronze_table(CONTRACTS[table])["Properties"]["TableInput"]["Parameters"]
    place = parameters["storage.location.template"]["Fn::Sub"].replace("${LakeBucket}", "lake").replace("${!ingest_date}", "2026-01-31")

    assert f"s3://lake/{bronze_part(table, '2026-01-31', 'f' * 32, 0)}".startswith(place)
    assert parameters["projection.ingest_date.format"] == "yyyy-MM-dd"


def test_a_new_contract_changes_the_template_by_its_table_alone():
    before = yaml.safe_load(template(list(CONTRACTS.values())[:-1]))["Resources"]
    after = yaml.safe_load(template(CONTRACTS.values()))["Resources"]
    assert len(after) == len(before) + 1
    assert {name: after[name] for name in before} == before


def test_five_hundred_contracts_fit_into_stacks_that_cloudformation_takes():
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
    many = [replace(CONTRACTS["beer"], table=f"table_{number:03}") for number in range(500)]

    made = templates(many)

    tables = {name: list(yaml.safe_load(text)["Resources"]) for name, text in made.items()}
    assert {name: len(found) for name, found in tables.items()} == {"bronze-tables": 200, "bronze-tables-2": 200, "bronze-tables-3": 100}
    assert len({table for found in tables.values() for table in found}) == 500
    assert max(len(found) for found in tables.values()) <= TABLES_A_STACK <= 500
    assert max(len(text.encode()) for text in made.values()) < 1_000_000
