"""Two writers of one table: what the later one has read is old, so it reads anew. Neither commit is lost."""

from __future__ import annotations

import pytest

from tests.integration.jobs.domain import Lake, another_writer, insert, update

pytestmark = pytest.mark.integration


def test_a_merge_that_another_commit_overtook_is_made_again_upon_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.silver import merge_job

    lake.arrives(*(insert("beer", 10 + n, beer_id=n, beer_name="before") for n in range(20)))
    lake.merge("beer")
    refused: list[str] = []
    merge = merge_job.Batch.merge

    def watched(*arguments: object) -> object:
        try:
            return merge(*arguments)
        except Exception as error:
            refused.append(str(error))
            raise

    monkeypatch.setattr(merge_job.Batch, "merge", watched)
    with another_writer(lambda: bool(refused)) as written:
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
    from jobs.silver import merge_job

    lake.arrives(insert("beer", 10, beer_id=1))
    tried: list[object] = []

    def fails(*arguments: object) -> None:
        tried.append(arguments)
        raise RuntimeError("the engine is gone")

    monkeypatch.setattr(merge_job.Batch, "merge", fails)
    with pytest.raises(RuntimeError, match="the engine is gone"):
        lake.merge("beer")
    assert len(tried) == 1
