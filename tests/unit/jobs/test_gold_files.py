"""A gold table is one SQL file; its front matter says what it is and how it is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from gold import gold_tables, parse

ROOT = Path(__file__).resolve().parents[3]


def test_every_file_of_the_project_is_a_gold_table() -> None:
    names = {path.stem for path in (ROOT / "emr-jobs" / "gold").glob("*.sql")}

    assert set(gold_tables()) == names
    assert {table.partition for table in gold_tables().values()} == {("review_year", "review_month")}


def test_a_changed_file_has_another_definition() -> None:
    text = "-- description: d\n-- partition: y, m\nSELECT 1"

    assert parse("t", text).definition != parse("t", text + " + 1").definition


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- partition: y, m\nSELECT 1", 't.sql: no "-- description'),
        ("-- description: d\nSELECT 1", 't.sql: no "-- partition'),
        ("-- description: d\n-- partition: y\nSELECT 1", 't.sql: partition is "y"'),
    ],
)
def test_incomplete_front_matter_is_refused(text: str, message: str) -> None:
    from gold import InvalidGoldTable, parse

    with pytest.raises(InvalidGoldTable, match=message):
        parse("t", text)
