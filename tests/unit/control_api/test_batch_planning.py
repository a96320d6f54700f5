"""Planning: one table's trouble is its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from batches import load_statistics
from batches.plan import Plan, Planner
from batches.settings import BatchSettings
from beer import CONTRACTS
from lake.contract import Contract, ContractSet
from lake.control.batches import OpenBatch, TargetState
from lake.control.records import Fence

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
STOPPED = ClientError({"Error": {"Code": "InvalidResourceStateFault", "Message": "the replication is stopped"}}, "DescribeTableStatistics")
ENVIRONMENT = {"CONTROL_TABLE": "t", "LAKE_BUCKET": "lake", "CONTRACTS_URI": "s3://a/contracts/", "DMS_TASK_ARN": "arn:task"}


@pytest.fixture
def brewery() -> Contract:
    return ContractSet.from_directory(CONTRACTS).table("brewery")


@pytest.fixture
def make_planner() -> Callable[..., Any]:
    """``make_planner(control=…, batches=…, statistics=…)``: a planner on stand-ins for its stores."""
    settings = BatchSettings.of(ENVIRONMENT)

    def make(**stores: Any) -> Any:
        return Planner(settings=settings, owner="execution-1", **stores)

    return make


def test_a_stopped_replication_has_no_complete_load_and_raises_nothing(brewery: Contract) -> None:
    settings = BatchSettings.of(ENVIRONMENT)
    statistics = load_statistics.LoadStatistics(settings)
    statistics._dms = MagicMock()
    statistics._dms.describe_table_statistics.side_effect = STOPPED

    assert statistics.complete_load(brewery) is None


def test_dms_is_not_asked_about_a_generation_that_is_swept(make_planner: Callable[..., Any], brewery: Contract) -> None:
    fence, statistics, control, batches = Fence(MOMENT, "create-table"), MagicMock(), MagicMock(), MagicMock()
    control.fences.return_value = [fence]
    control.items_of.return_value = control.files.return_value = []
    batches.state.return_value = TargetState(swept_generation=fence.generation)

    assert make_planner(control=control, batches=batches, statistics=statistics)._open_silver(brewery, "1") == "no new files"
    statistics.complete_load.assert_not_called()


def test_a_table_that_cannot_be_planned_is_skipped_with_the_reason_and_stops_no_other(make_planner: Callable[..., Any]) -> None:
    batches = MagicMock()
    batches.get_open.return_value = None
    planner = make_planner(control=MagicMock(), batches=batches, statistics=MagicMock())
    plan = Plan()

    planner._plan(plan, "silver/beer", MagicMock(side_effect=STOPPED))
    planner._plan(plan, "silver/brewery", lambda: OpenBatch("silver/brewery", "b1", "s3://m", "execution-1", "", 1))

    answer = plan.answer()
    assert [batch["table"] for batch in answer["batches"]] == ["brewery"]
    assert "the replication is stopped" in answer["skipped"][0]["reason"]


def test_a_plan_of_failures_alone_is_raised_so_that_it_is_made_again(make_planner: Callable[..., Any]) -> None:
    batches = MagicMock()
    batches.get_open.side_effect = STOPPED
    plan = Plan()
    make_planner(control=MagicMock(), batches=batches, statistics=MagicMock())._plan(plan, "silver/beer", MagicMock())

    with pytest.raises(ClientError, match="the replication is stopped"):
        plan.answer()


class TestSweep:
    """Two rows were loaded behind the fence; silver holds as many as the test says."""

    fence = Fence(MOMENT, "create-table")

    def generation(self, make_planner: Callable[..., Any], brewery: Contract, settled: int, **files: list[Any]) -> int:
        statistics, control, batches = MagicMock(), MagicMock(), MagicMock()
        statistics.complete_load.return_value = SimpleNamespace(rows=2, ended_at=None)
        control.count_files.side_effect = lambda _, status: len(files.get(status, ()))
        control.files.side_effect = lambda table, status, since=None: iter(files.get(status, ()))
        batches.state.return_value = TargetState(loads={str(self.fence.generation): settled})
        answer: int = make_planner(control=control, batches=batches, statistics=statistics)._complete_generation(brewery, self.fence, 0)
        return answer

    def file(self, built: str = "2026-01-01T00:05:00.000000Z", rejected: int = 0, **operations: int) -> Any:
        return SimpleNamespace(built_at_min=built, built_at_max=built, records_rejected=rejected, operations=operations)

    def test_a_load_whose_rows_are_all_settled_is_swept(self, make_planner: Callable[..., Any], brewery: Contract) -> None:
        assert self.generation(make_planner, brewery, 2) == self.fence.generation

    def test_more_rows_than_the_source_counts_are_those_of_an_earlier_load(
        self, make_planner: Callable[..., Any], brewery: Contract
    ) -> None:
        assert self.generation(make_planner, brewery, 3) == 0

    @pytest.mark.parametrize("status", ["pending", "running", "bronze"])
    def test_a_file_that_may_hold_load_rows_is_waited_for(self, make_planner: Callable[..., Any], brewery: Contract, status: str) -> None:
        assert self.generation(make_planner, brewery, 2, **{status: [self.file(load=1)]}) == 0

    def test_files_of_changes_and_files_before_the_fence_are_not_waited_for(
        self, make_planner: Callable[..., Any], brewery: Contract
    ) -> None:
        others = [self.file(update=3), self.file("2025-12-31T00:00:00.000000Z", load=1)]

        assert self.generation(make_planner, brewery, 2, bronze=others) == self.fence.generation

    def test_a_rejected_load_row_does_not_hold_the_sweep_for_ever(self, make_planner: Callable[..., Any], brewery: Contract) -> None:
        assert self.generation(make_planner, brewery, 1, silver=[self.file(rejected=1, load=1)]) == self.fence.generation

    def test_rejected_changes_stand_for_no_load_row(self, make_planner: Callable[..., Any], brewery: Contract) -> None:
        assert self.generation(make_planner, brewery, 1, silver=[self.file(rejected=1, update=5)]) == 0
