"""History holds every version of a row, in the source's order, whatever order they came in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from lake import cdc
from tests.integration.jobs.domain import MIDNIGHT, Change, Lake, contract_head, delete, insert, load, place, rekey, update

pytestmark = pytest.mark.integration

ITEM = (
    contract_head("item")
    + """\
      - {name: label, physicalType: varchar(20), classification: public, quality: [{metric: nullValues, severity: quarantine}]}
      - {name: body, physicalType: text, classification: public}
    customProperties:
      - {property: history, value: true}
"""
)


@pytest.fixture
def lake(make_lake: Callable[[Path], Lake], tmp_path: Path) -> Lake:
    (tmp_path / "item.yaml").write_text(ITEM)
    return make_lake(tmp_path)


def minutes(moment: Any) -> float | None:
    return None if moment is None else (moment - MIDNIGHT.replace(tzinfo=None)).total_seconds() / 60


def versions(lake: Lake, number: int = 1) -> list[tuple[Any, ...]]:
    """Label, valid from and to in minutes after midnight, and whether it is the current one."""
    rows = [row for row in lake.rows("item_history") if row["item_id"] == number]
    rows.sort(key=lambda row: row["valid_from"])
    return [(row["label"], minutes(row["valid_from"]), minutes(row["valid_to"]), row["is_current"]) for row in rows]


def life(number: int = 1, base: int = 0) -> list[Change]:
    """A row's life: written at minute 1, changed at 2, deleted at 3, written again at 4."""
    return [
        insert("item", base + 10, 1, item_id=number, label="a"),
        update("item", base + 20, 2, item_id=number, label="b"),
        delete("item", base + 30, 3, item_id=number),
        insert("item", base + 40, 4, item_id=number, label="c"),
    ]


LIFE = [("a", 1, 2, False), ("b", 2, 3, False), ("c", 4, None, True)]


def test_each_version_is_valid_until_the_next(lake: Lake) -> None:
    lake.arrives(*life())

    lake.merge()

    assert versions(lake) == LIFE


def test_versions_are_the_same_in_any_order_of_arrival(lake: Lake) -> None:
    orders = list(permutations(range(4)))[::3]
    for turn in range(4):
        for case, order in enumerate(orders):
            lake.arrives(life(case, case * 100)[order[turn]])
        lake.merge()

    assert [versions(lake, case) for case in range(len(orders))] == [LIFE] * len(orders)


def test_the_same_changes_again_add_nothing(lake: Lake) -> None:
    lake.arrives(*life())
    lake.merge()
    lake.arrives(*life())

    lake.merge()

    assert versions(lake) == LIFE


def test_equal_consecutive_images_are_one_version(lake: Lake) -> None:
    lake.arrives(
        insert("item", 10, 1, item_id=1, label="a"),
        update("item", 20, 2, item_id=1, label="a"),
        update("item", 30, 3, item_id=1, label="b"),
    )

    lake.merge()

    assert versions(lake) == [("a", 1, 3, False), ("b", 3, None, True)]


def test_a_late_change_between_equal_images_parts_them(lake: Lake) -> None:
    lake.arrives(insert("item", 10, 1, item_id=1, label="a"), update("item", 30, 3, item_id=1, label="a"))
    lake.merge()
    lake.arrives(update("item", 20, 2, item_id=1, label="b"))

    lake.merge()

    assert versions(lake) == [("a", 1, 2, False), ("b", 2, 3, False), ("a", 3, None, True)]


def test_a_transaction_leaves_one_version(lake: Lake) -> None:
    first = insert("item", 10, 1, item_id=1, label="draft")
    second = Change("item", "update", place(10).replace("0000000001-", "0000000002-"), 1, {"item_id": 1, "label": "final"})
    lake.arrives(first, second)

    lake.merge()

    assert versions(lake) == [("final", 1, None, True)]


def test_a_load_is_valid_from_its_snapshot(lake: Lake) -> None:
    lake.fence("item", 5)
    lake.arrives(load("item", 7, item_id=1, label="a"))

    lake.merge()

    assert versions(lake) == [("a", 5, None, True)]


def test_changes_that_a_reload_overtook_keep_their_times(lake: Lake) -> None:
    lake.arrives(insert("item", 10, 1, item_id=1, label="a"))
    lake.fence("item", 5)
    overtaken = [replace(update("item", 20 + n, 8, item_id=1, label=label), committed=3 + n) for n, label in enumerate("bc")]
    lake.arrives(load("item", 7, item_id=1, label="c"), *overtaken)

    lake.merge()

    assert versions(lake) == [("a", 1, 3, False), ("b", 3, 4, False), ("c", 4, None, True)]


def test_a_version_that_a_reload_brings_again_goes_on_whenever_it_is_derived(lake: Lake) -> None:
    lake.arrives(insert("item", 10, 1, item_id=1, label="a"))
    lake.fence("item", 5)
    lake.arrives(load("item", 7, item_id=1, label="a"))
    lake.source_says_loaded("item", 1)
    lake.merge()
    lake.merge()
    lake.arrives(load("item", 7, item_id=1, label="a"))

    lake.merge()

    assert versions(lake) == [("a", 1, None, True)]


def test_of_two_loads_whose_second_fence_is_late_the_later_one_is_the_version(lake: Lake) -> None:
    lake.fence("item", 5)
    lake.arrives(load("item", 7, item_id=1, label="b", body="z"), load("item", 9, item_id=1, label="a", body="y"))
    lake.merge()
    between = [(*version, row["body"]) for version, row in zip(versions(lake), lake.rows("item_history"), strict=True)]
    lake.fence("item", 8)

    lake.merge()

    assert between == [("a", 5, None, True, "y")]
    assert versions(lake) == [("b", 5, 8, False), ("a", 8, None, True)]


def test_a_row_that_a_reload_does_not_bring_ends_with_it(lake: Lake) -> None:
    lake.arrives(insert("item", 10, 1, item_id=1, label="a"))
    lake.merge()
    lake.fence("item", 5)
    lake.arrives(load("item", 7, item_id=2, label="b"))
    lake.source_says_loaded("item", 1)
    lake.merge()

    lake.merge()

    assert versions(lake) == [("a", 1, 5, False)]
    assert versions(lake, 2) == [("b", 5, None, True)]


def test_what_a_rule_held_back_from_silver_is_in_history(lake: Lake) -> None:
    lake.arrives(insert("item", 10, 1, item_id=1, label="a"), update("item", 20, 2, item_id=1, label=None))

    lake.merge()

    assert [row["label"] for row in lake.live_rows("item")] == ["a"]
    assert versions(lake) == [("a", 1, 2, False), (None, 2, None, True)]


def test_a_column_that_an_update_left_out_is_filled(lake: Lake) -> None:
    lake.arrives(insert("item", 10, 1, item_id=1, label="a", body="text"), update("item", 20, 2, ("body",), item_id=1, label="b"))

    lake.merge()

    assert sorted((row["label"], row["body"]) for row in lake.rows("item_history")) == [("a", "text"), ("b", "text")]


def test_a_column_that_key_changes_left_out_is_the_old_keys_in_any_order_of_arrival(lake: Lake) -> None:
    orders = list(permutations(range(3)))
    for turn in range(3):
        for case, order in enumerate(orders):
            key, at = case * 10 + 1, case * 100
            steps = [
                insert("item", at + 10, 1, item_id=key, label="a", body="text"),
                rekey("item", at + 20, {"item_id": key}, {"item_id": key + 1}, label="b", body=None, unchanged=("body",), built=2),
                rekey("item", at + 30, {"item_id": key + 1}, {"item_id": key + 2}, label="c", body=None, unchanged=("body",), built=3),
            ]
            lake.arrives(steps[order[turn]])
        lake.merge()

    found = sorted((row["item_id"], row["label"], row["body"]) for row in lake.rows("item_history"))
    assert found == [(case * 10 + 1 + step, "abc"[step], "text") for case in range(len(orders)) for step in range(3)]


def test_an_exported_row_holds_from_right_behind_the_change_before_it_where_that_is_later_than_its_time(lake: Lake) -> None:
    exported = replace(load("item", 4, item_id=1, label="b"), position=str(cdc.Position(12, 0)))
    lake.arrives(insert("item", 10, 5, item_id=1, label="a"), exported, update("item", 13, 6, item_id=1, label="b"))

    lake.merge()

    (first, *held, _), (second, _, until, is_current) = versions(lake)
    assert (first, held) == ("a", [5, pytest.approx(5, abs=1e-6)])
    assert held[0] < held[1]
    assert (second, until, is_current) == ("b", None, True)
