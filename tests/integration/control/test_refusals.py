"""Refused rows of loads are counted once each, by the generation that they belong to, until that generation is over."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from datamaster.aws.deploy.stacks import Outputs
from lake.control import ControlTable, Fence, NewFile, Outcome, Refusal
from lake.keys import file_id

pytestmark = pytest.mark.integration
FIRST = Fence(datetime(2026, 1, 1, tzinfo=UTC))
SECOND = Fence(FIRST.at + timedelta(hours=1))


@pytest.fixture
def control(lake_stacks: Outputs) -> ControlTable:
    return ControlTable(lake_stacks["control"]["TableName"])


@pytest.fixture
def table() -> str:
    return f"t{uuid.uuid4().hex[:10]}"


def refusal(row: bytes, fence: Fence) -> Refusal:
    return Refusal.of(row, fence.at + timedelta(microseconds=1))


def test_a_row_that_was_refused_twice_counts_once_and_in_its_own_load(control: ControlTable, table: str) -> None:
    control.refusals.note(table, [refusal(b"a", FIRST), refusal(b"b", FIRST)])
    control.refusals.note(table, [refusal(b"b", FIRST), refusal(b"b", SECOND)])

    assert (control.refusals.count(table, FIRST), control.refusals.count(table, SECOND)) == (2, 1)

    control.refusals.forget(table, SECOND.generation)  # the second note holds a row of the second load
    assert (control.refusals.count(table, FIRST), control.refusals.count(table, SECOND)) == (1, 1)


def test_a_files_next_attempt_replaces_what_it_refused_before(control: ControlTable, table: str) -> None:
    key = f"raw/{table}/a.gz"
    control.files.register(NewFile("stage", key, "v1", "etag", table, "json", 10))
    identity = file_id("stage", key, "v1")
    counts = []
    for refusals in ((refusal(b"a", FIRST), refusal(b"b", FIRST)), ()):
        record = control.files.start(identity, "execution", 60)
        control.complete(identity, str(record.lease_token), Outcome(2, 2 - len(refusals), len(refusals), (), refusals=refusals))
        counts.append(control.refusals.count(table, FIRST))
        control.files.retry(identity, force=True)

    assert counts == [2, 0]
