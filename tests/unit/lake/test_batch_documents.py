"""A batch may be run and settled by newer releases than those that wrote its documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lake.manifests import SilverManifest, SilverOutcome, utc_now

OUTCOME = SilverOutcome(snapshot_id="7", rows_read=3, rows_merged=2, missing={"2024-01": {"body": 2}})
MANIFEST = SilverManifest("b7", "beer", "1", "s3://contracts", (), (), 5, True, utc_now())


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert SilverManifest.of(MANIFEST.document()) == MANIFEST


@pytest.mark.parametrize("retires", [True, False])
def test_a_manifest_of_the_release_before_retires_the_same_rows(retires: bool) -> None:
    document = MANIFEST.document()
    del document["retired_below"], document["retires"]

    assert SilverManifest.of(document | {"swept_generation": 5, "sweep": retires}) == replace(MANIFEST, retires=retires)


def test_an_outcome_is_read_as_it_was_written() -> None:
    assert SilverOutcome.of(OUTCOME.document()) == OUTCOME


@pytest.mark.parametrize("count", [0, 5])
def test_a_count_without_months_is_left_to_the_next_batch(count: int) -> None:
    assert SilverOutcome.of(OUTCOME.document() | {"missing": count}).missing == {}
