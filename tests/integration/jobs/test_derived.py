"""review_flat and gold follow silver month by month."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.errors import PySparkException

from beer import CONTRACTS
from jobs.derived.build_job import MonthsNotSelected
from jobs.iceberg.catalog import catalog
from lake.contract.store import publish
from tests.integration.jobs.domain import Lake, contract_head, delete, insert, update

pytestmark = pytest.mark.integration
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


EXTRA = "-- description: Reviews of the month.\n-- layer: gold\n-- fact: review_flat\n-- partition: review_year, review_month\n"
COUNT = "SELECT review_year, review_month, count(*) AS review_count FROM review_flat GROUP BY review_year, review_month"


@pytest.fixture
def extra(reviews: Lake, tmp_path: Path) -> Callable[[str], None]:
    """``extra(sql)``: publishes the project's contracts with one derived table more, extra.sql."""

    def add(sql: str, head: str = EXTRA) -> None:
        shutil.copytree(CONTRACTS, tmp_path, dirs_exist_ok=True)
        (tmp_path / "derived" / "extra.sql").write_text(head + sql)
        publish(tmp_path, reviews.names["contracts"])

    return add


def test_a_new_gold_table_is_one_file_and_is_built_whole(reviews: Lake, extra: Callable[[str], None]) -> None:
    extra(COUNT)

    assert reviews.build_gold() == ["extra"]
    assert sorted(r["review_count"] for r in reviews.rows("extra", "dm_gold")) == [1, 30]


def test_a_changed_gold_file_is_built_again_with_its_new_columns(reviews: Lake, extra: Callable[[str], None]) -> None:
    extra(COUNT)
    reviews.build_gold()
    extra(COUNT.replace("count(*) AS review_count", "count(*) AS review_count, max(review_overall) AS best"))

    assert reviews.build_gold() == ["extra"]
    assert {r["best"] for r in reviews.rows("extra", "dm_gold")} == {4.0}


def test_one_broken_sql_does_not_hold_the_others_and_is_finished_as_it_is_corrected(reviews: Lake, extra: Callable[[str], None]) -> None:
    extra("SELECT no_such_column FROM review_flat")
    reviews.arrives(insert("review", 200, review_id=200, review_time=MARCH, review_overall=1.0))
    reviews.merge()
    reviews.build_review_flat()

    for batch in reviews.planner().derived("gold").batches:
        try:
            reviews.run(batch, "silver_to_gold")
        except PySparkException as error:
            reviews.settler().derived("gold", batch | {"error": str(error)})
        else:
            reviews.settler().derived("gold", batch)

    assert [r["review_count"] for r in gold(reviews, "top_beers_by_rating")] == [31]
    held = reviews.control.batches.get("gold/extra")
    assert held is not None
    assert "no_such_column" in str(held.error)

    extra(COUNT)
    assert reviews.build_gold() == ["extra"]
    assert sorted(r["review_count"] for r in reviews.rows("extra", "dm_gold")) == [1, 31]


def test_sql_that_does_not_select_its_months_is_refused(reviews: Lake, extra: Callable[[str], None]) -> None:
    extra("SELECT count(*) AS review_count FROM review_flat")
    [batch] = reviews.planner().derived("gold").batches

    with pytest.raises(MonthsNotSelected, match=r'derived/extra\.sql selects no column "review_year"'):
        reviews.run(batch, "silver_to_gold")


def test_a_renamed_brewery_rebuilds_the_months_that_name_it_and_no_other(reviews: Lake) -> None:
    reviews.arrives(insert("review", 250, review_id=250, review_time=MAY, brewery_id=2))
    build(reviews)
    reviews.arrives(update("brewery", 300, brewery_id=2, brewery_name="Cantillon"))

    reviews.merge()

    assert list(reviews.control.months.pending("silver/review_flat")) == ["2020-05"]


def test_a_table_that_was_dropped_is_built_whole(reviews: Lake) -> None:
    catalog().drop_table(("dm_gold", "top_drinkers"))
    reviews.arrives(delete("review", 300, review_id=99))

    build(reviews)

    assert [(r["review_month"], r["review_count"]) for r in gold(reviews, "top_drinkers")] == [(3, 30)]


def test_a_table_published_while_a_batch_of_its_fact_is_merged_misses_none_of_its_months(reviews: Lake, extra: Callable[..., None]) -> None:
    reviews.arrives(insert("review", 200, review_id=200, review_time=MAY))
    [batch] = reviews.plan("review")
    extra(COUNT.replace("review_flat", "review"), head=EXTRA.replace("review_flat", "review"))
    assert reviews.build_gold() == ["extra"]
    reviews.run(batch)

    reviews.settler().silver(batch)

    assert "extra" in build(reviews)
    assert sorted(r["review_count"] for r in reviews.rows("extra", "dm_gold")) == [1, 1, 30]


SHOP = {
    "purchase": """
      - {name: client_id, physicalType: bigint}
      - {name: bought_at, physicalType: timestamptz}
      - {name: value, physicalType: "numeric(12,2)"}
    customProperties:
      - {property: partition, value: {column: bought_at, year: bought_year, month: bought_month}}
""",
    "client": "      - {name: region, physicalType: varchar(20), classification: public}\n",
    "profile": "      - {name: client_id, physicalType: bigint}\n",
    "review": "      - {name: purchase_id, physicalType: bigint}\n",
}
BY_MONTH = """-- description: Purchases and their value by month and region.
-- layer: gold
-- fact: purchase
-- join: client on client_id = client_id
-- partition: bought_year, bought_month
SELECT p.bought_year, p.bought_month, c.region, count(*) AS purchases, sum(p.value) AS value
FROM purchase p
LEFT JOIN client c ON c.client_id = p.client_id
GROUP BY p.bought_year, p.bought_month, c.region
"""


@pytest.fixture
def shop(make_lake: Callable[[Path], Lake], tmp_path: Path) -> Lake:
    """A shop without anything of the demo, but tables that are called like some of its."""
    for table, rest in SHOP.items():
        (tmp_path / f"{table}.yaml").write_text(contract_head(table) + rest.lstrip("\n"))
    (tmp_path / "derived").mkdir()
    (tmp_path / "derived" / "purchases_by_month.sql").write_text(BY_MONTH)
    return make_lake(tmp_path)


def by_month(shop: Lake) -> list[tuple[object, ...]]:
    return sorted((r["bought_month"], r["region"], r["purchases"], r["value"]) for r in shop.rows("purchases_by_month", "dm_gold"))


def test_gold_of_another_domain_is_one_file_and_follows_its_fact_and_its_dimension_by_months(shop: Lake) -> None:
    bought = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 1, 2)]
    values = [Decimal("10.50"), Decimal("1.50"), Decimal("2.00")]
    purchases = [insert("purchase", 10 + n, purchase_id=n, client_id=1 + n // 2, bought_at=bought[n], value=values[n]) for n in range(3)]
    shop.arrives(*purchases)
    shop.arrives(insert("client", 20, client_id=1, region="North"), insert("client", 21, client_id=2, region="South"))
    shop.arrives(insert("profile", 22, profile_id=1, client_id=1))
    shop.arrives(insert("review", 23, review_id=1, purchase_id=1))
    assert build(shop) == ["purchases_by_month"]
    assert by_month(shop) == [(1, "North", 2, Decimal("12.00")), (2, "South", 1, Decimal("2.00"))]

    shop.arrives(update("client", 30, client_id=2, region="West"))
    shop.merge()

    assert list(shop.control.months.pending("gold/purchases_by_month")) == ["2026-02"]
    assert shop.build_gold() == ["purchases_by_month"]
    assert by_month(shop) == [(1, "North", 2, Decimal("12.00")), (2, "West", 1, Decimal("2.00"))]


def test_without_derived_tables_nothing_is_planned_and_the_plan_says_why(make_lake: Callable[[Path], Lake], tmp_path: Path) -> None:
    (tmp_path / "review.yaml").write_text(contract_head("review") + SHOP["review"])
    shop = make_lake(tmp_path)
    shop.arrives(insert("review", 1, review_id=1, purchase_id=1))

    assert build(shop) == []

    for layer in ("silver", "gold"):
        answer = shop.planner().derived(layer).answer()
        assert answer["batches"] == []
        assert f"no derived/*.sql of layer {layer}" in answer["skipped"][0]["reason"]
    assert not catalog().table_exists(("dm_silver", "review_flat"))
