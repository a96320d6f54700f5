"""A batch may be run and settled by newer releases than those that wrote its documents."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import ValidationError, to_builtins

from lake.generations import DROPPED, Fence
from lake.manifests import BatchFile, SilverManifest, SilverOutcome, utc_now

OUTCOME = SilverOutcome(snapshot_id="7", rows_read=3, rows_merged=2, missing={"2024-01": {"body": 2}})
FILES, FENCES = (BatchFile("f1", "1", ("s3://lake/a",)),), (Fence(utc_now(), DROPPED),)
MANIFEST = SilverManifest("b7", "beer", "1", "s3://contracts", FILES, FENCES, 5, True, utc_now(), {"5": 6})


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert SilverManifest.of(to_builtins(MANIFEST)) == MANIFEST


@pytest.mark.parametrize("retires", [True, False])
def test_a_manifest_of_the_release_before_retires_the_same_rows(retires: bool) -> None:
    document = to_builtins(MANIFEST)
    del document["retired_below"], document["retires"]

    assert SilverManifest.of(document | {"swept_generation": 5, "sweep": retires}) == replace(MANIFEST, retires=retires)


def test_an_outcome_is_read_as_it_was_written() -> None:
    assert SilverOutcome.of(to_builtins(OUTCOME)) == OUTCOME


@pytest.mark.parametrize("count", [0, 5])
def test_a_count_without_months_is_left_to_the_next_batch(count: int) -> None:
    assert SilverOutcome.of(to_builtins(OUTCOME) | {"missing": count}).missing == {}


def test_a_damaged_manifest_is_refused_by_the_name_of_its_field() -> None:
    with pytest.raises(ValidationError, match=r"`\$\.files\[0\]\.bronze_keys`"):
        SilverManifest.of(to_builtins(MANIFEST) | {"files": [{"file_id": "f1", "contract_version": "1", "bronze_keys": 5}]})
