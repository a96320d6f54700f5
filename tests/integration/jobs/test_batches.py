"""A crash between any two steps neither loses nor doubles a file or a month; one run at a time."""

from __future__ import annotations

from typing import Any

import boto3
import pyarrow as pa
import pytest

from tests.integration.jobs.domain import Lake, delete, insert, update

pytestmark = pytest.mark.integration
MARCH, APRIL = 1583020800, 1585699200


def names(lake: Lake) -> list[tuple[int, str]]:
    return [(row["beer_id"], row["beer_name"]) for row in lake.live_rows("beer")]


def tags(bucket: str, key: str) -> dict[str, str]:
    answer = boto3.client("s3").get_object_tagging(Bucket=bucket, Key=key)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def test_settled_files_are_silver_with_their_snapshot_and_tagged(lake: Lake) -> None:
    identity = lake.arrives(insert("beer", 10, beer_id=7))

    lake.merge("beer")

    record = lake.control.files.get(identity)
    assert record.status == "silver"
    assert record.silver_snapshot_id
    assert tags(record.bucket, record.object_key) == {"settled": "true"}
    assert tags(lake.names["lake"], record.bronze_keys[0]) == {"settled": "true"}


def test_a_second_execution_skips_a_table_that_is_being_merged(lake: Lake) -> None:
    lake.arrives(insert("beer", 10, beer_id=7))
    lake.plan("beer")
    lake.execution = "execution-2"

    plan = lake.planner().silver(["beer"])

    assert plan.batches == []
    assert "held by execution-1 until" in plan.skipped[0]["reason"]


def test_a_table_without_new_files_is_skipped_with_that_reason(lake: Lake) -> None:
    assert lake.planner().silver(["beer"]).skipped == [{"table": "beer", "reason": "no new files"}]


def test_the_table_with_the_most_rows_waiting_is_first(lake: Lake) -> None:
    lake.arrives(insert("beer", 10, beer_id=7))
    lake.arrives(*(insert("review", 20 + n, review_id=n, review_time=MARCH) for n in range(3)))
    for n in range(2):
        lake.arrives(insert("profile", 30 + n, profile_id=n))
    lake.arrives(insert("brewery", 40, brewery_id=1))

    assert [batch["table"] for batch in lake.plan()] == ["review", "profile", "beer", "brewery"]
    lake.arrives(*(insert("brewery", 50 + n, brewery_id=n) for n in range(9)))
    assert [batch["table"] for batch in lake.plan()] == ["brewery", "review", "profile", "beer"]  # open ones too


def test_an_open_batch_is_finished_with_the_same_files_before_a_new_one(lake: Lake) -> None:
    first = lake.arrives(insert("beer", 10, beer_id=7))
    (batch,) = lake.plan("beer")
    second = lake.arrives(insert("beer", 20, beer_id=8))
    lake.settler().silver(batch | {"error": {"Error": "States.TaskFailed", "Cause": "killed"}})
    lake.execution = "execution-2"

    (again,) = lake.plan("beer")
    lake.run(again)
    answer = lake.settler().silver(again)

    assert again["batch_id"] == batch["batch_id"]
    assert (lake.status(first), lake.status(second), answer["more"]) == ("silver", "bronze", True)


def test_the_batch_of_a_dead_execution_is_taken_over_once_its_lease_ran_out(lake: Lake) -> None:
    lake.arrives(insert("beer", 10, beer_id=7))
    (batch,) = lake.plan("beer")
    lake.control.batches.release("silver/beer", batch["batch_id"], None)
    lake.execution = "execution-2"

    assert [again["batch_id"] for again in lake.merge("beer")] == [batch["batch_id"]]
    assert names(lake) == [(7, "Saison")]


def test_an_execution_neither_releases_nor_closes_a_batch_that_another_has_taken_over(lake: Lake) -> None:
    lake.arrives(insert("beer", 10, beer_id=7))
    (batch,) = lake.plan("beer")
    late = lake.settler()
    lake.control.batches.release("silver/beer", batch["batch_id"], None)
    lake.execution = "execution-2"
    lake.plan("beer")
    lease = lake.control.batches.get("silver/beer")

    late.silver(batch | {"error": {"Error": "States.Timeout"}})

    assert not lake.control.batches.close("silver/beer", batch["batch_id"], "execution-1")
    assert lake.control.batches.get("silver/beer") == lease
    assert lake.control.batches.close("silver/beer", batch["batch_id"], "execution-2")


def test_a_job_that_ran_twice_leaves_the_same_rows(lake: Lake) -> None:
    lake.arrives(insert("review", 10, review_id=1, review_time=MARCH), delete("review", 20, review_id=2))
    (batch,) = lake.plan("review")
    lake.run(batch)
    before = lake.rows("review")

    lake.run(batch)
    lake.settler().silver(batch)

    assert sorted(map(str, lake.rows("review"))) == sorted(map(str, before))


def test_a_job_that_ran_twice_forgets_no_month_that_a_review_has_left(lake: Lake) -> None:
    lake.arrives(insert("review", 10, review_id=1, review_time=MARCH))
    lake.merge("review")
    lake.build_review_flat()
    lake.arrives(update("review", 20, review_id=1, review_time=APRIL))
    (batch,) = lake.plan("review")
    lake.run(batch)

    lake.run(batch)
    lake.settler().silver(batch)

    assert sorted(lake.control.months.pending("silver/review_flat")) == ["2020-03", "2020-04"]


CRASHES = {"months": "request", "files": "settle", "states": "keep", "batches": "close"}


@pytest.mark.parametrize(("part", "step"), CRASHES.items())
def test_settle_may_stop_before_any_step_and_be_repeated(lake: Lake, monkeypatch: pytest.MonkeyPatch, part: str, step: str) -> None:
    identity = lake.arrives(insert("review", 10, review_id=1, review_time=MARCH))
    (batch,) = lake.plan("review")
    lake.run(batch)
    settler = lake.settler()

    def stop(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(type(getattr(settler.control, part)), step, stop)
        with pytest.raises(RuntimeError):
            settler.silver(batch)
    lake.merge("review")

    assert lake.status(identity) == "silver"
    assert list(lake.control.months.pending("silver/review_flat")) == ["2020-03"]
    assert lake.control.batches.get("silver/review") is None


def test_settling_a_settled_batch_changes_nothing(lake: Lake) -> None:
    lake.arrives(insert("review", 10, review_id=1, review_time=MARCH))
    (batch,) = lake.plan("review")
    lake.run(batch)
    lake.settler().silver(batch)
    lake.build_review_flat()

    lake.settler().silver(batch)

    assert lake.control.months.pending("silver/review_flat") == {}


def test_a_month_that_changes_while_review_flat_is_built_is_built_again(lake: Lake) -> None:
    lake.arrives(insert("review", 10, review_id=1, review_time=MARCH))
    lake.merge("review")
    (batch,) = lake.planner().derived("silver").batches
    lake.run(batch, "review_flat")
    lake.arrives(update("review", 20, review_id=1, review_time=MARCH, review_overall=1.0))
    lake.merge("review")
    lake.settler().derived("silver", batch)

    lake.build_review_flat()

    assert [row["review_overall"] for row in lake.rows("review_flat")] == [1.0]


@pytest.mark.parametrize(("part", "step"), [("months", "request"), ("months", "tick_off"), ("states", "keep"), ("batches", "close")])
def test_a_crash_between_review_flat_and_gold_loses_no_month(lake: Lake, monkeypatch: pytest.MonkeyPatch, part: str, step: str) -> None:
    lake.arrives(insert("review", 10, review_id=1, review_time=MARCH))
    lake.merge("review")
    lake.build_review_flat()
    lake.build_gold()
    lake.arrives(insert("review", 20, review_id=2, review_time=MARCH))
    lake.merge("review")
    (batch,) = lake.planner().derived("silver").batches
    lake.run(batch, "review_flat")
    settler = lake.settler()

    def stop(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(type(getattr(settler.control, part)), step, stop)
        with pytest.raises(RuntimeError):
            settler.derived("silver", batch)
    lake.build_review_flat()
    lake.build_gold()

    assert [row["review_count"] for row in lake.rows("top_drinkers", "dm_gold")] == [2]
    assert lake.control.months.pending("gold/top_drinkers") == {}


def test_many_small_files_are_read_once_and_leave_nothing_behind(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.silver import gathering

    written: list[str] = []
    write = gathering.Gathering._write
    monkeypatch.setattr(gathering.Gathering, "_write", lambda self, schema: written.append(write(self, schema)) or written[-1])
    monkeypatch.setattr(gathering, "FROM_FILES", 3)
    monkeypatch.setattr(gathering, "GATHERED_BYTES", 300)
    files = [lake.arrives(insert("beer", 10 + number, beer_id=number)) for number in range(4)]
    missing = lake.arrives_as("beer", None)

    lake.merge("beer")

    assert len(written) > 1
    assert [number for number, _ in names(lake)] == [0, 1, 2, 3]
    assert {lake.status(file) for file in files} == {"silver"}
    assert lake.status(missing) == "failed"
    bucket, _, key = written[0].removeprefix("s3://").partition("/")
    assert boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=key.rsplit("/", 1)[0])["KeyCount"] == 0


class TestBadFiles:
    def merge_with(self, lake: Lake, identity: str) -> str:
        """Merge beside a good file; returns the reason that the bad one failed with."""
        lake.arrives(insert("beer", 10, beer_id=7))
        lake.merge("beer")
        assert names(lake) == [(7, "Saison")]
        record = lake.control.files.get(identity)
        assert (record.status, record.error_type) == ("failed", "UnreadableBronze")
        return str(record.error_message)

    def test_a_missing_file_fails_alone(self, lake: Lake) -> None:
        assert "does not exist" in self.merge_with(lake, lake.arrives_as("beer", None))

    def test_a_file_that_is_no_parquet_fails_alone(self, lake: Lake) -> None:
        assert "part-00000.parquet" in self.merge_with(lake, lake.arrives_as("beer", None, body=b"no Parquet at all, but long enough"))

    def test_a_file_with_damaged_pages_fails_alone(self, lake: Lake) -> None:
        good = lake.control.files.get(lake.arrives(insert("beer", 20, beer_id=8)))
        lake.merge("beer")
        body = bytearray(boto3.client("s3").get_object(Bucket=lake.names["lake"], Key=good.bronze_keys[0])["Body"].read())
        body[4:400] = b"\xff" * 396
        bad = lake.arrives_as("beer", None, body=bytes(body))
        lake.arrives(insert("beer", 10, beer_id=7))

        lake.merge("beer")

        assert [number for number, _ in names(lake)] == [7, 8]
        assert lake.status(bad) == "failed"

    def test_a_file_of_another_schema_fails_alone(self, lake: Lake) -> None:
        other = pa.table({"beer_id": ["seven"], "operation": ["load"], "cdc_position": [None], "cdc_built_at": [None]}).cast(
            pa.schema(
                [
                    ("beer_id", pa.string()),
                    ("operation", pa.string()),
                    ("cdc_position", pa.string()),
                    ("cdc_built_at", pa.timestamp("us", "UTC")),
                ]
            )
        )
        assert 'column "beer_id" is string; expected long' in self.merge_with(lake, lake.arrives_as("beer", other))

    def test_a_file_without_the_key_fails_alone(self, lake: Lake) -> None:
        stamp = pa.timestamp("us", "UTC")
        other = pa.table(
            {"operation": pa.array(["load"]), "cdc_position": pa.array(["x"]), "cdc_built_at": pa.array([None], stamp)},
        )
        assert 'no key column "beer_id"' in self.merge_with(lake, lake.arrives_as("beer", other))
