"""Settling: what goes back to the state machine stays small; whoever holds a batch settles it, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import call, create_autospec

import pytest
import yaml
from msgspec import to_builtins

from batches import settle
from batches.settings import BatchSettings
from beer import CONTRACTS
from lake.contract import ContractSet
from lake.control import ControlTable
from lake.control.batches import BatchHeld, OpenBatch
from lake.control.target_items import TargetState
from lake.manifests import FailedFile, SilverManifest, SilverOutcome

STATE_MACHINES = Path(__file__).resolve().parents[3] / "templates" / "statemachines"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
ENVIRONMENT = {"CONTROL_TABLE": "t", "LAKE_BUCKET": "lake", "CONTRACTS_URI": "s3://a/contracts/"}
App = Callable[..., ModuleType]


def test_the_answer_of_settle_stays_small_whatever_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    module = settle
    manifest = SilverManifest("b1", "beer", "1", "s3://a/", (), (), 0, False, MOMENT)
    outcome = SilverOutcome(None, 0, 0, failed_files=tuple(FailedFile(f"f{n}", "unreadable " * 100) for n in range(500)))
    documents = {"manifest.json": to_builtins(manifest), "outcome.json": to_builtins(outcome), "touched.json": {"months": {}}}
    monkeypatch.setattr(module, "read_document", lambda uri: documents[uri.rsplit("/", 1)[1]])
    contracts = ContractSet.from_directory(CONTRACTS)
    monkeypatch.setattr(module, "ContractStore", lambda _uri: SimpleNamespace(current=lambda: contracts, at=lambda _version: contracts))
    control = create_autospec(ControlTable("control"), instance=True)
    control.fences.of.return_value, control.listing.files.return_value = [], []
    control.batches.get.return_value = SimpleNamespace(batch_id="b1", owner="execution-1")
    control.states.get.return_value = TargetState()
    settings = BatchSettings.of(ENVIRONMENT)
    settler = module.Settler(settings, control, "execution-1")

    answer = settler.silver({"table": "beer", "batch_id": "b1", "manifest": "s3://lake/batches/beer/b1/manifest.json"})

    assert answer["failed_files"] == 500
    assert len(json.dumps(answer)) < 1_000
    assert control.files.reject.call_args.args[3].startswith("unreadable")


def test_an_execution_whose_batch_was_taken_over_settles_nothing() -> None:
    settings = BatchSettings.of(ENVIRONMENT)
    control = create_autospec(ControlTable("control"), instance=True)
    control.batches.get.return_value = OpenBatch("silver/beer", "b1", "s3://m", "execution-2", "later", 2)
    settler = settle.Settler(settings, control, "execution-1")

    with pytest.raises(BatchHeld, match="held by execution-2"):
        settler.silver({"table": "beer", "batch_id": "b1", "manifest": "s3://m"})

    assert control.method_calls == [call.batches.get("silver/beer")]


def machines() -> list[dict[str, Any]]:
    names = ("bronze-to-silver", "silver-to-gold", "maintenance")
    return [yaml.safe_load((STATE_MACHINES / f"{name}.asl.yaml").read_text()) for name in names]


def test_a_batch_is_leased_for_as_long_as_its_execution_may_run() -> None:
    settings = BatchSettings.of(ENVIRONMENT)

    assert settings.lease_seconds >= max(machine["TimeoutSeconds"] for machine in machines())


def test_a_batch_that_cannot_be_settled_is_given_back() -> None:
    maps = [state["ItemProcessor"]["States"] for machine in machines() for state in machine["States"].values() if state["Type"] == "Map"]
    caught = [state["Catch"][0]["Next"] for states in maps for name, state in states.items() if name.startswith("Settle")]

    assert caught == ["ReleaseSilver", "ReleaseReviewFlat", "ReleaseGold", "ReleaseMaintenance"]
