"""Firehose's contract: one answer a record, nothing lost, and counts that add up."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from pathlib import Path

import orjson
import pytest
from aws_lambda_powertools.utilities.data_classes import KinesisFirehoseEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.transformation import Transformation

EVENT = json.loads((Path(__file__).parents[2] / "events" / "firehose.json").read_text())


def firehose(raws):
    records = [{**EVENT["records"][0], "recordId": str(number), "data": base64.b64encode(raw).decode()} for number, raw in enumerate(raws)]
    return list(KinesisFirehoseEvent({**EVENT, "records": records}).records)


@pytest.fixture
def transform(route):
    def run(raws, **limits):
        return Transformation(route.router, **limits).run(firehose(raws))

    return run


def lines_of(batch):
    return [orjson.loads(line) for answer in batch.answers if answer.result == "Ok" for line in base64.b64decode(answer.data).splitlines()]


@pytest.fixture
def changes(dms):
    """A change of any kind, good or bad."""
    row = st.fixed_dictionaries({"beer_id": st.integers(1, 4), "beer_name": st.sampled_from(["Saison", None])})
    before = st.sampled_from([None, {}, {"beer_id": 1}, {"beer_id": 2}])
    place = st.tuples(st.integers(1, 3), st.integers(1, 3))
    data = st.builds(
        lambda op, row, before, at: dms.message(op, row, before, lsn=at[0], record=at[1]),
        st.sampled_from(["insert", "update", "delete"]),
        row,
        before,
        place,
    )
    loads = st.builds(lambda row: dms.message("load", row), row)
    controls = st.builds(
        dms.control, st.sampled_from(["drop-table", "create-table", "add-column"]), st.sampled_from(["dm_core.beer", "public.x"])
    )
    return st.one_of(data, loads, controls, st.just(b"no json"), st.binary(max_size=20))


@given(data=st.data(), limit=st.integers(500, 20_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_every_record_is_answered_once_and_the_counts_add_up(transform, changes, data, limit):
    raws = data.draw(st.lists(changes, min_size=1, max_size=20))

    batch = transform(raws, response_limit=limit)

    assert [answer.record_id for answer in batch.answers] == [str(number) for number in range(len(raws))]
    counts = batch.counts
    assert counts.records == len(raws) == counts.ok + counts.control + counts.failed + counts.returned
    assert counts.lines == len(lines_of(batch))
    assert counts.failed == sum(answer.result == "ProcessingFailed" for answer in batch.answers) == len(batch.failures)
    assert counts.returned == len(batch.returned) < len(raws)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_no_two_lines_of_a_change_share_key_and_position(transform, changes, data):
    raws = data.draw(st.lists(changes, max_size=20, min_size=1))

    for raw in raws:
        places = Counter((line["beer_id"], line["cdc_position"]) for line in lines_of(transform([raw])) if line["operation"] != "fence")
        assert all(times == 1 for times in places.values())


def test_a_good_record_goes_to_its_table_and_contract(transform, route, dms):
    (answer,) = transform([dms.message("insert", {"beer_id": 7, "beer_name": "Saison"})]).answers

    assert answer.asdict()["metadata"] == {"partitionKeys": {"table_name": "beer", "contract": route.router.version}}
    assert base64.b64decode(answer.data).endswith(b"\n")


def test_a_record_that_is_not_understood_keeps_its_data_and_gets_a_reason(transform, dms):
    raw = dms.message("insert", {"beer_id": "seven", "beer_name": "Saison"})

    batch = transform([raw])

    answer = batch.answers[0].asdict()
    assert (answer["result"], base64.b64decode(answer["data"])) == ("ProcessingFailed", raw)
    assert answer["metadata"]["partitionKeys"] == {"failure_reason": batch.failures[0].reason}
    assert 'column "beer_id"' in batch.failures[0].reason
    assert batch.failures[0].raw_sha256 == hashlib.sha256(raw).hexdigest()


def test_a_control_record_is_dropped_and_counted(transform, dms):
    batch = transform([dms.control("add-column"), dms.control("drop-table")])

    assert [answer.result for answer in batch.answers] == ["Dropped", "Ok"]
    assert (batch.counts.control, batch.counts.fences) == (2, 1)


def test_what_the_answer_cannot_hold_goes_back_and_gets_through_on_its_own(transform, dms):
    raws = [dms.message("insert", {"beer_id": number, "beer_name": "x" * 500}) for number in range(10)]

    rounds, waiting, delivered = 0, raws, []
    while waiting:
        batch = transform(waiting, response_limit=5_000)
        assert sum(len(json.dumps(answer.asdict())) for answer in batch.answers) <= 5_000
        delivered += [line["beer_id"] for line in lines_of(batch)]
        waiting = [record.data_as_bytes for record in batch.returned]
        rounds += 1

    assert sorted(delivered) == list(range(10))
    assert rounds > 1


def test_a_record_too_long_for_any_answer_is_failed_and_not_sent_round_for_ever(transform, dms):
    batch = transform([dms.message("insert", {"beer_id": 1, "beer_name": "x" * 9_000})], response_limit=5_000)

    assert batch.answers[0].result == "ProcessingFailed"
    assert "bytes" in batch.failures[0].reason


def test_each_kind_of_record_is_counted_as_what_it_was(transform, dms):
    beer = {"beer_id": 7, "beer_name": "Saison"}
    changed = dms.message("update", beer, before={"beer_id": 6})
    raws = [dms.message("insert", beer), changed, dms.control("drop-table"), dms.control("add-column"), b"no json"]

    counts = transform(raws).counts

    assert (counts.records, counts.ok, counts.control, counts.failed, counts.returned) == (5, 2, 2, 1, 0)
    assert (counts.splits, counts.fences, counts.lines) == (1, 1, 4)


def test_refused_rows_of_loads_are_named_once_by_table_and_time(transform, dms) -> None:
    bad = {"beer_id": "no number", "beer_name": "Saison"}
    raws = [dms.message("load", bad), dms.message("load", bad), dms.message("load", bad | {"beer_name": "Tripel"})]
    others = [dms.message("insert", bad), dms.message("load", bad, table="public.unknown"), b"no json", dms.control("drop-table")]

    batch = transform(raws + others)

    assert batch.counts.failed == 6
    assert {table: len(refusals) for table, refusals in batch.refusals.items()} == {"beer": 2}
    assert len({refusal.built_at for refusal in batch.refusals["beer"]}) == 1
