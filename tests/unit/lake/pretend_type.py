"""Run with a table of types that has one line more, for a type ``harvest``: each stage knows it, though none was changed."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import pyarrow as pa

CONTRACT = """\
apiVersion: v3.0.2
kind: DataContract
id: cellar
version: 1.0.0
status: active
schema:
  - name: cellar
    physicalName: dm_core.cellar
    customProperties: [{property: partition, value: {column: picked, year: picked_year, month: picked_month, unit: date}}]
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true}
      - {name: picked, physicalType: vintage, logicalType: date, classification: personal}
"""
DAY = "2024-02-29"
LINE = f'{{"id":1,"picked":"{DAY}","operation":"load","cdc_position":"{"0" * 16}-{"0" * 10}-0"}}\n'.encode()


def use(table: str) -> None:
    """Put the module at ``table`` in the place of ``lake.types``; nothing has imported it so far."""
    spec = importlib.util.spec_from_file_location("lake.types", table)
    assert spec is not None
    assert spec.loader is not None
    assert "lake.types" not in sys.modules
    sys.modules["lake.types"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def check() -> None:
    """Take the type through every stage."""
    from convert import parse
    from datamaster.aws.pages.bronze_tables import bronze_table
    from datamaster.aws.pages.types_page import render
    from datamaster.source.value_forms import form_of
    from ingest.normalisers import normaliser
    from jobs.iceberg.tables import iceberg_schema, silver_fields
    from lake.contract import parse_contract

    contract = parse_contract(CONTRACT, "cellar.yaml")
    column = contract.by_name["picked"]
    assert column.type.name == "harvest"
    assert column.type.is_text
    assert normaliser(column)(DAY) == DAY
    schema = parse.RowSchema.of(contract)
    assert schema.arrow_schema.field("picked").type == pa.date32()
    for engine in dict.fromkeys((parse.ENGINE, "fallback")):
        for parser, data in (
            (parse.parser(schema, "json", None, engine), LINE),
            (parse.parser(schema, "csv", ("id", "picked"), engine), f"1,{DAY}\n".encode()),
        ):
            read = parser.parse(data)
            assert [str(day) for day in read.batch["picked"].to_pylist()] == [DAY], (engine, read.rejects)
    assert str(iceberg_schema(silver_fields(contract)).find_field("picked").field_type) == "date"
    columns = bronze_table(contract)["Properties"]["TableInput"]["StorageDescriptor"]["Columns"]
    assert {"Name": "picked", "Type": "date"} in columns
    assert form_of("harvest", "U", -1).name == "harvest"
    assert form_of("unheard_of", "U", -1).contract == "text"
    assert "| harvest, vintage | date |" in render()


if __name__ == "__main__":
    use(sys.argv[1])
    check()
