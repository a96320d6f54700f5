"""The console in a browser, on a running platform: every page, a filter, a retry, a statement, another year."""

from __future__ import annotations

import re
import time

import psycopg2
import pytest
from playwright.sync_api import expect

from datamaster.console.platform_data import counted
from datamaster.laptop import lifecycle
from datamaster.platform import actions
from lake.control import ControlTable
from lake.control.items import attribute

PAGES = {"": "The road", "files": "Files", "tables": "Tables", "charts": "Charts", "sql": "SQL"}
LINKS = {"": "Road", "files": "Files", "tables": "Tables", "charts": "Charts", "sql": "SQL"}
READY = {"": "By table", "files": "newest first", "tables": "Gold", "charts": "Busiest drinkers", "sql": "Statement"}
PATIENT = 90_000
expect.set_options(timeout=30_000)


def choose(page, label, value):
    """Pick a value of a select box."""
    page.get_by_test_id("stSelectbox").filter(has_text=label).locator("input").click()
    page.get_by_role("option", name=value, exact=True).click()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_there_after_a_click(path, page):
    page.goto("/sql" if path != "sql" else "/files")
    took = []
    for _ in range(4):
        begin = time.monotonic()
        page.get_by_role("link", name=LINKS[path], exact=True).click()
        expect(page.get_by_role("heading", name=PAGES[path]).first).to_be_visible()
        expect(page.get_by_text(READY[path]).first).to_be_visible()
        took.append(time.monotonic() - begin)
        page.get_by_role("link", name="SQL" if path != "sql" else "Files", exact=True).click()
        expect(page.get_by_role("heading", name="SQL" if path != "sql" else "Files").first).to_be_visible()

    assert page.get_by_test_id("stException").count() == 0
    print(f"{PAGES[path]}: {min(took):.2f} s")


def test_the_road_shows_a_new_file_without_being_asked(page, lake):
    page.goto("/")
    bronze = page.get_by_test_id("stMetric").filter(has_text="Bronze")
    expect(bronze).to_contain_text("0 files")

    with psycopg2.connect(lake.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO dm_core.brewery VALUES (910001, 'Browsed Brewery')")
    connection.close()
    actions.convert_all(lake, lifecycle.silent)

    expect(bronze).to_contain_text("1 file", timeout=PATIENT)


def test_files_are_filtered_by_table_and_status(page, lake):
    control = ControlTable(lake.control_table)
    page.goto("/files")

    choose(page, "Table", "profile")
    profiles = len(list(control.listing.files(table="profile")))
    expect(page.get_by_text(f"{counted(profiles, 'file')}, newest first")).to_be_visible()

    choose(page, "Status", "failed")
    expect(page.get_by_text("No file is like that.")).to_be_visible()


def test_a_failed_file_that_is_tried_again_turns_to_bronze_before_ones_eyes(page, lake):
    control = ControlTable(lake.control_table)
    file = next(iter(control.listing.files(table="beer", status="silver")))
    why = {"error_type": "Unplugged", "error_message": "somebody pulled the plug"}
    control.files.change(file.file_id, "failed", why, attribute("status").eq("silver"))
    page.goto("/files")
    choose(page, "Status", "failed")
    expect(page.get_by_text("Unplugged: somebody pulled the plug")).to_be_visible()

    page.get_by_role("button", name="Try again").click()

    expect(page.get_by_text(re.compile(r"Attempt 2 of .* is (bronze|silver)"))).to_be_visible(timeout=PATIENT)
    expect(page.get_by_text("somebody pulled the plug")).to_have_count(0)
    assert control.files.get(file.file_id).status in ("bronze", "silver")


def test_a_statement_is_run_and_its_rows_are_shown(page):
    page.goto("/sql")

    page.get_by_role("button", name="Run").click()

    expect(page.get_by_text(re.compile(r"10 rows in \d"))).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()


@pytest.mark.parametrize("statement", ["SELECT stat FROM dm_gold.state_by_review_volume", "DROP TABLE dm_gold.top_drinkers"])
def test_a_statement_that_is_refused_gets_a_reason_and_the_next_step(statement, page):
    page.goto("/sql")
    box = page.get_by_role("textbox", name="Statement")
    box.fill(statement)
    box.press("Control+Enter")

    page.get_by_role("button", name="Run").click()

    expect(page.get_by_text("Athena refused the statement.")).to_be_visible()
    expect(page.get_by_text("Correct it and press Run again")).to_be_visible()


def test_another_year_changes_the_charts(page):
    page.goto("/charts")
    first = page.get_by_text(re.compile(r"[\d,]+ reviews in \d{4}"))
    expect(first).to_be_visible()
    before = first.inner_text()
    year = str(int(before[-4:]) - 1)

    choose(page, "Year", year)

    expect(page.get_by_text(re.compile(rf"[\d,]+ reviews in {year}"))).to_be_visible()
    expect(page.get_by_text(before)).to_have_count(0)


def test_a_month_is_a_part_of_its_year(page):
    def counted(text):
        return int(text.partition(" ")[0].replace(",", ""))

    page.goto("/charts")
    line = page.get_by_text(re.compile(r"[\d,]+ reviews in \d{4}"))
    whole = counted(line.inner_text())

    page.get_by_test_id("stButtonGroup").get_by_role("button", name="1", exact=True).click()

    one = page.get_by_text(re.compile(r"reviews in \d{4}, months 1$"))
    expect(one).to_be_visible()
    assert 0 < counted(one.inner_text()) < whole


def test_the_map_has_a_tile_for_each_state(page):
    page.goto("/charts")
    drawn = page.get_by_test_id("stVegaLiteChart").first
    expect(drawn.locator("canvas, svg").first).to_be_visible()


def test_tables_tell_rows_and_sizes(page):
    page.goto("/tables")
    expect(page.get_by_role("heading", name="Gold")).to_be_visible()

    expect(page.get_by_test_id("stDataFrame")).to_have_count(2)
