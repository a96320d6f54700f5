"""A derived table that brings no check is compared with what its own SQL makes of the source's rows."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pyarrow as pa
import pytest

from beer import CONTRACTS
from datamaster.verify import compare_lake
from datamaster.verify.report import ROW, TABLE
from lake.contract import ContractSet, contract_files
from lake.control import ControlTable

from .conftest import KEY

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:Delete operation did not match any records")]
FLAT = """-- description: Reviews with what a style needs.
-- layer: silver
-- fact: review
-- join: beer on beer_id = beer_id
-- join: profile on profile_id = profile_id
-- partition: review_year, review_month
SELECT r.review_id, r.review_year, r.review_month, beer.beer_style, profile.email, r.review_taste, r.review_overall
FROM review r LEFT JOIN beer ON beer.beer_id = r.beer_id LEFT JOIN profile ON profile.profile_id = r.profile_id
"""
STYLES = """-- description: Styles by month.
-- layer: gold
-- fact: styled
-- partition: review_year, review_month
WITH styles AS (
    SELECT review_year, review_month, beer_style, count(*) AS reviews, max(email) AS last_email, avg(review_taste) AS taste,
           cast(sum(review_overall) AS decimal(12, 2)) AS total
    FROM styled GROUP BY review_year, review_month, beer_style
)
SELECT review_year, review_month, beer_style, reviews, last_email, taste, total FROM styles
"""
NAME = "dm_gold.styles_by_month"
SCHEMA = pa.schema(
    {
        "review_year": pa.int32(),
        "review_month": pa.int32(),
        "beer_style": pa.string(),
        "reviews": pa.int64(),
        "last_email": pa.string(),
        "taste": pa.float64(),
        "total": pa.decimal128(12, 2),
    }
)


def styles(rows):
    """What the table has to hold, computed row by row; e-mail addresses are hashed in the lake."""
    beers, profiles = ({row[f"{table}_id"]: row for row in rows[table]} for table in ("beer", "profile"))
    groups = defaultdict(list)
    for row in rows["review"]:
        groups[row["review_year"], row["review_month"], beers[row["beer_id"]]["beer_style"]].append(row)
    for (year, month, style), reviews in groups.items():
        emails = [email for row in reviews if (email := profiles[row["profile_id"]]["email"]) is not None]
        tastes, scores = ([row[name] for row in reviews if row[name] is not None] for name in ("review_taste", "review_overall"))
        yield {
            "review_year": year,
            "review_month": month,
            "beer_style": style,
            "reviews": len(reviews),
            "last_email": max(emails, default=None),
            "taste": sum(tastes) / len(tastes) if tastes else None,
            "total": sum(map(Decimal, scores)) if scores else None,
        }


@pytest.fixture
def report_of(lake, source, athena, lake_stacks):
    """``report_of(rows)``: the table's report where the lake holds these rows; None leaves the table out."""
    sql = {"derived/styled.sql": FLAT, "derived/styles_by_month.sql": STYLES}
    contracts = ContractSet.of({name: text for name, text in contract_files(CONTRACTS).items() if name.endswith(".yaml")} | sql)
    control = ControlTable(lake_stacks["control"]["TableName"])

    def report(rows):
        if rows is not None:
            table = lake.catalog.create_table_if_not_exists(NAME, SCHEMA, location=f"s3://{lake.bucket}/{NAME}")
            table.overwrite(pa.Table.from_pylist(rows, SCHEMA))
        found = compare_lake(source, athena, contracts, control, KEY, lambda _text: None)
        return next(table for table in found.tables if table.table == NAME)

    yield report
    if lake.catalog.table_exists(NAME):
        lake.catalog.drop_table(NAME)


def test_an_equal_table_has_no_difference(lake, report_of):
    rows = list(styles(lake.rows))

    report = report_of(rows)

    assert (dict(report.counts), report.trouble) == ({}, ())
    assert report.expected_rows == report.got_rows == len(rows) > 20


def test_a_stale_row_a_missing_row_and_one_too_many_are_found(lake, report_of):
    stale, _, *rest = styles(lake.rows)

    report = report_of([stale | {"taste": 0.5}, *rest, rest[0] | {"beer_style": "Nowhere"}])

    assert dict(report.counts) == {ROW: 4}
    assert any("beer_style Nowhere" in difference.key for difference in report.first)


def test_a_table_that_was_not_built_is_a_difference(report_of):
    assert dict(report_of(None).counts) == {TABLE: 1}
