"""Verify is silent on an equal lake and names every kind of fault that is planted: table, key, column, expected, got."""

from __future__ import annotations

import datetime
import io
import json

import psycopg2
import pytest
from rich.console import Console

from beer import CONTRACTS
from datamaster.verify.report import DUPLICATE, ROW, TABLE

from .conftest import FLAT, GOLD, SCHEMAS, new_sensor

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:Delete operation did not match any records")]
KEYS = {"brewery": ["brewery_id"], "beer": ["beer_id"], "profile": ["profile_id"], "review": ["review_id"], "measure": ["sensor", "day"]}
GOLD_KEYS = {"top_beers_by_rating": "beer_id", "top_breweries_by_rating": "brewery_id", "top_styles_by_popularity": "beer_style"}
GOLD_KEYS |= {"top_drinkers": "profile_id", "state_by_review_volume": "state"}
NOW = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def named(report):
    """Every table and column with a difference."""
    return {(table.table, column): count for table in report.tables for column, count in table.counts.items()}


def changed(value):
    """Another value of the same type."""
    if value is None or isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}."
    if isinstance(value, bytes):
        return value + b"."
    return value + (datetime.timedelta(days=1) if isinstance(value, datetime.date) else 1)


def spoil(columns):
    """A fault a column, each on another row that has a value there."""

    def fault(rows):
        free = list(range(len(rows)))
        for column in columns:
            place = next(place for place in free if rows[place][column] is not None and rows[place].get("deleted_at") is None)
            if len(rows) > len(columns):
                free.remove(place)
            rows[place][column] = changed(rows[place][column])

    return fault


def test_an_equal_lake_has_no_difference(compared):
    report = compared()
    assert named(report) == {}
    assert (report.equal, report.exit_code) == (True, 0)
    assert [table.table for table in report.tables] == [
        *(f"dm_silver.{name}" for name in ("beer", "brewery", "measure", "measure_history", "profile", "review")),
        "dm_silver.quality_results",
        "dm_silver.review_flat",
        *(f"dm_gold.{name}" for name in sorted(GOLD)),
    ]
    assert all(table.expected_rows == table.got_rows > 0 for table in report.tables)


def test_without_the_mask_key_everything_but_hashed_columns_is_compared(compared):
    report = compared(None)

    assert (named(report), report.exit_code) == ({}, 3)
    assert {table.table: table.trouble for table in report.tables if table.trouble} == {
        "dm_silver.profile": ('column "email" is hashed, and this identity may not read the mask key',)
    }


def test_every_column_of_every_table_is_compared(lake, compared):
    planted = {}
    for table in SCHEMAS:
        planted[f"dm_silver.{table}"] = [name for name in SCHEMAS[table] if name not in KEYS[table]]
        lake.plant(table, spoil(planted[f"dm_silver.{table}"]))
    planted["dm_silver.review_flat"] = [name for name in FLAT if name != "review_id"]
    lake.plant("review_flat", spoil(planted["dm_silver.review_flat"]))
    for table in GOLD:
        planted[f"dm_gold.{table}"] = [name for name in GOLD[table] if name not in ("review_year", "review_month", GOLD_KEYS[table])]
        lake.plant(table, spoil(planted[f"dm_gold.{table}"]))
    found = named(compared())
    assert set(found) == {(table, column) for table, columns in planted.items() for column in columns}
    # A wrong average shifts nobody's rank: ranks are held against the values that are right.
    assert set(found.values()) == {1}


def test_a_missing_row_is_found_in_every_table(lake, compared):
    for table in (*SCHEMAS, "review_flat", *GOLD):
        lake.plant(table, lambda rows: rows.pop(0))
    lake.plant("measure_history", lambda rows: rows.pop(1))
    report = compared()
    missed = [table for table in report.tables if table.table != "dm_silver.quality_results"]
    assert set(named(report).items()) == {((table.table, ROW), 1) for table in missed}
    assert all((table.first[0].expected, table.first[0].got) == ("a row", "none") for table in missed)


def test_a_broken_rule_that_the_lake_did_not_count_is_found(lake, compared):
    lake.plant("quality_results", lambda rows: [row.update(rows_failed=0) for row in rows])
    assert named(compared()) == {("dm_silver.quality_results", "rows_failed"): 1}


def test_a_row_too_many_is_found_in_every_derived_table(lake, compared):
    for table in ("review_flat", *GOLD):
        key = GOLD_KEYS.get(table, "review_id")
        lake.plant(table, lambda rows, key=key: rows.append(dict(rows[0]) | {key: "Nowhere" if isinstance(rows[0][key], str) else 10**9}))
    report = compared()
    derived = [table for table in report.tables if table.table == "dm_silver.review_flat" or table.table.startswith("dm_gold.")]
    assert set(named(report).items()) == {((table.table, ROW), 1) for table in derived}
    assert all((table.first[0].expected, table.first[0].got) == ("none", "a row") for table in derived)


class TestSoftDeletes:
    def test_a_row_that_the_source_has_not_must_be_deleted(self, lake, compared):
        lake.plant("measure", lambda rows: rows.append(dict(rows[0], sensor=new_sensor(), deleted_at=None)))
        report = compared()
        assert named(report) == {("dm_silver.measure", "deleted_at"): 1}
        difference = next(table.first[0] for table in report.tables if table.differences)
        assert (difference.expected, difference.got) == ("a time: the source has no such row", None)

    def test_a_deleted_row_that_the_source_has_not_may_stay_or_go(self, lake, compared):
        lake.plant("measure", lambda rows: rows.append(dict(rows[0], sensor=new_sensor(), deleted_at=NOW)))
        assert compared().equal

    def test_a_row_that_the_source_has_must_not_be_deleted(self, lake, compared):
        lake.plant("beer", lambda rows: rows[0].update(deleted_at=NOW))
        report = compared()
        assert named(report) == {("dm_silver.beer", "deleted_at"): 1}
        difference = next(table.first[0] for table in report.tables if table.differences)
        assert (difference.key, difference.expected) == (f"beer_id {lake.rows['beer'][0]['beer_id']}", None)
        assert difference.got.startswith("2024-01-01 00:00:00")


class TestMasks:
    def test_a_clear_value_in_a_masked_column_is_found(self, lake, compared):
        lake.plant("profile", lambda rows: rows[0].update(email="ana@example.com"))
        report = compared()
        assert named(report) == {("dm_silver.profile", "email"): 1}
        difference = next(table.first[0] for table in report.tables if table.differences)
        assert (len(difference.expected), difference.got) == (64, "ana@example.com")

    def test_a_column_that_no_mask_should_hide_is_found(self, lake, compared):
        lake.plant("profile", lambda rows: rows[0].update(state="0" * 64))
        assert named(compared()) == {("dm_silver.profile", "state"): 1}


def test_a_key_held_twice_is_found(lake, compared):
    lake.plant("brewery", lambda rows: rows.append(dict(rows[0])))
    report = compared()
    assert named(report) == {("dm_silver.brewery", DUPLICATE): 1}
    assert next(table.first[0] for table in report.tables if table.differences).got == "2 rows"


def test_null_and_empty_text_are_different(lake, compared):
    empty = next(place for place, row in enumerate(lake.rows["profile"]) if row["profile_name"] == "")
    lake.plant("profile", lambda rows: rows[empty].update(profile_name=None))
    assert named(compared()) == {("dm_silver.profile", "profile_name"): 1}


def test_a_table_that_the_lake_lacks_is_a_difference_and_the_rest_is_compared(lake, compared):
    lake.catalog.drop_table("dm_gold.top_drinkers")
    report = compared()
    lake.write("top_drinkers", lake.rows["top_drinkers"])
    assert named(report) == {("dm_gold.top_drinkers", TABLE): 1}
    assert "TABLE_NOT_FOUND" in next(table.first[0].got for table in report.tables if table.differences)


class TestAverages:
    """A group of 20 reviews whose scores add up to 60.5: the exact average is 3.025, half-way between two shown ones."""

    @pytest.fixture
    def tie(self, source, lake):
        with psycopg2.connect(source) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO dm_core.profile VALUES (900001, 'Tie', NULL, 'Tied')")
            cursor.execute(
                "INSERT INTO dm_core.review SELECT 900000 + n, brewery_id, beer_id, 900001, CASE n WHEN 1 THEN 3.5 ELSE 3 END,"
                " 1, 1, 1, 1, 946684800 FROM generate_series(1, 20) n, (SELECT * FROM dm_core.beer ORDER BY beer_id LIMIT 1) b"
            )
        connection.close()
        yield lambda shown: lake.plant("state_by_review_volume", lambda rows: rows.append(self.row(shown)))
        with psycopg2.connect(source) as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM dm_core.review WHERE profile_id = 900001")
            cursor.execute("DELETE FROM dm_core.profile WHERE profile_id = 900001")
        connection.close()

    def row(self, shown):
        return {"review_year": 2000, "review_month": 1, "rank": 1, "state": "Tied", "review_count": 20, "avg_overall": shown}

    @pytest.mark.parametrize(("shown", "right"), [(3.02, True), (3.03, True), (3.01, False), (3.04, False), (3.025, False)])
    def test_either_neighbour_of_a_tie_is_right_and_nothing_else(self, tie, compared, shown, right):
        tie(shown)
        assert (("dm_gold.state_by_review_volume", "avg_overall") not in named(compared())) is right


class TestReport:
    def test_it_prints_counts_and_first_differences(self, lake, compared):
        lake.plant("beer", lambda rows: [row.update(beer_name="[b]wrong[/b]") for row in rows])
        report = compared()
        shown = io.StringIO()
        report.print(Console(width=200, file=shown))
        text = shown.getvalue()
        assert "dm_silver.beer" in text
        assert text.count("[b]wrong[/b]") == 5
        assert f"{len(lake.rows['beer']):,} differences" in report.summary

    def test_it_is_json(self, lake, compared):
        lake.plant("beer", lambda rows: rows.pop())
        document = json.loads(json.dumps(compared().as_dict()))
        assert (document["equal"], document["differences"]) == (False, 1)
        assert document["tables"][0]["counts"] == {ROW: 1}


@pytest.mark.parametrize("gold", GOLD)
def test_a_review_whose_time_is_no_time_is_of_no_month_in_the_statements_of_gold(source, gold):
    statement = (CONTRACTS.parent / "verify" / f"{gold}.sql").read_text("utf-8")
    with psycopg2.connect(source, options="-c search_path=dm_core") as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO review SELECT 800000 + n, brewery_id, beer_id, profile_id, 3, 3, 3, 3, 3,"
            " (ARRAY[-62135596801, 9223372036854775807])[n % 2 + 1]"
            " FROM generate_series(1, 50) n, (SELECT * FROM review ORDER BY review_id LIMIT 1) r"
        )
        cursor.execute(f"SELECT review_year, review_month, review_count FROM ({statement}) months WHERE review_year = 0")
        assert cursor.fetchall() == [(0, 0, 50)]
        connection.rollback()
    connection.close()
