"""Settling: what goes back to the state machine stays small."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import pytest

from lake.control_batches import ControlBatches, TargetState
from lake.manifests import FailedFile, SilverManifest, SilverOutcome

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
ENVIRONMENT = {"CONTROL_TABLE": "t", "LAKE_BUCKET": "lake", "CONTRACTS_URI": "s3://a/contracts/"}
App = Callable[..., ModuleType]


def test_the_answer_of_settle_stays_small_whatever_fails(chalice_app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    module = chalice_app("control-api", "chalicelib.batches.settle")
    manifest = SilverManifest("b1", "beer", "1", "s3://a/", (), (), 0, False, MOMENT)
    outcome = SilverOutcome(None, 0, 0, failed_files=tuple(FailedFile(f"f{n}", "unreadable " * 100) for n in range(500)))
    documents = {"manifest.json": manifest.document(), "outcome.json": outcome.document(), "touched.json": {"months": []}}
    monkeypatch.setattr(module, "read_document", lambda uri: documents[uri.rsplit("/", 1)[1]])
    control, batches = MagicMock(), MagicMock(spec=ControlBatches)
    control.fences.return_value, control.files.return_value = [], []
    batches.get_open.return_value = SimpleNamespace(batch_id="b1", owner="execution-1")
    batches.state.return_value = TargetState()
    settler = module.Settler(chalice_app("control-api", "chalicelib.batches.settings").BatchSettings.of(ENVIRONMENT), control, batches)

    answer = settler.silver({"table": "beer", "batch_id": "b1", "manifest": "s3://lake/batches/beer/b1/manifest.json"})

    assert answer["failed_files"] == 500
    assert len(json.dumps(answer)) < 1_000
    assert control.reject.call_args.args[3].startswith("unreadable")
