"""Planning: one table's trouble is its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from batches import load_statistics
from batches.plan import Plan, Planner
from batches.settings import BatchSettings
from beer import CONTRACTS
from lake.contract import Contract, ContractSet
from lake.control.batches import OpenBatch
from lake.control.target_items import TargetState
from lake.generations import Fence

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
STOPPED = ClientError({"Error": {"Code": "InvalidResourceStateFault", "Message": "the replication is stopped"}}, "DescribeTableStatistics")
ENVIRONMENT = {"CONTROL_TABLE": "t", "LAKE_BUCKET": "lake", "CONTRACTS_URI": "s3://a/contracts/", "DMS_TASK_ARN": "arn:task"}


@pytest.fixture
def brewery() -> Contract:
    return ContractSet.from_directory(CONTRACTS).table("brewery")


@pytest.fixture
def make_planner() -> Callable[..., Any]:
    """``make_planner(control=…, statistics=…)``: a planner on stand-ins for its stores."""
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


def test_dms_is_not_asked_about_a_generation_whose_load_is_complete(make_planner: Callable[..., Any], brewery: Contract) -> None:
    fence, statistics, control = Fence(MOMENT, "create-table"), MagicMock(), MagicMock()
    control.fences.of.return_value = [fence]
    control.fences.kept.return_value = control.listing.files.return_value = []
    control.states.get.return_value = TargetState(retired_below=fence.generation)

    assert make_planner(control=control, statistics=statistics)._open_silver(brewery, "1") == "no new files"
    statistics.complete_load.assert_not_called()


def test_a_table_that_cannot_be_planned_is_skipped_with_the_reason_and_stops_no_other(make_planner: Callable[..., Any]) -> None:
    control = MagicMock()
    control.batches.get.return_value = None
    planner = make_planner(control=control, statistics=MagicMock())
    plan = Plan()

    planner._plan(plan, "silver/beer", MagicMock(side_effect=STOPPED), MagicMock())
    planner._plan(plan, "silver/brewery", lambda: OpenBatch("silver/brewery", "b1", "s3://m", "execution-1", "", 1), MagicMock())

    answer = plan.answer()
    assert [batch["table"] for batch in answer["batches"]] == ["brewery"]
    assert "the replication is stopped" in answer["skipped"][0]["reason"]


def test_a_plan_of_failures_alone_is_raised_so_that_it_is_made_again(make_planner: Callable[..., Any]) -> None:
    control = MagicMock()
    control.batches.get.side_effect = STOPPED
    plan = Plan()
    make_planner(control=control, statistics=MagicMock())._plan(plan, "silver/beer", MagicMock(), MagicMock())

    with pytest.raises(ClientError, match="the replication is stopped"):
        plan.answer()
