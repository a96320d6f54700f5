"""A new source table is one YAML file, a new gold table one SQL file, and no code: a shop goes down the whole road."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest
import yaml

from datamaster.cli import run as command_line
from datamaster.laptop import postgres
from datamaster.laptop.platform_troubles import picture
from datamaster.laptop.state import State
from datamaster.platform import actions, pipelines
from datamaster.platform.query import Athena
from datamaster.source.introspect import contract_yaml
from datamaster.verify import Report, TableReport, verify_lake
from lake.contract import parse_contract
from tests.conftest import ROOT

TABLE = """
CREATE SCHEMA shop;
CREATE TYPE shop.size AS ENUM ('small', 'large');
CREATE TABLE shop.parcel (
    depot      smallint,
    parcel_id  uuid,
    shipped_on date,
    scanned_at timestamptz,
    fragile    boolean,
    contents   json,
    price      numeric(12,2),
    labels     text[],
    size       shop.size,
    receiver   varchar(80) NOT NULL,
    note       text,
    PRIMARY KEY (depot, parcel_id)
);
CREATE TABLE shop.visit (depot int, seen_at timestamptz, said text);
CREATE TABLE shop.meter (meter_id int PRIMARY KEY, reading int);
INSERT INTO shop.meter VALUES (1, 10), (2, NULL);
CREATE TABLE shop.orders (order_id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL, total numeric(12,2));
"""
# Random hexadecimal text does not shrink below the 2 kB at which PostgreSQL stores a value apart (TOAST).
LONG = "(SELECT string_agg(md5(random()::text || n || i), '') FROM generate_series(1, 300) i)"
PARCELS = f"""
INSERT INTO shop.parcel
SELECT n % 7, md5(n::text)::uuid, date '1999-12-31' + n, timestamptz '2024-02-29 23:59:59.000001+02' + n * interval '1 hour 1 microsecond',
       CASE n % 3 WHEN 0 THEN true WHEN 1 THEN false END, json_build_object('n', n, 'what', 'Øl, "caña" \\ ' || n), n * 1000.01 - 5000,
       ARRAY['a' || n, 'with "quotes", commas', NULL, ''], (ARRAY['small', 'large'])[n % 2 + 1]::shop.size, 'Ana ' || n, {LONG}
FROM generate_series(1, 200) n;
"""
ORDERS = (
    "INSERT INTO shop.orders SELECT n, timestamptz '2024-01-31 22:00+00' + n * interval '1 day', n * 1.01 FROM generate_series(1, 90) n"
)
VISITS = "INSERT INTO shop.visit SELECT n % 3, timestamptz '2024-02-29 12:00+00', NULL FROM generate_series(1, 30) n"
ORDERS_BY_MONTH = """-- description: Orders and what they come to, by month.
-- layer: gold
-- fact: orders
-- partition: ordered_year, ordered_month
SELECT ordered_year, ordered_month, count(*) AS orders, sum(total) AS total
FROM orders
GROUP BY ordered_year, ordered_month
"""
OF_SOURCE = """
SELECT extract(year FROM ordered_at AT TIME ZONE 'UTC')::text, extract(month FROM ordered_at AT TIME ZONE 'UTC')::text,
       count(*)::text, sum(total)::text FROM shop.orders GROUP BY 1, 2 ORDER BY 1, 2
"""
EDGES = """
INSERT INTO shop.parcel VALUES
    (-1, '00000000-0000-0000-0000-000000000000', '0001-01-01', '1969-12-31 23:59:59.999999+00', true, 'null',
     -9999999999.99, '{}', 'small', '', ''),
    (-1, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '9999-12-31', '2262-01-01 00:00:00+00', false, '[1, {"a": "\\u00e9"}]',
     9999999999.99, '{"{}","\\\\"}', 'large', E'tab\\there, line\\nbreak', E'"quoted", ''single'', \\\\ back'),
    (-2, '00000000-0000-0000-0000-000000000001', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'nothing else', NULL);
"""
REVISED = (
    "UPDATE shop.visit SET said = 'bye' WHERE depot = 1",
    "DELETE FROM shop.visit WHERE depot = 2; INSERT INTO shop.visit VALUES (7, NULL, '')",
)
PARCEL = "parcel_id = md5('{}')::uuid"
CHANGES = [
    "UPDATE shop.parcel SET price = price + 0.01, fragile = NOT fragile WHERE parcel_id IN (SELECT parcel_id FROM shop.parcel LIMIT 50)",
    f"UPDATE shop.parcel SET note = 'short now' WHERE {PARCEL.format(3)}",
    f"UPDATE shop.parcel SET depot = 90 WHERE {PARCEL.format(5)}",
    f"UPDATE shop.parcel SET depot = 91, note = 'moved and rewritten' WHERE {PARCEL.format(6)}",
    f"UPDATE shop.parcel SET parcel_id = md5('new 7')::uuid WHERE {PARCEL.format(7)}",
    f"DELETE FROM shop.parcel WHERE {PARCEL.format(8)}",
    "DELETE FROM shop.parcel WHERE depot = -2",
    f"UPDATE shop.parcel SET contents = NULL, labels = NULL, note = NULL WHERE {PARCEL.format(9)}",
    f"DELETE FROM shop.parcel WHERE {PARCEL.format(10)}",
    "INSERT INTO shop.parcel VALUES (10 % 7, md5('10')::uuid, NULL, now(), true, '{}', 1, '{again}', 'small', 'Ana 10', 'back again')",
    f"UPDATE shop.parcel SET labels = labels || 'later'::text, scanned_at = scanned_at + interval '1 month' WHERE {PARCEL.format(11)}",
    EDGES.replace("-1,", "-3,").replace("-2,", "-4,"),
    "UPDATE shop.orders SET ordered_at = '2023-12-31 23:59:59.999999+00' WHERE order_id = 1",
    "DELETE FROM shop.orders WHERE order_id > 80",
    "UPDATE shop.orders SET total = 1000 WHERE order_id = 40",
]


@dataclass
class Lake:
    """What the lake holds of the shop after its load and after its changes."""

    running: State
    after_load: Report
    after_changes: Report

    def ask(self, sql: str) -> tuple[Any, ...]:
        return Athena(self.running.work_group, database="dm_silver").run(sql).rows


def run(dsn: str, *statements: str) -> None:
    """Each statement in a transaction of its own."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            connection.commit()


def write_contracts(folder: Path) -> None:
    """The tables' contracts as the source's catalog gives them. The owner only says which text is public, and what the months are."""
    with postgres.start(folder.parent / "catalog") as server:
        run(server.dsn, TABLE)
        content, orders, visit = (yaml.safe_load(contract_yaml(server.dsn, f"shop.{table}")) for table in ("parcel", "orders", "visit"))
        (folder / "derived").mkdir(parents=True)
        (folder / "meter.yaml").write_text(contract_yaml(server.dsn, "shop.meter"))
    for column in content["schema"][0]["properties"]:
        if column["logicalType"] in ("string", "array", "object") and not column.get("primaryKey"):
            column["classification"] = "personal" if column["name"] == "receiver" else "public"
    visit["schema"][0]["properties"][2]["classification"] = "public"
    months = {"column": "ordered_at", "year": "ordered_year", "month": "ordered_month"}
    orders["schema"][0]["customProperties"] = [{"property": "partition", "value": months}]
    (folder / "parcel.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "visit.yaml").write_text(yaml.safe_dump(visit, sort_keys=False))
    (folder / "orders.yaml").write_text(yaml.safe_dump(orders, sort_keys=False))
    (folder / "derived" / "orders_by_month.sql").write_text(ORDERS_BY_MONTH)


def of_parcel(report: Report) -> TableReport:
    return next(table for table in report.tables if table.table == "dm_silver.parcel")


def silent(_text: str) -> None: ...


def carried(running: State) -> Report:
    actions.await_export(running, actions.export_table(running, "visit", True, silent), silent)
    actions.convert_all(running, lambda _text: None)
    for layer in ("silver", "gold"):
        result = pipelines.run(running, layer, lambda _text: None)
        assert not result.failed, result.failed
    return verify_lake(running, lambda _text: None)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, start_platform: Callable[..., Any]) -> Iterator[Lake]:
    folder = tmp_path_factory.mktemp("new-table")
    write_contracts(folder / "contracts")

    def seed(dsn: str) -> None:
        run(dsn, TABLE, PARCELS, EDGES, ORDERS, VISITS)

    with start_platform(folder / "home", contracts=folder / "contracts", seed=seed, delivery_seconds=1.0) as running:
        after_load = carried(running)
        run(running.dsn, *CHANGES, *REVISED)
        yield Lake(running, after_load, carried(running))


def test_the_load_is_equal_to_the_source(lake: Lake) -> None:
    assert of_parcel(lake.after_load).expected_rows == 203
    assert lake.after_load.equal, lake.after_load


def test_updates_deletes_and_key_changes_are_equal_to_the_source(lake: Lake) -> None:
    assert of_parcel(lake.after_changes).expected_rows == 204
    assert lake.after_changes.equal, lake.after_changes


def test_orders_by_month_are_those_of_the_source(lake: Lake) -> None:
    with closing(psycopg2.connect(lake.running.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(OF_SOURCE)
        wanted = tuple(cursor.fetchall())

    found = lake.ask("SELECT ordered_year, ordered_month, orders, total FROM dm_gold.orders_by_month ORDER BY 1, 2")

    assert found == wanted
    assert [row[:3] for row in found] == [("2023", "12", "1"), ("2024", "2", "28"), ("2024", "3", "31"), ("2024", "4", "20")]


def test_nothing_of_the_demo_is_built_or_expected(lake: Lake) -> None:
    compared = {table.table for table in lake.after_changes.tables}

    assert compared == {"dm_silver.meter", "dm_silver.orders", "dm_silver.parcel", "dm_silver.visit", "dm_gold.orders_by_month"}
    made = [table["Name"] for table in boto3.client("glue").get_tables(DatabaseName="dm_silver")["TableList"]]
    assert "review_flat" not in made
    skipped = dict(pipelines.run(lake.running, "silver", lambda _text: None).skipped)
    assert "no derived/*.sql of layer silver" in skipped["dm_silver"]


def test_a_table_without_a_key_is_what_its_last_export_read_equal_rows_each_for_itself(lake: Lake) -> None:
    """Its updates and deletes were never in the way of the application, since nothing of it is published."""
    found = lake.ask("SELECT depot, said, count(*) FROM visit WHERE deleted_at IS NULL GROUP BY 1, 2 ORDER BY 1")

    assert found == (("0", None, "10"), ("1", "bye", "10"), ("7", "", "1"))
    with closing(psycopg2.connect(lake.running.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'visit'")
        assert cursor.fetchone() == (0,)


def test_a_difference_in_a_table_without_a_key_is_found(lake: Lake) -> None:
    run(lake.running.dsn, "UPDATE shop.visit SET said = 'differs' WHERE ctid = (SELECT min(ctid) FROM shop.visit WHERE depot = 1)")

    report = next(table for table in verify_lake(lake.running, silent).tables if table.table == "dm_silver.visit")
    run(lake.running.dsn, "UPDATE shop.visit SET said = 'bye' WHERE said = 'differs'")

    assert (report.expected_rows, report.counts) == (21, {"(row)": 1, "deleted_at": 1})


def test_text_that_an_update_did_not_carry_is_still_there(lake: Lake) -> None:
    """Also under the new key of a row whose key changed."""
    [[long, missing]] = lake.ask(
        "SELECT count_if(length(note) > 2000), count_if(cdc_missing IS NOT NULL) FROM parcel WHERE deleted_at IS NULL"
    )
    assert int(long) == 200 - len({"3 short", "6 rewritten", "8 deleted", "9 null", "10 again"})
    assert int(missing) == 0


def test_the_old_key_of_a_moved_row_is_softly_deleted(lake: Lake) -> None:
    rows = lake.ask(
        "SELECT depot, deleted_at IS NOT NULL FROM parcel WHERE parcel_id = 'e4da3b7f-bbce-2345-d777-2b0674a318d5' ORDER BY depot"
    )
    assert rows == (("5", "true"), ("90", "false"))


def test_types_are_those_of_the_contract(lake: Lake) -> None:
    columns = boto3.client("glue").get_table(DatabaseName="dm_silver", Name="parcel")["Table"]["StorageDescriptor"]["Columns"]
    types = {column["Name"]: column["Type"] for column in columns}
    wanted = {
        "parcel_id": "string",
        "shipped_on": "date",
        "scanned_at": "timestamp",
        "fragile": "boolean",
        "contents": "string",
        "price": "decimal(12,2)",
        "labels": "string",
        "size": "string",
    }
    assert wanted.items() <= types.items()


def test_values_are_what_the_source_said(lake: Lake) -> None:
    [row] = lake.ask(
        "SELECT price, shipped_on, contents, labels, size, note FROM parcel"
        " WHERE depot = -1 AND parcel_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'"
    )
    assert row == ("9999999999.99", "9999-12-31", '[1, {"a": "\\u00e9"}]', '{"{}","\\\\"}', "large", "\"quoted\", 'single', \\ back")


def test_personal_text_is_masked(lake: Lake) -> None:
    assert lake.ask("SELECT count(*) FROM parcel WHERE receiver LIKE 'Ana%'") == (("0",),)
    assert lake.ask("SELECT count(*) FROM parcel WHERE length(receiver) = 64 AND deleted_at IS NULL") == (("204",),)


def test_the_contract_needed_no_other_file(lake: Lake) -> None:
    contract = parse_contract((lake.running.contracts / "parcel.yaml").read_text(), "parcel.yaml")
    assert [column.name for column in contract.key] == ["depot", "parcel_id"]


def troubles_after_silver(lake: Lake) -> list[tuple[str, str, int, str]]:
    actions.convert_all(lake.running, silent)
    assert not pipelines.run(lake.running, "silver", silent).failed
    return [(t.kind, t.subject, t.count, t.look) for t in picture(lake.running).troubles]


def test_a_text_too_large_for_the_stream_is_named_until_an_export_of_its_row_brings_it(lake: Lake) -> None:
    where, longer = f"WHERE {PARCEL.format(11)}", LONG.replace("300", "40000").replace("n ||", "'n' ||")
    run(lake.running.dsn, f"UPDATE shop.parcel SET note = {longer} {where}", f"UPDATE shop.parcel SET fragile = false {where}")

    assert troubles_after_silver(lake) == [("rows that lack a value", "parcel", 1, "dm export parcel --missing")]
    assert lake.ask("SELECT note, fragile, cdc_missing FROM parcel WHERE cdc_missing IS NOT NULL") == ((None, "false", "note"),)

    export = actions.export_missing(lake.running, "parcel", silent)
    assert export is not None
    actions.await_export(lake.running, export, silent)
    assert (export.rows, troubles_after_silver(lake)) == (1, [])
    assert actions.export_missing(lake.running, "parcel", silent) is None
    assert verify_lake(lake.running, silent).equal


def repair(objective: str) -> list[list[str]]:
    """The commands that the runbook gives as an objective's repair, in order."""
    entry = (ROOT / "docs" / "runbook.md").read_text().partition(f"## {objective}\n")[2].partition("\n## ")[0]
    return [command.split()[1:] for command in re.findall("`(dm [^`]+)`", entry.partition("**Repair**")[2])]


def test_rows_of_a_column_that_became_wider_are_sent_again_as_the_runbook_says(lake: Lake) -> None:
    def dm(words: list[str]) -> int:
        return command_line([*words, "--home", str(lake.running.home)])

    run(lake.running.dsn, "ALTER TABLE shop.meter ALTER reading TYPE bigint", "INSERT INTO shop.meter VALUES (3, 3000000000)")
    assert ("rows that the router refused", "shop.meter") in [trouble[:2] for trouble in troubles_after_silver(lake)]
    assert [dm(words) for words in (["status"], ["errors", "ls"], ["errors", "redrive", "--dry-run"])] == [1, 1, 1]

    contract = lake.running.contracts / "meter.yaml"
    contract.write_text(contract.read_text().replace("physicalType: integer", "physicalType: bigint"))
    commands = repair("refused-records")
    assert ["errors", "redrive"] in commands
    assert [(words, code) for words in commands if (code := dm(words))] == []

    assert lake.ask("SELECT reading FROM meter WHERE meter_id = 3") == (("3000000000",),)
    assert verify_lake(lake.running, silent).equal
    assert [dm(words) for words in (["errors", "ls"], ["status"])] == [0, 0]
