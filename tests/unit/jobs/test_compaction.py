"""Which months are rewritten, and how many in one commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.iceberg.inventory import LiveFile
from jobs.upkeep import compaction

ROOT = Path(__file__).resolve().parents[3]
MB = 1024 * 1024


@pytest.mark.parametrize(
    ("sizes", "rewritten"),
    [([1, 1], False), ([1, 1, 1], True), ([128 * MB] * 3, False), ([64 * MB] * 6, True)],
    ids=["two files stay", "three small ones do not", "three full ones stay", "six half ones do not"],
)
def test_a_month_is_rewritten_where_it_lies_in_more_files_than_its_size_asks_for(sizes: list[int], rewritten: bool) -> None:
    files = [LiveFile(f"s3://lake/{n}", (2020, 3), size, False) for n, size in enumerate(sizes)]

    assert compaction.scattered_partitions(files) == ({(2020, 3): sum(sizes)} if rewritten else {})


def test_a_commit_rewrites_no_more_than_its_share_and_at_least_one_month() -> None:
    sizes = {(2020, 1): 300 * MB, (2020, 2): 200 * MB, (2020, 3): 100 * MB, (2020, 4): 900 * MB}

    assert list(compaction.groups(sizes)) == [[(2020, 1), (2020, 2)], [(2020, 3)], [(2020, 4)]]


def test_the_condition_names_each_month_by_literals() -> None:
    condition = compaction.partitions_condition(["y", "m"], [(2020, 3), (0, 0)])

    assert condition == "(y = 2020 and m = 3) or (y = 0 and m = 0)"
