"""Contracts written from a real catalog are contracts that the lake accepts."""

from __future__ import annotations

import pytest

from beer import CONTRACTS
from beer.generate import create_schema
from datamaster.source.introspect import contract_yaml
from datamaster.source.pg_catalog import UnknownSourceTable
from lake.contract.reader import parse_contract

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("table", ["brewery", "beer", "profile", "review"])
def test_the_project_s_own_tables_come_out_as_their_contracts_have_them(database, table):
    create_schema(database.dsn)
    kept = parse_contract((CONTRACTS / f"{table}.yaml").read_text(), table)

    written = parse_contract(contract_yaml(database.dsn, f"dm_core.{table}", references=True), table)

    def shape(contract):
        return [(c.name, c.type.name, c.type.length, c.required, c.key, c.reference) for c in contract.columns]

    assert shape(written) == shape(kept)
    assert (written.source_schema, written.source_table) == ("dm_core", table)


def test_types_are_spelled_as_contracts_spell_them(database):
    database.run("CREATE TYPE mood AS ENUM ('merry'); CREATE DOMAIN cents AS numeric(12,2); CREATE SCHEMA shop")
    database.run(
        "CREATE TABLE shop.order_line (line int, order_id uuid, price cents, rough numeric, tags text[], moods mood[], mood mood,"
        " at timestamptz(3), local timestamp, name varchar(40), code char(3), paid boolean, doc jsonb, raw bytea,"
        " opens time NOT NULL, PRIMARY KEY (order_id, line));"
        "COMMENT ON TABLE shop.order_line IS 'One line of an order.'; COMMENT ON COLUMN shop.order_line.name IS 'What is sold.'"
    )

    text = contract_yaml(database.dsn, "shop.order_line")

    contract = parse_contract(text, "order_line.yaml")
    spelled = {column.name: column.type.spelling for column in contract.columns}
    assert spelled == {
        "line": "integer",
        "order_id": "uuid",
        "price": "numeric(12,2)",
        "rough": "text",
        "tags": "text[]",
        "moods": "text[]",
        "mood": "enum",
        "at": "timestamptz",
        "local": "timestamp",
        "name": "varchar(40)",
        "code": "character(3)",
        "paid": "boolean",
        "doc": "jsonb",
        "raw": "bytea",
        "opens": "text",
    }
    assert [column.name for column in contract.key] == ["order_id", "line"]
    assert contract.description == "One line of an order."
    assert "numeric(p, s) here makes it a number" in contract.by_name["rough"].description
    assert contract.by_name["opens"].required
    assert contract.by_name["opens"].description == "time without time zone in the source, carried as its text."


def test_a_column_whose_name_the_lake_keeps_gets_another_and_is_still_found_in_the_source(database):
    database.run('CREATE TABLE public.visit (id int PRIMARY KEY, created_at timestamptz, "Opened By" text)')

    contract = parse_contract(contract_yaml(database.dsn, "public.visit"), "visit.yaml")

    names = {column.name: column.source_name for column in contract.columns}
    assert names == {"id": "id", "source_created_at": "created_at", "opened_by": "Opened By"}


def test_columns_that_fold_together_and_a_table_with_a_dot_in_its_name_are_found_in_the_source(database):
    database.run('CREATE SCHEMA IF NOT EXISTS shop; CREATE TABLE shop."v1.prices" (id int PRIMARY KEY, "User Id" int, user_id int)')

    contract = parse_contract(contract_yaml(database.dsn, "shop.v1.prices"), "prices.yaml")

    assert (contract.table, contract.source_schema, contract.source_table) == ("v1_prices", "shop", "v1.prices")
    assert {column.name: column.source_name for column in contract.columns} == {"id": "id", "user_id_2": "User Id", "user_id": "user_id"}


def test_references_are_written_only_when_asked_for(database):
    create_schema(database.dsn)

    assert "relationships" not in contract_yaml(database.dsn, "dm_core.review")


def test_a_table_without_a_key_is_exported_whole_and_one_with_a_unique_identity_has_that_key(database):
    database.run("CREATE TABLE loose (n int); CREATE TABLE told (a int, b int NOT NULL, UNIQUE (b))")
    database.run("ALTER TABLE told REPLICA IDENTITY USING INDEX told_b_key")

    loose, told = (parse_contract(contract_yaml(database.dsn, f"public.{name}"), name) for name in ("loose", "told"))

    assert (loose.cdc, loose.is_keyless, [c.name for c in loose.columns]) == (False, True, ["n", "cdc_row"])
    assert (told.cdc, told.is_keyless, [c.name for c in told.key]) == (True, False, ["b"])


def test_a_missing_table_and_a_name_without_schema_are_clear_errors(database):
    with pytest.raises(UnknownSourceTable, match=r'no table "public\.gone"'):
        contract_yaml(database.dsn, "public.gone")
    with pytest.raises(UnknownSourceTable, match=r"expected schema\.table"):
        contract_yaml(database.dsn, "loose")
