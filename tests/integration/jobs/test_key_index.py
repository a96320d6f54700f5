"""The index of keys finds every row that the table would, whatever has happened to the table since it was made."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.jobs.domain import Lake, delete, insert, update
from tests.integration.jobs.test_maintenance import maintain

pytestmark = pytest.mark.integration
MARCH, APRIL, MAY = 1583020800, 1585699200, 1588291200


@pytest.fixture(autouse=True)
def worth_it_from_one_file(engine: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.silver import key_index

    monkeypatch.setattr(key_index, "FROM_FILES", 1)
    monkeypatch.setattr(key_index, "YOUNG_SHARE", 1)


def young(lake: Lake) -> set[tuple[int, int]] | None:
    """The months that the index leaves to the table; None where there is no index to use."""
    from jobs.silver import key_index

    found = key_index.find("review", ["review_id", "review_year", "review_month"])
    return None if found is None else set(found.young)


def where(lake: Lake) -> dict[int, list[tuple[int, bool]]]:
    """Month and life of every row of each review: a review that was not found where it lies is there twice."""
    found: dict[int, list[tuple[int, bool]]] = {}
    for row in lake.rows("review"):
        found.setdefault(row["review_id"], []).append((row["review_month"], row["deleted_at"] is None))
    return found


def two_months(lake: Lake) -> None:
    lake.arrives(*(insert("review", 10 + n, review_id=n, review_time=month) for n, month in enumerate((MARCH, APRIL, APRIL))))
    lake.merge("review")
    maintain(lake, "review")


def test_rows_are_found_by_the_index_of_their_keys(lake: Lake) -> None:
    two_months(lake)
    assert young(lake) == set()
    lake.arrives(update("review", 20, review_id=0, review_time=MAY), delete("review", 21, review_id=1))

    lake.merge("review")

    assert where(lake) == {0: [(5, True)], 1: [(4, False)], 2: [(4, True)]}


def test_rows_that_came_after_the_index_are_found_in_the_table(lake: Lake) -> None:
    two_months(lake)
    lake.arrives(insert("review", 20, review_id=7, review_time=MAY), update("review", 21, review_id=0, review_time=APRIL))
    lake.merge("review")
    assert young(lake) == {(2020, 4), (2020, 5)}  # nothing is left of March
    lake.arrives(delete("review", 30, review_id=7), update("review", 31, review_id=0, review_time=MARCH))

    lake.merge("review")

    assert where(lake) == {0: [(3, True)], 1: [(4, True)], 2: [(4, True)], 7: [(5, False)]}


def test_the_index_is_made_anew_when_much_of_the_table_is_younger(lake: Lake) -> None:
    two_months(lake)
    lake.arrives(*(insert("review", 20 + n, review_id=7 + n, review_time=month) for n, month in enumerate((MARCH, APRIL))))
    lake.merge("review")
    assert young(lake) == {(2020, 3), (2020, 4)}

    maintain(lake, "review")

    assert young(lake) == set()
    assert sorted(row["review_id"] for row in lake.rows("review_keys")) == [0, 1, 2, 7, 8]


def test_an_index_whose_snapshot_has_expired_is_made_anew(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.silver import key_index

    monkeypatch.setattr(key_index, "YOUNG_SHARE", 0)
    two_months(lake)
    lake.arrives(insert("review", 20, review_id=7, review_time=MAY))
    lake.merge("review")

    maintain(lake, "review", keep_days=1)
    assert young(lake) == {(2020, 5)}

    maintain(lake, "review")
    assert young(lake) == set()


def test_an_index_of_another_history_is_not_used(lake: Lake) -> None:
    from jobs.iceberg.catalog import catalog

    two_months(lake)
    before = catalog().load_table(("dm_silver", "review")).current_snapshot()
    lake.arrives(update("review", 20, review_id=0, review_time=APRIL))
    lake.merge("review")
    maintain(lake, "review", keep_days=1)
    assert young(lake) == set()
    with catalog().load_table(("dm_silver", "review")).manage_snapshots() as change:
        change.set_current_snapshot(before.snapshot_id)

    assert young(lake) is None
    lake.arrives(delete("review", 30, review_id=0))
    lake.merge("review")
    assert where(lake)[0] == [(3, False)]


def test_a_table_of_few_files_has_no_index(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.silver import key_index

    monkeypatch.setattr(key_index, "FROM_FILES", 3)
    two_months(lake)

    assert young(lake) is None


def test_the_index_is_looked_after_with_its_table(lake: Lake) -> None:
    two_months(lake)
    lake.arrives(insert("review", 20, review_id=7, review_time=MARCH), insert("review", 21, review_id=8, review_time=APRIL))
    lake.merge("review")
    done: dict[str, Any] = {table["table"]: table for table in maintain(lake, "review")}
    done = {table["table"]: table for table in maintain(lake, "review")}

    assert done["review_keys"]["after"] | {"stored_objects": 0, "stored_bytes": 0, "bytes": 0} == {
        "partitions": 1,
        "files": 1,
        "delete_files": 0,
        "bytes": 0,
        "snapshots": 1,
        "stored_objects": 0,
        "stored_bytes": 0,
    }
