"""Two writers of one table: what the later one has read is old, so it reads anew. Neither commit is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest
from domain import Lake, insert, update
from pyiceberg.exceptions import CommitFailedException

pytestmark = pytest.mark.integration
FOREIGN = 1_000


@contextmanager
def another_writer(stopped: threading.Event) -> Iterator[list[int]]:
    """Commits beers, one after the other, until it is stopped or the block ends. Their keys."""
    from catalog import SILVER, catalog

    written: list[int] = []

    def append() -> None:
        row = catalog().load_table((SILVER, "beer")).scan(limit=1).to_arrow()
        place = row.schema.get_field_index("beer_id")
        while not stopped.is_set():
            key = FOREIGN + len(written)
            try:
                catalog().load_table((SILVER, "beer")).append(row.set_column(place, row.schema.field(place), pa.array([key], pa.int64())))
            except CommitFailedException:
                continue
            written.append(key)

    thread = threading.Thread(target=append)
    thread.start()
    try:
        yield written
    finally:
        stopped.set()
        thread.join()


def test_a_merge_that_another_commit_overtook_is_made_again_upon_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    import bronze_to_silver

    lake.arrives(*(insert("beer", 10 + n, beer_id=n, beer_name="before") for n in range(20)))
    lake.merge("beer")
    refused, stopped = [], threading.Event()
    merge = bronze_to_silver.Batch.merge

    def watched(*arguments: object) -> object:
        try:
            return merge(*arguments)
        except Exception as error:
            refused.append(str(error))
            stopped.set()
            raise

    monkeypatch.setattr(bronze_to_silver.Batch, "merge", watched)
    with another_writer(stopped) as written:
        turn = 0
        while not refused and turn < 20:
            turn += 1
            lake.arrives(*(update("beer", 100 * turn + n, beer_id=n, beer_name=f"turn {turn}") for n in range(20)))
            lake.merge("beer")

    assert refused, "nobody's commit came between"
    rows = {row["beer_id"]: row["beer_name"] for row in lake.live_rows("beer")}
    assert [rows.pop(key) for key in range(20)] == [f"turn {turn}"] * 20
    assert sorted(rows) == written


def test_what_fails_without_another_commit_is_not_tried_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    import bronze_to_silver

    lake.arrives(insert("beer", 10, beer_id=1))
    tried: list[object] = []

    def fails(*arguments: object) -> None:
        tried.append(arguments)
        raise RuntimeError("the engine is gone")

    monkeypatch.setattr(bronze_to_silver.Batch, "merge", fails)
    with pytest.raises(RuntimeError, match="the engine is gone"):
        lake.merge("beer")
    assert len(tried) == 1
