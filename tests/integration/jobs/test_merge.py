"""Silver is equal to the fold of its changes by position, in whatever order they come."""

from __future__ import annotations

import pytest
from domain import Lake, delete, insert, load, update

pytestmark = pytest.mark.integration


def test_a_delete_that_arrives_before_its_insert_leaves_the_row_deleted(lake: Lake) -> None:
    lake.arrives(delete("beer", 20, beer_id=7))
    lake.merge("beer")
    lake.arrives(insert("beer", 10, beer_id=7))

    lake.merge("beer")

    assert lake.live_rows("beer") == []
    assert lake.row("beer", beer_id=7).deleted_at is not None


def test_a_loaded_row_is_a_live_row(lake: Lake) -> None:
    lake.arrives(load("beer", beer_id=1, beer_name="Orval", beer_abv=6.2))

    lake.merge("beer")

    assert lake.live_rows("beer", "beer_id", "beer_name", "beer_abv") == [{"beer_id": 1, "beer_name": "Orval", "beer_abv": 6.2}]


def test_a_review_that_moved_month_is_there_once(lake: Lake) -> None:
    lake.arrives(insert("review", 10, review_id=1, review_time=1583020800))
    lake.merge("review")
    lake.arrives(update("review", 20, review_id=1, review_time=1585699200))

    lake.merge("review")

    assert lake.live_rows("review", "review_id", "review_year", "review_month") == [
        {"review_id": 1, "review_year": 2020, "review_month": 4}
    ]
