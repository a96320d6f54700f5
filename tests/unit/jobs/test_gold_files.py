"""A gold table is one SQL file; its front matter says what it is and how it is cut."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def jobs_on_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "emr-jobs"))
        yield
    sys.modules.pop("gold", None)


def test_every_file_of_the_project_is_a_gold_table() -> None:
    from gold import gold_tables

    names = {path.stem for path in (ROOT / "emr-jobs" / "gold").glob("*.sql")}

    assert set(gold_tables()) == names
    assert {table.partition for table in gold_tables().values()} == {("review_year", "review_month")}


def test_a_changed_file_has_another_definition() -> None:
    from gold import parse

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
