"""A file that becomes pending gets one execution an attempt."""

from __future__ import annotations

import orjson
import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def pending(road):
    key = road.lines(3)
    road.register()
    return key


def test_a_pending_file_starts_its_attempt_once(road, pending):
    change = road.changed(pending)

    assert road.start(change, road.changed(pending, "2")) == {"batchItemFailures": []}
    assert road.start(change) == {"batchItemFailures": []}

    assert road.executions(pending) == ["1"]


def test_the_execution_knows_its_file_and_where_to_convert_it(road, pending):
    road.start(road.changed(pending))

    record = road.record(pending)
    arn = f"{road.machine.replace(':stateMachine:', ':execution:')}:{record.file_id}-1"
    given = orjson.loads(road.states.describe_execution(executionArn=arn)["input"])
    assert given == {
        "file_id": record.file_id,
        "attempt": 1,
        "compute_target": "lambda",
        "table_name": "beer",
        "bucket": road.bucket,
        "object_key": pending,
        "records_estimated": 3,
    }


def test_the_next_attempt_is_another_execution(road, pending):
    road.start(road.changed(pending))
    road.control.files.fail(road.record(pending).file_id, "Broken", "for the test")
    road.control.files.retry(road.record(pending).file_id)

    road.start(road.changed(pending))

    assert road.executions(pending) == ["1", "2"]


@pytest.mark.parametrize("attributes", [{"status": "running"}, {"status": "bronze"}, {"not_before": "9999-01-01T00:00:00.000000Z"}])
def test_a_file_that_is_not_due_starts_nothing(road, pending, attributes):
    road.start(road.changed(pending, **attributes))

    assert road.executions(pending) == []


def test_a_start_that_is_refused_goes_back_to_the_stream(road_to, monkeypatch):
    road = road_to("Pass")
    key = road.lines(1)
    road.register()
    road.states.delete_state_machine(stateMachineArn=road.machine)

    answer = road.start(road.changed(key, "7"))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "7"}]}
