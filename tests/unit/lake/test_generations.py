"""Fences and generations have one home."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lake.generations import CREATED, DROPPED, Fence, frozen_reason, newest

ROOT = Path(__file__).resolve().parents[3]
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
LATER = MOMENT.replace(hour=1)


def test_a_table_is_frozen_while_its_newest_fence_is_a_drop() -> None:
    assert frozen_reason([]) is None
    assert frozen_reason([Fence(MOMENT, DROPPED), Fence(LATER)]) is None
    assert "dropped at its source at 2026-01-01T01:00:00+00:00" in str(frozen_reason([Fence(LATER, DROPPED), Fence(MOMENT)]))


def test_a_load_whose_drop_and_creation_carry_one_moment_leaves_no_table_frozen() -> None:
    assert newest([Fence(MOMENT, CREATED), Fence(MOMENT, DROPPED)]) == Fence(MOMENT, CREATED)
    assert frozen_reason([Fence(MOMENT, CREATED), Fence(MOMENT, DROPPED)]) is None


def test_the_kinds_of_fences_are_spelled_in_one_module() -> None:
    folders = ("lake", "ingest-router/ingest", "converter/convert", "control-api", "emr-jobs/jobs", "export")
    spelled = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "vendor" not in path.parts and any(f'"{kind}"' in path.read_text() for kind in (CREATED, DROPPED))
    }
    assert spelled == {"lake/generations.py"}
