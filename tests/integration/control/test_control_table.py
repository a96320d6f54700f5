"""The control table's rules, on a real table of the template."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from datamaster.aws.deploy.stacks import Outputs
from lake.control import AlreadyTaken, ControlRecord, ControlTable, Fence, LeaseLost, NewFile, Outcome, UnknownFile, WrongStatus
from lake.keys import file_id

pytestmark = pytest.mark.integration
BUILT = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Files:
    """Registers files of one table and takes them through their life."""

    def __init__(self, control: ControlTable, table: str) -> None:
        self.control, self.table = control, table

    def registered(self, name: str = "") -> str:
        key = f"raw/{self.table}/{name or uuid.uuid4().hex}.gz"
        assert self.control.files.register(NewFile("stage", key, "v1", "etag", self.table, "json", 10))
        return file_id("stage", key, "v1")

    def running(self, lease: int = 60) -> ControlRecord:
        return self.control.files.start(self.registered(), "execution-1", lease)

    def bronze(self, built_at: datetime = BUILT, fences: tuple[Fence, ...] = ()) -> str:
        record = self.running()
        outcome = Outcome(3, 2, 1, ("bronze/a",), built_at_min=built_at, built_at_max=built_at, operations={"load": 2}, fences=fences)
        self.control.complete(record.file_id, str(record.lease_token), outcome)
        return record.file_id

    def silver(self, built_at: datetime = BUILT) -> str:
        key = self.bronze(built_at)
        assert self.control.files.assign(key, "batch")
        assert self.control.files.settle(key, "batch", "42")
        return key

    def status(self, key: str) -> str:
        return self.control.files.get(key).status


@pytest.fixture
def files(lake_stacks: Outputs) -> Files:
    return Files(ControlTable(lake_stacks["control"]["TableName"]), f"t{uuid.uuid4().hex[:10]}")


def test_the_same_object_is_registered_once(files: Files) -> None:
    key = files.registered("same")

    assert not files.control.files.register(NewFile("stage", f"raw/{files.table}/same.gz", "v1", "etag", files.table, "json", 10))
    assert files.control.files.get(key).attempt_count == 1


def test_another_version_of_an_object_is_another_file(files: Files) -> None:
    files.registered("same")

    assert files.control.files.register(NewFile("stage", f"raw/{files.table}/same.gz", "v2", "etag", files.table, "json", 10))


def test_a_running_file_is_taken_by_its_own_execution_only(files: Files) -> None:
    record = files.running()

    with pytest.raises(AlreadyTaken, match="execution-1"):
        files.control.files.start(record.file_id, "execution-2", 60)
    assert files.control.files.start(record.file_id, "execution-1", 60).lease_token != record.lease_token


def test_an_expired_lease_is_taken_and_the_old_holder_publishes_nothing(files: Files) -> None:
    late = files.running(lease=0)
    time.sleep(0.01)
    files.control.files.start(late.file_id, "execution-2", 60)

    with pytest.raises(LeaseLost):
        files.control.complete(late.file_id, str(late.lease_token), Outcome(1, 1, 0, ("bronze/late",)))
    with pytest.raises(LeaseLost):
        files.control.files.renew(late.file_id, str(late.lease_token), 60)
    assert files.control.files.get(late.file_id).bronze_keys == ()


def test_a_lease_given_back_can_be_taken_at_once(files: Files) -> None:
    record = files.running()
    files.control.files.release(record.file_id, str(record.lease_token), "Interrupted", "asked to stop")

    assert files.control.files.start(record.file_id, "execution-2", 60).execution_arn == "execution-2"


def test_the_first_attempt_pins_contract_and_decision_for_all(files: Files) -> None:
    first = files.control.files.pin(files.running(), "v-one", {"email": {"mask": "hash", "score": 0.5}})
    again = files.control.files.start(first.file_id, "execution-1", 60)

    assert files.control.files.pin(again, "v-two", {}).contract_version == "v-one"
    assert files.control.files.get(first.file_id).pii_decision == {"email": {"mask": "hash", "score": 0.5}}


def test_a_settled_file_is_not_converted_again(files: Files) -> None:
    with pytest.raises(WrongStatus, match="silver"):
        files.control.files.start(files.silver(), "execution-2", 60)


def test_retry_takes_failed_files_and_silver_files_with_rejected_rows(files: Files) -> None:
    failed = files.registered()
    files.control.files.fail(failed, "NotGzip", "no gzip member at the beginning")

    assert files.control.files.retry(failed).attempt_count == 2
    assert files.control.files.retry(files.silver()).status == "pending"


def test_retry_takes_the_contract_in_force_and_keeps_the_decision(files: Files) -> None:
    pinned = files.control.files.pin(files.running(), "v-one", {"email": "personal"})
    files.control.files.fail(pinned.file_id, "FrozenContract", "unknown columns: colour")

    again = files.control.files.retry(pinned.file_id)

    assert (again.contract_version, again.pii_decision) == (None, {"email": "personal"})
    assert files.control.files.pin(files.control.files.start(again.file_id, "execution-2", 60), "v-two", {}).contract_version == "v-two"


def test_a_take_over_keeps_the_pinned_contract(files: Files) -> None:
    pinned = files.control.files.pin(files.running(lease=0), "v-one", {})

    again = files.control.files.take_over(pinned, max_attempts=2)

    assert again is not None
    assert again.contract_version == "v-one"


def test_retry_of_any_other_file_says_its_status_unless_forced(files: Files) -> None:
    key = files.bronze()

    with pytest.raises(WrongStatus, match="is bronze") as caught:
        files.control.files.retry(key)
    assert caught.value.status == "bronze"
    assert files.control.files.retry(key, force=True).status == "pending"


def test_a_failure_reported_late_does_not_unsettle_a_file(files: Files) -> None:
    key = files.bronze()

    assert files.control.files.fail(key, "States.Timeout", "reported after it was done").status == "bronze"


def test_a_file_that_waits_for_a_decision_is_woken_by_it(files: Files) -> None:
    record = files.running()
    waiting = files.control.files.postpone(record.file_id, str(record.lease_token), 3600)
    assert (waiting.status, waiting.real_attempts) == ("pending", 1)
    assert waiting.not_before is not None

    assert files.control.files.wake(files.table) == 1
    assert files.control.files.get(record.file_id).not_before is None


def test_the_loser_of_a_decision_obeys(files: Files) -> None:
    files.control.decisions.decide(files.table, "email", {"mask": "hash", "score": 0.99})

    assert files.control.decisions.decide(files.table, "email", {"mask": "none"})["mask"] == "hash"


def test_a_late_fence_puts_files_with_newer_records_back_to_bronze(files: Files) -> None:
    older, newer = files.silver(BUILT), files.silver(BUILT + timedelta(hours=2))

    files.bronze(fences=(Fence(BUILT + timedelta(hours=1)),))

    assert (files.status(older), files.status(newer)) == ("silver", "bronze")
    assert [fence.at for fence in files.control.fences.of(files.table)] == [BUILT + timedelta(hours=1)]


def test_a_fence_seen_twice_is_kept_once(files: Files) -> None:
    assert files.control.fences.add(files.table, Fence(BUILT))
    assert not files.control.fences.add(files.table, Fence(BUILT))


def test_only_the_batch_that_has_a_file_settles_it(files: Files) -> None:
    key = files.bronze()
    assert files.control.files.assign(key, "mine")

    assert not files.control.files.assign(key, "other")
    assert not files.control.files.settle(key, "other", None)
    assert files.control.files.settle(key, "mine", "42")


def test_files_are_listed_newest_first_page_by_page(files: Files) -> None:
    keys = [files.registered() for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        page = files.control.listing.page(table=files.table, limit=2, cursor=cursor)
        seen += [record.file_id for record in page.items]
        cursor = page.cursor
        if cursor is None:
            break

    assert seen == keys[::-1]


def test_files_are_listed_by_status_and_by_time(files: Files) -> None:
    pending, bronze = files.registered(), files.bronze()
    created = datetime.fromisoformat(files.control.files.get(bronze).created_at)

    assert [r.file_id for r in files.control.listing.files(table=files.table, status="bronze")] == [bronze]
    assert [r.file_id for r in files.control.listing.files(table=files.table, since=created)] == [bronze]
    assert [r.file_id for r in files.control.listing.files(table=files.table, until=created - timedelta(microseconds=1))] == [pending]
    assert {r.file_id for r in files.control.listing.page(limit=1000).items} >= {pending, bronze}
    assert files.control.listing.count(files.table, "bronze") == 1


def test_an_expired_attempt_is_repeated_until_its_attempts_are_used_up(files: Files) -> None:
    record = files.running(lease=0)

    again = files.control.files.take_over(record, max_attempts=2)
    assert again is not None
    assert (again.status, again.attempt_count) == ("pending", 2)

    last = files.control.files.take_over(files.control.files.start(record.file_id, "execution-2", 0), max_attempts=2)
    assert last is not None
    assert (last.status, last.error_type) == ("failed", "LeaseExpired")


def test_a_lease_renewed_after_it_was_seen_to_expire_is_not_failed(files: Files) -> None:
    seen = files.running(lease=0)
    files.control.files.renew(seen.file_id, str(seen.lease_token), 60)

    assert files.control.files.take_over(seen, max_attempts=1) is None
    assert files.status(seen.file_id) == "running"


def test_two_sweeps_restart_a_file_once(files: Files) -> None:
    record = files.control.files.get(files.registered())

    assert files.control.files.restart(record) is not None
    assert files.control.files.restart(record) is None


def test_an_unknown_file_is_named() -> None:
    assert "dm files ls" in str(UnknownFile("beef"))


def test_watermarks_are_kept_by_table(files: Files) -> None:
    assert files.control.watermarks.get(files.table) is None
    files.control.watermarks.set(files.table, "1700000000", "export-1")
    assert files.control.watermarks.get(files.table) == "1700000000"


def test_known_files_are_told_from_unknown_ones_beyond_one_request(files: Files) -> None:
    keys = {files.registered() for _ in range(3)}

    assert files.control.listing.known([*keys, *(uuid.uuid4().hex for _ in range(250))]).keys() == set(keys)
