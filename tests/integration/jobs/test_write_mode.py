"""A large table without months, and its history, are merged on read; what that leaves behind is bounded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from domain import Lake, contract_head, delete, insert, load, update

pytestmark = pytest.mark.integration

ITEM = (
    contract_head("item")
    + """\
      - {name: label, physicalType: varchar(20), classification: public}
    customProperties:
      - {property: history, value: true}
"""
)
LARGE = 0
"""Bytes from which on a table counts as large here."""


@pytest.fixture
def lake(make_lake: Callable[[Path], Lake], tmp_path: Path) -> Lake:
    (tmp_path / "item.yaml").write_text(ITEM)
    return make_lake(tmp_path)


def files(table: str) -> tuple[set[str], set[str]]:
    """The data files and the delete files of a table."""
    from catalog import SILVER, catalog
    from inventory import live_files

    live = live_files(catalog().load_table((SILVER, table)))
    return {file.uri for file in live if not file.deletes}, {file.uri for file in live if file.deletes}


def batch(lake: Lake, number: int) -> None:
    """Item 1 gets another label, item 2 is deleted or written again."""
    second = (
        delete("item", number * 10 + 1, number, item_id=2) if number % 2 else insert("item", number * 10 + 1, number, item_id=2, label="b")
    )
    lake.arrives(update("item", number * 10, number, item_id=1, label=f"label {number}"), second)
    lake.merge()


def holds(lake: Lake, last: int) -> None:
    """Silver and history are what so many batches leave."""
    live = {1: f"label {last}"} | ({} if last % 2 else {2: "b"})
    assert {row["item_id"]: row["label"] for row in lake.live_rows("item")} == live
    versions = [row for row in lake.rows("item_history") if row["item_id"] == 1]
    assert sorted(row["label"] for row in versions) == [f"label {number}" for number in range(1, last + 1)]
    assert [row["label"] for row in versions if row["is_current"]] == [f"label {last}"]
    second = [row for row in lake.rows("item_history") if row["item_id"] == 2]
    assert (len(second), sum(row["is_current"] for row in second)) == (last // 2, 1 - last % 2)


@pytest.mark.parametrize("table", ["item", "item_history"])
def test_a_batch_leaves_the_files_of_a_large_table_as_they_are(lake: Lake, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    import write_mode

    monkeypatch.setattr(write_mode, "MERGE_ON_READ_BYTES", LARGE)
    batch(lake, 1)
    batch(lake, 2)
    before, _ = files(table)
    batch(lake, 3)
    after, deletes = files(table)
    assert before < after
    assert deletes
    holds(lake, 3)


def test_a_batch_writes_a_small_table_anew(lake: Lake) -> None:
    batch(lake, 1)
    before, _ = files("item")
    batch(lake, 2)
    after, deletes = files("item")
    assert not before & after
    assert not deletes
    holds(lake, 2)


def test_the_batch_that_finds_many_delete_files_rewrites_the_table_first(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    import write_mode

    monkeypatch.setattr(write_mode, "MERGE_ON_READ_BYTES", LARGE)
    monkeypatch.setattr(write_mode, "DELETE_FILES", 3)
    most = {"item": 0, "item_history": 0}
    for number in range(1, 9):
        batch(lake, number)
        most = {table: max(seen, len(files(table)[1])) for table, seen in most.items()}
    assert 0 < most["item"] <= 6
    assert 0 < most["item_history"] <= 6
    holds(lake, 8)


def test_a_table_that_has_become_small_again_is_written_anew(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    import write_mode

    monkeypatch.setattr(write_mode, "MERGE_ON_READ_BYTES", LARGE)
    for number in (1, 2, 3):
        batch(lake, number)
    assert files("item")[1]
    monkeypatch.setattr(write_mode, "MERGE_ON_READ_BYTES", 1_000_000)
    before, _ = files("item")
    batch(lake, 4)
    assert not before <= files("item")[0]
    holds(lake, 4)


def test_a_reload_ends_what_it_does_not_bring_in_a_large_table_too(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    import write_mode

    monkeypatch.setattr(write_mode, "MERGE_ON_READ_BYTES", LARGE)
    batch(lake, 1)
    batch(lake, 2)
    lake.fence("item", 10)
    lake.arrives(load("item", 11, item_id=1, label="again"))
    lake.source_says_loaded("item", 1)
    lake.merge()
    assert files("item")[1]
    lake.merge()
    assert {row["item_id"]: row["label"] for row in lake.live_rows("item")} == {1: "again"}
    assert [(row["item_id"], row["label"]) for row in lake.rows("item_history") if row["is_current"]] == [(1, "again")]
