"""Reloads, aborted loads, early and late fences leave neither ghosts nor losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from beer import CONTRACTS
from lake.generations import Fence
from tests.integration.jobs.domain import Lake, delete, insert, load, minute, place, update

pytestmark = pytest.mark.integration


def names(lake: Lake) -> list[tuple[int, str]]:
    return [(row["brewery_id"], row["brewery_name"]) for row in lake.live_rows("brewery")]


def brewery(n: int, name: str = "x", built: float = 1):
    return load("brewery", built, brewery_id=n, brewery_name=name)


def test_a_reload_replaces_what_the_first_load_brought(lake: Lake) -> None:
    lake.arrives(brewery(1, "old"), update("brewery", 90, brewery_id=1, brewery_name="newer"))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, "reloaded", built=11))

    lake.merge("brewery")

    assert names(lake) == [(1, "reloaded")]


def test_rows_that_a_complete_reload_does_not_bring_are_deleted(lake: Lake) -> None:
    lake.arrives(brewery(1), brewery(2))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, "again", built=11))
    lake.source_says_loaded("brewery", 1)
    lake.merge("brewery")
    assert names(lake) == [(1, "again"), (2, "x")]

    lake.merge("brewery")

    assert names(lake) == [(1, "again")]
    assert lake.row("brewery", brewery_id=2).deleted_at is not None


def test_a_load_by_export_deletes_what_it_did_not_bring_and_changes_around_its_snapshot_keep_their_order(lake: Lake) -> None:
    lake.arrives(brewery(1), brewery(2), brewery(3))
    lake.merge("brewery")
    lake.source_says_loaded("brewery", 3, ended=600)  # the stream's load says nothing of this one
    fence = Fence(minute(10))
    lake.control.loads.export_begins("silver/brewery", fence.generation, "one")
    lake.control.fences.add("brewery", fence)
    lake.arrives(update("brewery", 100, built=10.5, brewery_id=1, brewery_name="before the snapshot"))
    lake.arrives(*(load("brewery", 10, place(200), brewery_id=n, brewery_name="in the snapshot") for n in (1, 3)))
    lake.arrives(update("brewery", 300, built=11, brewery_id=3, brewery_name="behind the snapshot"))

    lake.merge("brewery")
    lake.merge("brewery")
    assert names(lake) == [(1, "in the snapshot"), (2, "x"), (3, "behind the snapshot")]

    lake.control.loads.export_ends("silver/brewery", "another", 2)
    lake.merge("brewery")
    assert [n for n, _ in names(lake)] == [1, 2, 3]

    lake.control.loads.export_ends("silver/brewery", "one", 2)
    lake.merge("brewery")
    assert names(lake) == [(1, "in the snapshot"), (3, "behind the snapshot")]


def test_rows_of_an_export_are_no_rows_of_a_load(lake: Lake) -> None:
    lake.fence("brewery", 10)

    lake.arrives(*(load("brewery", built, place(200), brewery_id=n, brewery_name="x") for n, built in ((1, 10.5), (2, 10))))
    lake.merge("brewery")

    assert [lake.row("brewery", brewery_id=n).cdc_loaded for n in (1, 2)] == [None, Fence(minute(10)).generation]


def test_nothing_is_deleted_while_the_reload_is_incomplete(lake: Lake) -> None:
    lake.arrives(brewery(1), brewery(2))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, built=11))
    lake.source_says_loaded("brewery", 2)

    lake.merge("brewery")
    lake.merge("brewery")

    assert [n for n, _ in names(lake)] == [1, 2]


def test_a_row_of_the_load_that_is_delivered_twice_counts_once(lake: Lake) -> None:
    lake.arrives(brewery(1), brewery(2))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, built=11))
    lake.arrives(brewery(1, built=11))
    lake.source_says_loaded("brewery", 2)

    lake.merge("brewery")
    lake.merge("brewery")

    assert [n for n, _ in names(lake)] == [1, 2]


def test_a_row_of_the_load_counts_where_a_later_change_came_before_it(lake: Lake) -> None:
    lake.arrives(brewery(1), brewery(2))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.arrives(update("brewery", 90, 12, brewery_id=1, brewery_name="changed"))
    lake.merge("brewery")
    changed = lake.row("brewery", brewery_id=1).updated_at
    lake.arrives(brewery(1, built=11))
    lake.source_says_loaded("brewery", 1)

    lake.merge("brewery")
    lake.merge("brewery")

    assert names(lake) == [(1, "changed")]
    assert lake.row("brewery", brewery_id=1).updated_at == changed


def test_rows_of_an_export_do_not_stand_for_load_rows(lake: Lake) -> None:
    lake.arrives(brewery(1), brewery(2))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, built=11), load("brewery", 11, place(70), brewery_id=1, brewery_name="exported"))
    lake.source_says_loaded("brewery", 2)

    lake.merge("brewery")
    lake.merge("brewery")

    assert [n for n, _ in names(lake)] == [1, 2]


def test_the_answer_that_completes_a_load_asks_for_one_more_plan_which_ends_the_older_rows(lake: Lake) -> None:
    lake.fence("brewery", 0)
    lake.arrives(brewery(1), brewery(2))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, "again", built=11))
    lake.source_says_loaded("brewery", 1)

    assert [answer["more"] for answer in lake.merge("brewery")] == [True]
    assert [answer["more"] for answer in lake.merge("brewery")] == [False]
    assert names(lake) == [(1, "again")]


def test_rows_refused_on_their_way_count_once_and_complete_a_load_up_to_the_contracts_ratio(
    make_lake: Callable[[Path], Lake], tmp_path: Path
) -> None:
    ratio = "    customProperties: [{property: rejectRatio, value: 0.5}]\n"
    (tmp_path / "brewery.yaml").write_text((CONTRACTS / "brewery.yaml").read_text() + ratio)
    lake = make_lake(tmp_path)
    lake.arrives(brewery(1), brewery(2), brewery(3))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.refuses("brewery", 9, b"of the load before")
    lake.refuses("brewery", 11, b"two")
    lake.refuses("brewery", 12, b"two")  # delivered again
    lake.arrives(brewery(1, "again", built=11))
    lake.source_says_loaded("brewery", 3)
    lake.merge("brewery")
    assert "1 of its 3 rows have neither come nor been refused" in lake.planner().silver(["brewery"]).skipped[0]["reason"]

    lake.refuses("brewery", 12, b"three")
    assert "2 of its 3 rows were refused" in lake.planner().silver(["brewery"]).skipped[0]["reason"]
    assert "2 of its 3 rows were refused" in str(lake.control.loads.waits("silver/brewery"))
    assert [n for n, _ in names(lake)] == [1, 2, 3]
    lake.control.loads.accept("silver/brewery", max(lake.control.fences.of("brewery")).generation)
    lake.merge("brewery")

    assert names(lake) == [(1, "again")]
    assert lake.control.loads.waits("silver/brewery") is None


def test_statistics_of_the_load_before_do_not_end_the_reload(lake: Lake) -> None:
    lake.arrives(brewery(1), brewery(2))
    lake.merge("brewery")
    lake.source_says_loaded("brewery", 0, ended=5)
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, built=11))

    lake.merge("brewery")
    lake.merge("brewery")

    assert [n for n, _ in names(lake)] == [1, 2]


def test_a_late_row_of_a_retired_generation_stays_deleted(lake: Lake) -> None:
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, built=11))
    lake.source_says_loaded("brewery", 1)
    lake.merge("brewery")
    lake.merge("brewery")
    lake.arrives(brewery(2, "ghost", built=2), insert("brewery", 999, 2, brewery_id=1, brewery_name="ghost"))

    lake.merge("brewery")

    assert names(lake) == [(1, "x")]


def test_an_aborted_load_followed_by_a_new_one_leaves_no_ghost(lake: Lake) -> None:
    lake.fence("brewery", 0)
    lake.arrives(brewery(1, built=1), brewery(2, "ghost", built=1))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, built=11), brewery(3, built=11))
    lake.source_says_loaded("brewery", 2)

    lake.merge("brewery")
    lake.merge("brewery")

    assert [n for n, _ in names(lake)] == [1, 3]


def test_a_fence_that_arrives_late_has_its_records_merged_again(lake: Lake) -> None:
    lake.arrives(update("brewery", 900, 5, brewery_id=1, brewery_name="before the reload"))
    lake.arrives(brewery(1, "reloaded", built=11))
    lake.merge("brewery")
    assert names(lake) == [(1, "before the reload")]
    lake.fence("brewery", 10)

    lake.merge("brewery")

    assert names(lake) == [(1, "reloaded")]


def test_a_fence_that_arrives_early_leaves_older_records_in_their_generation(lake: Lake) -> None:
    lake.fence("brewery", 10)
    lake.arrives(brewery(1, "reloaded", built=11))
    lake.merge("brewery")
    lake.arrives(update("brewery", 900, 5, brewery_id=1, brewery_name="before the reload"))

    lake.merge("brewery")

    assert names(lake) == [(1, "reloaded")]


def test_a_fence_that_arrives_while_its_batch_runs_is_not_missed(lake: Lake) -> None:
    lake.arrives(update("brewery", 900, 5, brewery_id=1, brewery_name="before the reload"))
    identity = lake.arrives(brewery(1, "reloaded", built=11))
    (batch,) = lake.plan("brewery")
    lake.run(batch)
    lake.fence("brewery", 10)
    lake.settler().silver(batch)
    assert lake.status(identity) == "bronze"

    lake.merge("brewery")

    assert names(lake) == [(1, "reloaded")]


def test_truncate_is_repaired_by_a_reload(lake: Lake) -> None:
    lake.arrives(brewery(1), brewery(2))
    lake.merge("brewery")
    lake.fence("brewery", 10)
    lake.source_says_loaded("brewery", 0)

    lake.merge("brewery")

    assert names(lake) == []


def test_a_dropped_table_freezes_with_a_reason(lake: Lake) -> None:
    lake.arrives(brewery(1))
    lake.merge("brewery")
    lake.fence("brewery", 10, "drop-table")
    lake.arrives(brewery(2, built=11))

    plan = lake.planner().silver(["brewery"])

    assert plan.batches == []
    assert "dropped at its source at 2026-01-01" in plan.skipped[0]["reason"]
    assert names(lake) == [(1, "x")]


def test_a_delete_of_the_new_generation_outlives_the_load_of_the_old(lake: Lake) -> None:
    lake.fence("brewery", 10)
    lake.arrives(delete("brewery", 50, 12, brewery_id=1))
    lake.merge("brewery")
    lake.arrives(brewery(1, built=1), brewery(1, built=11))

    lake.merge("brewery")

    assert names(lake) == []


def test_rows_without_a_position_only_fill_missing_keys(lake: Lake) -> None:
    lake.arrives(brewery(1, "known"))
    lake.merge("brewery")
    lake.arrives(
        load("brewery", 5, None, brewery_id=1, brewery_name="foreign"), load("brewery", 5, None, brewery_id=2, brewery_name="foreign")
    )

    lake.merge("brewery")

    assert names(lake) == [(1, "known"), (2, "foreign")]


def test_each_export_of_a_table_without_changes_is_a_generation(make_lake: Callable[[Path], Lake], tmp_path: Path, contracts: Path) -> None:
    (tmp_path / "brewery.yaml").write_text(
        (contracts / "brewery.yaml").read_text() + "    customProperties:\n      - property: cdc\n        value: false\n"
    )
    lake = make_lake(tmp_path)
    lake.arrives(brewery(1, "first"), brewery(2, "first"))
    lake.fence("brewery", 1)
    lake.merge("brewery")
    lake.arrives(brewery(1, "second", built=11))
    lake.fence("brewery", 11)

    lake.merge("brewery")
    lake.merge("brewery")

    assert names(lake) == [(1, "second")]
