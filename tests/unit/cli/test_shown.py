"""What the commands print is read by a person: wide rows stand upright, a failure is its last line."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from datamaster.cli.files import _shown
from datamaster.platform.counts import counted
from datamaster.platform.pipelines import _reason
from datamaster.platform.query import QueryResult, as_records, width

TRACE = """Traceback (most recent call last):
  File "merge.py", line 12, in <module>
    raise ValueError("x")
       ^^^^^^
pyspark.errors.AnalysisException: ambiguous attribute: at
"""


def test_a_row_of_many_columns_has_a_line_for_each():
    names = tuple(f"column_{number}" for number in range(40))
    wide = QueryResult(names, ("varchar",) * 40, (("x" * 30,) * 39 + (None,),), 0.1, "id")
    assert width(wide) > 160
    assert width(QueryResult(("id", "name"), ("bigint", "varchar"), (("1", "a" * 500),), 0.1, "id")) < 80

    shown = io.StringIO()
    Console(width=100, file=shown).print(as_records(wide))
    lines = shown.getvalue().splitlines()
    assert sum("column_" in line for line in lines) == 40
    assert any(line.split() == ["column_39", "null"] for line in lines)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"Error": "States.TaskFailed", "Cause": TRACE}, "States.TaskFailed: pyspark.errors.AnalysisException: ambiguous attribute: at"),
        ({"Error": "Lambda.Unknown", "Cause": '{"errorType": "BatchHeld", "errorMessage": "held by x"}'}, "BatchHeld: held by x"),
        ({"Error": "States.Timeout"}, "States.Timeout"),
        ("plain words", "plain words"),
        ({}, "no reason given"),
    ],
)
def test_a_failure_is_shown_by_what_went_wrong(error, reason):
    assert _reason(error) == reason


def test_one_is_singular():
    assert [counted(0, "file"), counted(1, "file"), counted(1234, "row")] == ["0 files", "1 file", "1,234 rows"]


def test_a_file_in_the_list_says_its_error_or_else_why_it_lost_rows():
    file = {"error_message": None, "reject_reasons": {"ragged": 1, 'type in column "n"': 1200}}

    assert _shown("error_message", file) == '1,200 x type in column "n"; 1 x ragged'
    assert _shown("error_message", file | {"error_message": "all 5 records were rejected"}) == "all 5 records were rejected"
