"""Silver is equal to the fold of its changes by position, in whatever order they come."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.integration.jobs.domain import Change, Lake, delete, insert, load, rekey, update

pytestmark = pytest.mark.integration
MARCH, APRIL = 1583020800, 1585699200  # the first seconds of March and April 2020


def beers(lake: Lake) -> list[tuple[int, str]]:
    return [(row["beer_id"], row["beer_name"]) for row in lake.live_rows("beer")]


def beer(operation: Any, position: float, number: int = 7, name: str = "Saison") -> Change:
    return operation("beer", position, beer_id=number, beer_name=name)


def test_a_loaded_row_is_a_live_row(lake: Lake) -> None:
    lake.arrives(load("beer", beer_id=1, beer_name="Orval", beer_abv=6.2))

    lake.merge("beer")

    assert lake.live_rows("beer", "beer_id", "beer_name", "beer_abv") == [{"beer_id": 1, "beer_name": "Orval", "beer_abv": 6.2}]


def test_the_same_file_twice_changes_nothing(lake: Lake) -> None:
    changes = [beer(insert, 10), beer(update, 20, name="Tripel"), delete("beer", 30, beer_id=8)]
    lake.arrives(*changes)
    lake.merge("beer")
    before = lake.rows("beer")
    lake.arrives(*changes, *changes)

    lake.merge("beer")

    assert sorted(lake.rows("beer"), key=lambda r: r["beer_id"]) == sorted(before, key=lambda r: r["beer_id"])


def test_several_updates_in_one_batch_leave_the_last(lake: Lake) -> None:
    lake.arrives(beer(update, 30, name="third"), beer(insert, 10, name="first"), beer(update, 20, name="second"))

    lake.merge("beer")

    assert beers(lake) == [(7, "third")]


def test_files_out_of_order_leave_the_last(lake: Lake) -> None:
    lake.arrives(beer(update, 30, name="third"))
    lake.merge("beer")
    lake.arrives(beer(update, 20, name="second"))

    lake.merge("beer")

    assert beers(lake) == [(7, "third")]


def test_insert_delete_and_insert_again_in_one_batch_leave_the_row_live(lake: Lake) -> None:
    lake.arrives(beer(insert, 10), delete("beer", 20, beer_id=7), beer(insert, 30, name="again"))

    lake.merge("beer")

    assert beers(lake) == [(7, "again")]


def test_insert_and_delete_in_one_batch_leave_a_deleted_row_with_its_values(lake: Lake) -> None:
    lake.arrives(beer(insert, 10), delete("beer", 20, beer_id=7))

    lake.merge("beer")

    assert beers(lake) == []
    assert lake.row("beer", beer_id=7).beer_name == "Saison"


def test_a_delete_carries_only_its_key_and_keeps_the_other_values(lake: Lake) -> None:
    lake.arrives(beer(insert, 10))
    lake.merge("beer")
    lake.arrives(delete("beer", 20, beer_id=7))

    lake.merge("beer")

    row = lake.row("beer", beer_id=7)
    assert row.deleted_at is not None
    assert (row.beer_name, row.brewery_id) == ("Saison", 1)


def test_a_delete_that_arrives_before_its_insert_leaves_the_row_deleted(lake: Lake) -> None:
    lake.arrives(delete("beer", 20, beer_id=7))
    lake.merge("beer")
    lake.arrives(beer(insert, 10))

    lake.merge("beer")

    assert beers(lake) == []
    assert lake.row("beer", beer_id=7).deleted_at is not None


def test_a_deleted_row_that_returns_is_live_and_keeps_its_first_sight(lake: Lake) -> None:
    lake.arrives(beer(insert, 10))
    lake.merge("beer")
    first = lake.row("beer", beer_id=7).created_at
    lake.arrives(delete("beer", 20, beer_id=7))
    lake.merge("beer")
    lake.arrives(beer(insert, 30))

    lake.merge("beer")

    row = lake.row("beer", beer_id=7)
    assert (row.deleted_at, row.created_at) == (None, first)
    assert row.updated_at > first


def test_a_late_change_of_a_live_row_is_not_an_update(lake: Lake) -> None:
    lake.arrives(beer(update, 30))
    lake.merge("beer")
    updated = lake.row("beer", beer_id=7).updated_at
    lake.arrives(beer(insert, 10))

    lake.merge("beer")

    assert lake.row("beer", beer_id=7).updated_at == updated


def test_an_update_to_null_is_applied(lake: Lake) -> None:
    lake.arrives(insert("beer", 10, beer_id=7, beer_abv=6.5))
    lake.merge("beer")
    lake.arrives(update("beer", 20, beer_id=7, beer_abv=None))

    lake.merge("beer")

    assert lake.row("beer", beer_id=7).beer_abv is None


class TestMonths:
    def months(self, lake: Lake) -> list[tuple[int, int, int]]:
        return [tuple(r.values()) for r in lake.live_rows("review", "review_id", "review_year", "review_month")]

    def test_a_review_that_moved_month_is_there_once(self, lake: Lake) -> None:
        lake.arrives(insert("review", 10, review_id=1, review_time=MARCH))
        lake.merge("review")
        lake.arrives(update("review", 20, review_id=1, review_time=APRIL))

        lake.merge("review")

        assert self.months(lake) == [(1, 2020, 4)]
        assert len(lake.rows("review")) == 1

    def test_a_late_change_does_not_move_it_back(self, lake: Lake) -> None:
        lake.arrives(update("review", 20, review_id=1, review_time=APRIL))
        lake.merge("review")
        lake.arrives(insert("review", 10, review_id=1, review_time=MARCH))

        lake.merge("review")

        assert self.months(lake) == [(1, 2020, 4)]
        assert len(lake.rows("review")) == 1

    def test_a_delete_finds_the_row_in_its_month(self, lake: Lake) -> None:
        lake.arrives(insert("review", 10, review_id=1, review_time=MARCH))
        lake.merge("review")
        lake.arrives(delete("review", 20, review_id=1))

        lake.merge("review")

        row = lake.row("review", review_id=1)
        assert row.deleted_at is not None
        assert (row.review_year, row.review_month) == (2020, 3)

    def test_a_tombstone_lies_in_its_own_partition_until_its_row_returns(self, lake: Lake) -> None:
        lake.arrives(delete("review", 20, review_id=1))
        lake.merge("review")
        tombstone = lake.row("review", review_id=1)
        assert (tombstone.review_year, tombstone.review_month) == (0, 0)
        lake.arrives(insert("review", 30, review_id=1, review_time=MARCH))

        lake.merge("review")

        assert self.months(lake) == [(1, 2020, 3)]
        assert len(lake.rows("review")) == 1


class TestKeyChanges:
    def test_the_old_key_is_deleted_and_the_new_one_live(self, lake: Lake) -> None:
        lake.arrives(beer(insert, 10, 1))
        lake.merge("beer")
        lake.arrives(rekey("beer", 20, {"beer_id": 1}, {"beer_id": 2}, beer_name="Saison"))

        lake.merge("beer")

        assert beers(lake) == [(2, "Saison")]
        assert lake.row("beer", beer_id=1).deleted_at is not None

    def test_a_swap_of_two_keys_converges_in_any_order(self, lake: Lake) -> None:
        orders = list(permutations(range(3)))
        for case in range(len(orders)):
            lake.arrives(beer(insert, 1, case * 10 + 1, "one"), beer(insert, 2, case * 10 + 2, "two"))
        for turn in range(3):
            for case, order in enumerate(orders):
                one, two, spare, place = case * 10 + 1, case * 10 + 2, case * 10 + 9, case * 10
                moves = [
                    rekey("beer", place + 10, {"beer_id": one}, {"beer_id": spare}, beer_name="one"),
                    rekey("beer", place + 11, {"beer_id": two}, {"beer_id": one}, beer_name="two"),
                    rekey("beer", place + 12, {"beer_id": spare}, {"beer_id": two}, beer_name="one"),
                ]
                lake.arrives(moves[order[turn]])
            lake.merge("beer")

        expected = [pair for case in range(len(orders)) for pair in ((case * 10 + 1, "two"), (case * 10 + 2, "one"))]
        assert beers(lake) == expected

    def test_a_chain_of_keys_in_one_batch_ends_at_the_last(self, lake: Lake) -> None:
        lake.arrives(
            beer(insert, 1, 1),
            rekey("beer", 10, {"beer_id": 1}, {"beer_id": 2}),
            rekey("beer", 11, {"beer_id": 2}, {"beer_id": 3}),
        )

        lake.merge("beer")

        assert beers(lake) == [(3, "Saison")]
