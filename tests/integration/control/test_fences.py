"""A fence puts the files behind it back to bronze, whatever dies between keeping it and doing so."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batches import plan
from datamaster.aws.deploy.stacks import Outputs
from lake.control import ControlTable, Fence, NewFile, Outcome
from lake.control.fences import CLOCK_SLACK, Fences
from lake.control.items import table_key
from lake.control.listing import FileListing
from lake.keys import file_id

pytestmark = pytest.mark.integration
LONG_AGO = "2024-01-01T00:00:00.000000Z"


class Fenced:
    """A table with one merged file and a fence in front of its records that was kept, and no more."""

    def __init__(self, control: ControlTable, patch: pytest.MonkeyPatch) -> None:
        self.control, self.table = control, f"t{uuid.uuid4().hex[:10]}"
        self.fence = Fence(datetime.now(UTC))
        key = f"raw/{self.table}/a.gz"
        control.files.register(NewFile("stage", key, "v1", "etag", self.table, "json", 10))
        self.file = file_id("stage", key, "v1")
        record = control.files.start(self.file, "execution", 60)
        built = datetime.now(UTC)
        outcome = Outcome(1, 1, 0, ("bronze/a",), built_at_min=built, built_at_max=built)
        control.complete(self.file, str(record.lease_token), outcome)
        control.files.assign(self.file, "20200101T000000000000-batch")
        control.files.settle(self.file, "20200101T000000000000-batch", None)
        with patch.context() as crash:
            crash.setattr(Fences, "requeue_newer", _dies)
            with pytest.raises(ConnectionError):
                control.fences.add(self.table, self.fence)

    @property
    def status(self) -> str:
        return self.control.files.get(self.file).status

    def grow_old(self) -> None:
        (item,) = self.control.items.under(table_key(self.table, "fence#"))
        self.control.items.table.put_item(Item=item | table_key(self.table, item["sk"]) | {"seen_at": LONG_AGO})


def _dies(*_: Any) -> int:
    raise ConnectionError("the worker died here")


@pytest.fixture
def fenced(lake_stacks: Outputs, monkeypatch: pytest.MonkeyPatch) -> Fenced:
    return Fenced(ControlTable(lake_stacks["control"]["TableName"]), monkeypatch)


def test_a_fence_whose_keeper_died_is_made_good_when_it_comes_again(fenced: Fenced) -> None:
    assert fenced.status == "silver"

    assert not fenced.control.fences.add(fenced.table, fenced.fence)

    assert fenced.status == "bronze"


def test_an_old_fence_whose_keeper_died_is_made_good_by_the_next_plan_and_once(fenced: Fenced) -> None:
    fenced.grow_old()
    planner = plan.Planner(None, fenced.control, None, "execution")

    planner._requeue_behind_fresh_fences(fenced.table)

    assert fenced.status == "bronze"
    (item,) = fenced.control.items.under(table_key(fenced.table, "fence#"))
    assert item["requeued_at"]


def test_a_fence_reads_no_file_registered_long_before_it(fenced: Fenced, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    files = FileListing.files
    monkeypatch.setattr(FileListing, "files", lambda self, **named: asked.append(named.get("since")) or files(self, **named))
    later = Fence(fenced.fence.at + timedelta(seconds=1))

    fenced.control.fences.add(fenced.table, later)

    assert asked == [later.at - CLOCK_SLACK]
