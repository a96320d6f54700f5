"""What a page says when there is nothing, and when it cannot: by Streamlit's own test runner, the API's answers put in."""

from __future__ import annotations

import pytest

streamlit_testing = pytest.importorskip("streamlit.testing.v1")

import pandas as pd  # noqa: E402

from datamaster.console import charts, platform_data  # noqa: E402
from datamaster.platform import api_client  # noqa: E402
from datamaster.platform.query import AthenaUnreachable, QueryFailed, QueryResult  # noqa: E402

EMPTY = dict.fromkeys(platform_data.STATUSES, 0)
TABLE = {"table": "beer", "files": EMPTY, "waiting_seconds": 0, "frozen_reason": None, "last_batch": None, "open_batch": None}


FAILED = {"file_id": "f1", "status": "failed", "table_name": "beer", "object_key": "raw/beer/2026/a.gz", "records_written": 1200}
FAILED |= {"records_rejected": None, "attempt_count": 1, "compute_target": "lambda", "created_at": "2026-11-26T13:18:05.807715Z"}
FAILED |= {"error_type": "NotGzip", "error_message": "no member"}


@pytest.fixture(autouse=True)
def forgotten():
    import streamlit as st

    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def api(monkeypatch):
    """What the API answers; set ``tables``, ``files`` or ``error``."""

    class Api:
        tables, files, error = {"tables": [TABLE], "derived": []}, [], None

        def answer(self, value):
            if self.error:
                raise self.error
            return value

    held = Api()
    monkeypatch.setattr(api_client, "list_tables", lambda: held.answer(held.tables))
    monkeypatch.setattr(api_client, "list_files", lambda *_, **__: held.answer(held.files))
    return held


def shown(name):
    """Run one page."""
    run = streamlit_testing.AppTest.from_string(f"from datamaster.console import {name}\n{name}.page()", default_timeout=20).run()
    assert not run.exception
    return run


def words(elements):
    return " ".join(str(element.value) for element in elements)


def test_a_road_without_files_says_when_some_will_come(api):
    assert "Nothing has come down the road yet." in words(shown("stages").info)


def test_a_road_counts_files_by_stage(api):
    api.tables = {"tables": [TABLE | {"files": EMPTY | {"failed": 1, "silver": 4000}}], "derived": []}

    values = {metric.label: metric.value for metric in shown("stages").metric}

    assert (values["Failed"], values["Silver"], values["Bronze"]) == ("1 file", "4,000 files", "0 files")


def test_files_that_no_filter_meets_are_said_to_be_none(api):
    assert "No file is like that." in words(shown("file_list").info)


def test_a_failed_file_shows_its_reason_and_a_button(api):
    api.files = [FAILED]

    run = shown("file_list")

    assert "NotGzip: no member" in words(run.caption)
    assert [button.label for button in run.button] == ["Try again"]
    [row] = run.dataframe[0].value.to_dict("records")
    assert (row["object"], row["rows"], row["registered"].year) == ("2026/a.gz", 1200, 2026)


def test_a_retry_that_is_refused_says_why(api, monkeypatch):
    api.files = [FAILED]
    monkeypatch.setattr(api_client, "retry_file", lambda _: (_ for _ in ()).throw(api_client.ApiRefused(409, "the file is running")))

    run = shown("file_list").button[0].click().run()

    assert "The file was not tried again." in words(run.error)
    assert "the file is running" in words(run.error)


def test_tables_that_were_never_merged_say_what_would(api):
    assert "dm run silver" in words(shown("table_list").info)


@pytest.mark.parametrize("name", ["stages", "file_list", "table_list"])
def test_an_api_that_does_not_answer_is_told_with_the_next_step(name, api):
    api.error = api_client.ApiUnreachable("the control API at http://x does not answer")

    run = shown(name)

    assert "does not answer" in words(run.error)
    assert "dm up" in words(run.caption)


@pytest.fixture
def athena(monkeypatch):
    """What Athena answers; set ``result`` or ``error``."""

    class Held:
        result, error = QueryResult(("n",), ("integer",), (), 0.1, "id"), None

        def run(self, _sql, _limit=1000):
            if self.error:
                raise self.error
            return self.result

    held = Held()
    monkeypatch.setattr(platform_data, "athena", lambda: held)
    return held


def test_charts_without_gold_say_what_builds_it(athena):
    athena.result = QueryResult(("review_year", "review_month"), ("integer", "integer"), (), 0.1, "id")

    assert "dm run gold" in words(shown("charts").info)


def test_bars_of_one_name_are_told_apart_by_their_id():
    rows = pd.DataFrame({"brewery_id": [1, 2, 3], "brewery_name": ["Mill", "Tower", "Mill"]})

    assert charts.told_apart(rows, "brewery_name", "brewery_id")["brewery_name"].tolist() == ["Mill #1", "Tower", "Mill #3"]


def test_a_statement_that_athena_refuses_shows_the_reason_and_where_to_look(athena):
    athena.error = QueryFailed("COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved")

    run = shown("sql_box").button[0].click().run()

    assert "COLUMN_NOT_FOUND" in words(run.error)
    assert "SHOW TABLES" in words(run.caption)


def test_an_athena_that_cannot_be_reached_is_told(athena):
    athena.error = AthenaUnreachable("Athena at http://x does not answer")

    assert "cannot be reached" in words(shown("sql_box").button[0].click().run().error)


def test_a_statement_without_rows_says_so(athena):
    assert "no rows" in words(shown("sql_box").button[0].click().run().info)


@pytest.mark.parametrize(("seconds", "text"), [(None, "–"), (5, "5 s"), (180, "3 min"), (7200, "2 h"), (200000, "2 d")])
def test_an_age_is_told_in_its_own_unit(seconds, text):
    assert platform_data.age(seconds) == text
