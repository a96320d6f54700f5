"""review_flat and gold follow silver month by month."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.errors import PySparkException

from tests.integration.jobs.domain import Lake, delete, insert, update

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[3]
MARCH, APRIL, MAY = 1583020800, 1585699200, 1588291200  # the first seconds of these months of 2020


@pytest.fixture
def reviews(lake: Lake) -> Lake:
    """Thirty reviews of one beer in March 2020 and one in April, merged and built."""
    lake.arrives(insert("brewery", 1, brewery_id=1, brewery_name="Dupont"))
    lake.arrives(insert("beer", 2, beer_id=1, beer_name="Saison", beer_style="Saison"))
    lake.arrives(insert("profile", 3, profile_id=1, profile_name="Ana", state="Bahia"))
    lake.arrives(*(insert("review", 10 + n, review_id=n, review_time=MARCH + n, review_overall=4.0) for n in range(30)))
    lake.arrives(insert("review", 99, review_id=99, review_time=APRIL))
    build(lake)
    return lake


def build(lake: Lake) -> list[str]:
    lake.merge()
    lake.build_review_flat()
    return lake.build_gold()


def flat(lake: Lake, *columns: str, **where: object) -> list[dict[str, object]]:
    found = [row for row in lake.rows("review_flat") if all(row[k] == v for k, v in where.items())]
    return [{c: row[c] for c in columns} for row in sorted(found, key=lambda row: row["review_id"])]


def gold(lake: Lake, table: str) -> list[dict[str, object]]:
    return sorted(lake.rows(table, "dm_gold"), key=lambda row: (row["review_year"], row["review_month"], row["rank"]))


def test_review_flat_joins_the_names(reviews: Lake) -> None:
    assert flat(reviews, "brewery_name", "beer_name", "profile_name", "state", review_id=99) == [
        {"brewery_name": "Dupont", "beer_name": "Saison", "profile_name": "Ana", "state": "Bahia"}
    ]


def test_gold_keeps_beers_with_25_reviews_of_the_whole_month(reviews: Lake) -> None:
    row = {"review_year": 2020, "review_month": 3, "rank": 1, "beer_id": 1, "beer_name": "Saison", "review_count": 30, "avg_overall": 4.0}

    assert gold(reviews, "top_beers_by_rating") == [row]
    assert [r["review_count"] for r in gold(reviews, "state_by_review_volume")] == [30, 1]
    assert [r["popularity"] for r in gold(reviews, "top_styles_by_popularity")] == [120.0, 4.0]


def test_one_new_review_counts_with_the_month_it_joins(reviews: Lake) -> None:
    reviews.arrives(insert("review", 200, review_id=200, review_time=MARCH, review_overall=1.0))

    build(reviews)

    assert [(r["review_count"], r["avg_overall"]) for r in gold(reviews, "top_beers_by_rating")] == [(31, 3.9)]


def test_running_again_without_changes_builds_nothing(reviews: Lake) -> None:
    assert build(reviews) == []


def test_a_month_whose_reviews_are_gone_disappears(reviews: Lake) -> None:
    reviews.arrives(delete("review", 300, review_id=99))

    build(reviews)

    assert {r["review_month"] for r in reviews.rows("review_flat")} == {3}
    assert {r["review_month"] for r in gold(reviews, "top_drinkers")} == {3}


def test_a_review_that_moves_leaves_its_old_month(reviews: Lake) -> None:
    reviews.arrives(update("review", 300, review_id=99, review_time=MAY))

    build(reviews)

    assert flat(reviews, "review_month", review_id=99) == [{"review_month": 5}]
    assert {r["review_month"] for r in gold(reviews, "top_drinkers")} == {3, 5}


def test_a_renamed_brewery_is_renamed_everywhere(reviews: Lake) -> None:
    reviews.arrives(update("brewery", 300, brewery_id=1, brewery_name="Brasserie Dupont"))

    build(reviews)

    assert {r["brewery_name"] for r in reviews.rows("review_flat")} == {"Brasserie Dupont"}
    assert [r["brewery_name"] for r in gold(reviews, "top_breweries_by_rating")] == ["Brasserie Dupont"]


def test_a_late_dimension_row_fills_in(reviews: Lake) -> None:
    reviews.arrives(insert("review", 300, review_id=300, review_time=MAY, beer_id=5))
    build(reviews)
    assert flat(reviews, "beer_name", review_id=300) == [{"beer_name": None}]
    reviews.arrives(insert("beer", 290, beer_id=5, beer_name="Tripel"))

    build(reviews)

    assert flat(reviews, "beer_name", review_id=300) == [{"beer_name": "Tripel"}]


EXTRA = "-- description: Reviews of the month.\n-- partition: review_year, review_month\n"
COUNT = "SELECT review_year, review_month, count(*) AS review_count FROM review_flat GROUP BY review_year, review_month"


@pytest.fixture
def gold_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """``gold_file(sql)``: the project's gold files and one more, extra.sql."""
    import gold as package

    def add(sql: str) -> None:
        for path in (ROOT / "emr-jobs" / "gold").glob("*.sql"):
            (tmp_path / path.name).write_text(path.read_text())
        (tmp_path / "extra.sql").write_text(EXTRA + sql)
        monkeypatch.setattr(package, "files", lambda _name: tmp_path)

    return add


def test_a_new_gold_table_is_one_file_and_is_built_whole(reviews: Lake, gold_file: Callable[[str], None]) -> None:
    gold_file(COUNT)

    assert reviews.build_gold() == ["extra"]
    assert sorted(r["review_count"] for r in reviews.rows("extra", "dm_gold")) == [1, 30]


def test_a_changed_gold_file_is_built_again_with_its_new_columns(reviews: Lake, gold_file: Callable[[str], None]) -> None:
    gold_file(COUNT)
    reviews.build_gold()
    gold_file(COUNT.replace("count(*) AS review_count", "count(*) AS review_count, max(review_overall) AS best"))

    assert reviews.build_gold() == ["extra"]
    assert {r["best"] for r in reviews.rows("extra", "dm_gold")} == {4.0}


def test_one_broken_sql_does_not_hold_the_others(reviews: Lake, gold_file: Callable[[str], None]) -> None:
    gold_file("SELECT no_such_column FROM review_flat")
    reviews.arrives(insert("review", 200, review_id=200, review_time=MARCH, review_overall=1.0))
    reviews.merge()
    reviews.build_review_flat()

    for batch in reviews.planner().gold().batches:
        try:
            reviews.run(batch, "silver_to_gold")
        except PySparkException as error:
            reviews.settler().gold(batch | {"error": str(error)})
        else:
            reviews.settler().gold(batch)

    assert [r["review_count"] for r in gold(reviews, "top_beers_by_rating")] == [31]
    held = reviews.batches.get_open("gold/extra")
    assert held is not None
    assert "no_such_column" in str(held.error)
