"""A load is complete once its rows, and those refused on their way, are what its source counted."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from batches.load_statistics import Load
from batches.loads import Loads, LoadState
from beer import CONTRACTS
from lake.contract import ContractSet
from lake.control.target_items import ExportedLoad, TargetState
from lake.generations import Fence

FENCE = Fence(datetime(2026, 1, 1, tzinfo=UTC))
COMPLETE = LoadState(FENCE.generation)
BREWERY = ContractSet.from_directory(CONTRACTS).table("brewery")  # may lose 5 % of its rows


def state(load: Load | ExportedLoad, settled: int, refused: int = 0, accepted: int | None = None, **files: list[Any]) -> LoadState:
    """Behind the fence ``settled`` keys are in silver and ``refused`` rows were refused; ``files`` by their status."""
    statistics, control = MagicMock(), MagicMock()
    statistics.complete_load.return_value = load
    control.loads.exported.return_value = load if isinstance(load, ExportedLoad) else None
    control.listing.count.side_effect = lambda _, status: len(files.get(status, ()))
    control.listing.files.side_effect = lambda table, status="any", since=None: iter(files.get(status, ()))
    control.refusals.count.return_value = refused
    control.states.get.return_value = TargetState(loads={str(FENCE.generation): settled})
    control.loads.accepted.return_value = accepted
    return Loads(control, statistics).state(BREWERY, FENCE, 0)


def file(built: str = "2026-01-01T00:05:00.000000Z", **operations: int) -> Any:
    return SimpleNamespace(built_at_min=built, built_at_max=built, operations=operations)


def test_a_load_whose_rows_are_all_settled_is_complete() -> None:
    assert state(Load(2, None), 2) == COMPLETE


def test_more_rows_than_the_source_counts_are_those_of_an_earlier_load() -> None:
    assert state(Load(2, None), 3) == LoadState()


@pytest.mark.parametrize("status", ["pending", "running", "bronze"])
def test_a_file_that_may_hold_load_rows_is_waited_for(status: str) -> None:
    assert state(Load(2, None), 2, **{status: [file(load=1)]}) == LoadState()


def test_files_of_changes_and_files_before_the_fence_are_not_waited_for() -> None:
    assert state(Load(2, None), 2, bronze=[file(update=3), file("2025-12-31T00:00:00.000000Z", load=1)]) == COMPLETE


def test_rows_that_were_refused_do_not_hold_a_load_for_ever() -> None:
    assert state(Load(100, None), 95, refused=5) == COMPLETE
    assert state(Load(95, None, left_out=5), 95) == COMPLETE


@pytest.mark.parametrize(
    ("load", "settled", "refused", "words"),
    [
        (Load(100, None), 97, 2, "1 of its 100 rows have neither come nor been refused"),
        (Load(100, None), 94, 6, "6 of its 100 rows were refused (0 of them at the source), above the contract's 5.0%"),
        (Load(94, None, left_out=6), 94, 0, "6 of its 100 rows were refused (6 of them at the source), above the contract's 5.0%"),
    ],
)
def test_a_load_that_lacks_rows_waits_and_says_why_and_what_to_do(load: Load, settled: int, refused: int, words: str) -> None:
    found = state(load, settled, refused)

    assert found.complete == 0
    assert words in str(found.waits)
    assert "the load of 2026-01-01T00:00:00.000000Z waits, and older rows stay" in str(found.waits)
    assert "dm reload brewery --accept" in str(found.waits)


def of_export(rejected: int, export_id: str = "own") -> Any:
    return SimpleNamespace(object_key=f"raw/brewery/export/{export_id}/00000.csv.gz", records_rejected=rejected)


def test_a_load_by_export_is_complete_by_its_own_rows_and_what_its_files_refused() -> None:
    load = ExportedLoad(FENCE.generation, "own", 100)

    assert state(load, 100) == COMPLETE
    assert state(load, 97, any=[of_export(2), of_export(1)]) == COMPLETE
    assert state(load, 100, pending=[file()]) == LoadState()
    assert "1 of its 100 rows have neither come" in str(state(load, 97, any=[of_export(2), of_export(1, "other")]).waits)
    assert "6 of its 100 rows were refused" in str(state(load, 94, any=[of_export(6)]).waits)


def test_a_load_by_export_that_was_ended_by_force_waits_and_is_named() -> None:
    found = state(ExportedLoad(FENCE.generation, "20260101T000000Z-abc", None), 100)

    assert found.complete == 0
    assert "export 20260101T000000Z-abc is under way, or was ended by force; dm reload brewery" in str(found.waits)


def test_a_load_by_export_behind_an_older_fence_says_nothing_of_the_newest() -> None:
    statistics, control = MagicMock(), MagicMock()
    control.loads.exported.return_value = ExportedLoad(FENCE.generation - 1, "own", 2)
    statistics.complete_load.return_value = None

    assert Loads(control, statistics).state(BREWERY, FENCE, 0) == LoadState()


def test_a_load_that_was_accepted_is_complete_and_the_one_after_it_is_not() -> None:
    assert state(Load(100, None), 50, accepted=FENCE.generation) == COMPLETE
    assert state(Load(100, None), 50, accepted=FENCE.generation - 1).complete == 0
