"""Detection looks at values from the whole file, not at its first rows."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from beer import CONTRACTS
from convert import sampling
from lake.contract import ContractSet
from lake.privacy import VALUES_TO_DECIDE

ROWS = 5_000
PROFILE = ContractSet.from_directory(CONTRACTS).table("profile")


def file_of(emails: list[str]) -> io.BytesIO:
    place = {"operation": "load", "cdc_position": f"{0:016x}-{0:010}-0", "cdc_built_at": "2024-01-01T00:00:00.000000Z"}
    place |= {"cdc_committed_at": None, "cdc_transaction_id": None, "cdc_unchanged": None}
    rows = ({"profile_id": n, "profile_name": f"p{n}", "email": email, "state": "SP"} | place for n, email in enumerate(emails))
    return io.BytesIO(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


@pytest.mark.parametrize(
    "personal", [range(ROWS - ROWS // 4, ROWS), range(ROWS // 2, ROWS // 2 + ROWS // 4)], ids=["the end", "the middle"]
)
def test_values_are_sampled_evenly_wherever_in_the_file_they_lie(personal: range) -> None:
    emails = [f"someone.{n}@example.com" if n in personal else f"code {n}" for n in range(ROWS)]

    found = sampling.sample(PROFILE, "json", file_of(emails), ["email"], lambda: None)["email"]

    assert VALUES_TO_DECIDE <= len(found) < 2 * VALUES_TO_DECIDE
    assert sum("@" in value for value in found) == pytest.approx(len(found) / 4, abs=2)


def test_a_small_file_is_sampled_whole() -> None:

    assert len(sampling.sample(PROFILE, "json", file_of(["a@example.com"] * 150), ["email"], lambda: None)["email"]) == 150
