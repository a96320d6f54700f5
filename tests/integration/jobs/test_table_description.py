"""dm table show tells what the table's metadata says: partitions, files, sizes, snapshots."""

from __future__ import annotations

import pytest

from datamaster.platform import lake_tables
from tests.integration.jobs.domain import Lake, insert, update

pytestmark = pytest.mark.integration
MARCH, APRIL = 1583020800, 1585699200


def test_a_table_is_described_by_partition_and_snapshot(lake: Lake) -> None:
    lake.arrives(*(insert("review", 10 + n, review_id=n, review_time=MARCH if n < 3 else APRIL) for n in range(4)))
    lake.merge("review")
    lake.arrives(update("review", 20, review_id=1, review_time=MARCH, review_overall=1.0))
    lake.merge("review")

    table = lake_tables.describe("review")

    assert [(line.partition, line.rows, line.files) for line in table.partitions] == [
        ("review_year=2020/review_month=3", 3, 1),
        ("review_year=2020/review_month=4", 1, 1),
    ]
    newest, first = table.snapshots
    assert (first.rows_added, newest.rows_added - newest.rows_removed) == (4, 0)
    assert table.totals["rows"] == 4
    assert table.totals["bytes"] > 0
    assert table.totals["last_changed_at"] == newest.committed_at >= first.committed_at
    assert table.partitions[0].last_changed_at == newest.committed_at
    assert "dm_silver.review" in lake_tables.names()


def test_rows_that_a_delete_file_takes_away_are_not_counted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.iceberg import tables

    monkeypatch.setattr(tables, "PROPERTIES", tables.PROPERTIES | {"write.merge.mode": "merge-on-read"})
    lake.arrives(*(insert("beer", 10 + n, beer_id=n) for n in range(4)))
    lake.merge("beer")
    lake.arrives(update("beer", 20, beer_id=1, beer_name="Gose"))
    lake.merge("beer")

    (line,) = lake_tables.describe("beer").partitions

    assert line.delete_files
    assert line.rows == len(lake.rows("beer")) == 4


def test_a_table_that_there_is_not_is_refused_with_those_that_there_are(lake: Lake) -> None:
    lake.arrives(insert("beer", 10, beer_id=1))
    lake.merge("beer")

    with pytest.raises(lake_tables.NotInLake, match=r'no table "ale" in the lake; known: dm_silver\.beer'):
        lake_tables.describe("ale")
