"""Verify on the values that databases hold and lakes do not: it names tables, keys and columns, and compares all the rest."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest
import yaml

from datamaster.laptop import postgres
from datamaster.platform.query import QueryFailed
from datamaster.verify import compare_lake
from datamaster.verify.report import ROW, TABLE
from lake.contract import ContractSet

pytestmark = pytest.mark.integration
KEY = {"name": "id", "physicalType": "integer", "primaryKey": True}
HOSTILE = """
CREATE SCHEMA shop;
CREATE TABLE shop.m (id int PRIMARY KEY, d float8, n numeric(10,2), u numeric);
INSERT INTO shop.m VALUES (1, 'NaN', 'NaN', 0.123456789), (2, 1, 1, 1), (3, '-Infinity', 2, 19.90);
CREATE TABLE shop.calendar (id int PRIMARY KEY, d date, ts timestamp);
INSERT INTO shop.calendar VALUES (1, 'infinity', '-infinity'), (2, '0044-03-15 BC', '0044-03-15 BC'),
    (3, '10000-01-01', '294276-12-31 23:59:59.999999'), (4, '0001-01-01', '9999-12-31 23:59:59.999999');
CREATE TABLE shop.p (id int PRIMARY KEY, t bigint);
INSERT INTO shop.p VALUES (1, -1), (2, NULL), (3, 253402300799), (4, 253402300800), (5, 9223372036854775807), (6, -62135596801);
CREATE TABLE shop.base (id int PRIMARY KEY);
CREATE TABLE shop.child () INHERITS (shop.base);
INSERT INTO shop.base VALUES (1); INSERT INTO shop.child VALUES (2);
CREATE TABLE shop.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE shop.part PARTITION OF shop.parted FOR VALUES FROM (0) TO (10);
INSERT INTO shop.parted VALUES (1);
CREATE TABLE shop.narrow (id int PRIMARY KEY, kept int);
INSERT INTO shop.narrow VALUES (1, 10);
"""
RIGHT = {
    "m": 'id,d,n,u,deleted_at\n"2","1.0","1.00","1.0000000000",\n"3","-Infinity","2.00","19.9000000000",\n',
    "calendar": 'id,d,ts,deleted_at\n"4","0001-01-01","9999-12-31 23:59:59.999999 UTC",\n',
    "p": 'id,t,y,m,deleted_at\n"1","-1","1969","12",\n"2",,"0","0",\n"3","253402300799","9999","12",\n"4","253402300800","0","0",\n'
    '"5","9223372036854775807","0","0",\n"6","-62135596801","0","0",\n',
    "base": 'id,deleted_at\n"1",\n',
    "parted": 'id,deleted_at\n"1",\n',
    "narrow": 'id,kept,lost,deleted_at\n"1","10","7",\n',
}


def contract(table: str, *columns: tuple[str, str], **custom: object) -> str:
    schema = {"name": table, "physicalName": f"shop.{table}", "properties": [KEY, *({"name": n, "physicalType": t} for n, t in columns)]}
    schema["customProperties"] = [{"property": name, "value": value} for name, value in custom.items()]
    return yaml.safe_dump({"apiVersion": "v3.0.2", "kind": "DataContract", "version": "1.0.0", "schema": [schema]})


CONTRACTS = {
    "m": contract("m", ("d", "double"), ("n", "numeric(10,2)"), ("u", "numeric(38,10)")),
    "calendar": contract("calendar", ("d", "date"), ("ts", "timestamp")),
    "p": contract("p", ("t", "bigint"), partition={"column": "t", "year": "y", "month": "m"}),
    "base": contract("base"),
    "parted": contract("parted"),
    "narrow": contract("narrow", ("kept", "integer"), ("lost", "integer")),
    "gone": contract("gone"),
}


class Lake:
    """What Athena hands out of each silver table: its CSV."""

    def __init__(self, tables: dict[str, str]) -> None:
        self.tables = tables

    def download(self, statement: str, path: Path) -> None:
        name = statement.split("dm_silver.")[1].strip('"')
        if name not in self.tables:
            raise QueryFailed(f"TABLE_NOT_FOUND: table dm_silver.{name} does not exist")
        path.write_text(self.tables[name])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("postgres") / "data"
    with postgres.start(data) as running:
        connection = psycopg2.connect(running.dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(HOSTILE)
            cursor.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
            cursor.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
        connection.close()
        yield running
    postgres.forget_data(data)


def compared(dsn: str, tables: dict[str, str], *names: str):
    contracts = ContractSet.of({f"{name}.yaml": CONTRACTS[name] for name in names})
    report = compare_lake(dsn, Lake(tables), contracts, None, bytes(32), lambda _text: None)
    return report, {table.table.removeprefix("dm_silver."): table for table in report.tables}


def test_a_value_that_its_type_cannot_hold_is_a_missing_row_and_no_trace(server):
    report, tables = compared(server.dsn, RIGHT, "m", "calendar")
    assert {name: dict(table.counts) for name, table in tables.items()} == {"m": {ROW: 1}, "calendar": {ROW: 3}}
    assert [difference.key for difference in tables["calendar"].first] == ["id 1", "id 2", "id 3"]
    assert (report.exit_code, report.trouble) == (1, 0)


@pytest.mark.parametrize(
    ("table", "row", "column", "expected"),
    [
        ("m", '"1","NaN",,"0.1234567890",', "n", "NaN"),
        ("m", '"1","NaN","0.00","0.1234570000",', "u", "0.1234567890"),
        ("calendar", '"2","0044-03-15","0044-03-15 00:00:00 UTC",', "d", "0044-03-15 BC"),
        ("calendar", '"3","9999-12-31","9999-12-31 23:59:59 UTC",', "ts", "294276-12-31 23:59:59.999999"),
    ],
)
def test_a_value_that_became_another_is_shown_as_the_source_wrote_it(server, table, row, column, expected):
    _, tables = compared(server.dsn, {table: RIGHT[table] + row + "\n"}, table)
    shown = {difference.column: difference.expected for difference in tables[table].first}
    assert shown[column] == expected


def test_more_digits_than_the_lake_has_are_a_difference(server):
    table = CONTRACTS["m"].replace("numeric(38,10)", "numeric(10,4)")
    contracts = ContractSet.of({"m.yaml": table})
    report = compare_lake(server.dsn, Lake({"m": RIGHT["m"] + '"1","NaN",,"0.1235",\n'}), contracts, None, bytes(32), lambda _text: None)
    shown = {difference.column: (difference.expected, difference.got) for difference in report.tables[0].first}
    assert shown["u"] == ("0.123456789", "0.1235")


def test_a_month_that_the_calendar_lacks_is_no_month(server):
    report, tables = compared(server.dsn, RIGHT, "p")
    assert (report.exit_code, tables["p"].counts) == (0, {})
    wrapped = RIGHT["p"].replace('"9223372036854775807","0","0"', '"9223372036854775807","1969","12"')
    assert compared(server.dsn, {"p": wrapped}, "p")[1]["p"].counts == {"y": 1, "m": 1}


def test_rows_of_a_table_are_its_own_and_its_partitions_not_those_of_its_heirs(server):
    report, _ = compared(server.dsn, RIGHT, "base", "parted")
    assert report.exit_code == 0


def test_a_table_or_column_that_the_source_lost_is_said_and_the_rest_is_compared(server):
    report, tables = compared(server.dsn, RIGHT | {"gone": "id,deleted_at\n"}, "base", "gone", "narrow")
    assert report.exit_code == 3
    assert tables["gone"].trouble == ('the source has no table "shop.gone" any more',)
    assert 'no column "lost"' in tables["narrow"].trouble[0]
    assert (tables["base"].trouble, tables["narrow"].expected_rows) == ((), 1)
    assert report.as_dict()["undecided_tables"] == 2
    kept = RIGHT["narrow"].replace("10", "11")
    assert compared(server.dsn, {"narrow": kept}, "narrow")[1]["narrow"].counts == {"kept": 1}


def test_a_table_that_the_user_may_not_read_ends_no_other_comparison(server):
    with psycopg2.connect(server.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA shop TO reader; GRANT SELECT ON shop.parted TO reader")
    connection.close()
    report, tables = compared(server.dsn.replace("postgres@", "reader@"), RIGHT, "base", "parted")
    assert tables["base"].trouble == ("permission denied for table base",)
    assert (tables["parted"].expected_rows, tables["parted"].counts, report.exit_code) == (1, {}, 3)


def test_a_table_that_the_lake_lacks_is_a_difference(server):
    report, tables = compared(server.dsn, {}, "base")
    assert (tables["base"].counts, report.exit_code) == ({TABLE: 1}, 1)


@pytest.mark.parametrize(("database", "missing"), [("latin", 0), ("ascii", 1)])
def test_other_encodings_are_compared_too(server, database, missing):
    dsn = server.dsn.rsplit("/", 1)[0] + f"/{database}"
    connection = psycopg2.connect(dsn)
    connection.set_client_encoding("SQL_ASCII" if database == "ascii" else "UTF8")
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shop; CREATE TABLE shop.text (id int PRIMARY KEY, v varchar(20))")
        if database == "latin":
            cursor.execute("INSERT INTO shop.text VALUES (1, 'plain'), (2, 'café')")
        else:
            cursor.execute("INSERT INTO shop.text VALUES (1, 'plain'), (2, E'caf\\xe9')")
    connection.close()
    text = contract("text", ("v", "varchar(20)"))
    text = text.replace("name: v\n", "name: v\n    classification: public\n")
    held = {"text": 'id,v,deleted_at\n"1","plain",\n' + ('"2","café",\n' if database == "latin" else "")}
    report = compare_lake(dsn, Lake(held), ContractSet.of({"text.yaml": text}), None, bytes(32), lambda _text: None)
    assert (report.tables[0].trouble, report.differences) == ((), missing)
