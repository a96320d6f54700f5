"""Leases, interruptions and failures: an attempt that does not finish publishes nothing and leaves nothing behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from chalice.test import Client

from beer import CONTRACTS
from convert import door
from convert.local_file import convert
from convert.settings import Settings
from convert.sink import S3Sink
from tests.integration.convert.conftest import EXECUTION, ROOT, Road, gz_lines, load
from tests.waiting import eventually

pytestmark = pytest.mark.integration

ROWS_A_MEMBER = 20_000


def big_file(members: int) -> bytes:
    """Many gzip members of the same lines: much to convert, little to build."""
    return gz_lines(*(load(brewery_id=n, brewery_name=f"brewery {n}") for n in range(ROWS_A_MEMBER))) * members


def test_the_container_writes_the_same_bytes_as_the_function(road: Road) -> None:
    file_id = road.arrives("brewery", "both.gz", big_file(1))
    road.convert(file_id)
    (key,) = road.record(file_id).bronze_keys
    by_function = road.s3.get_object(Bucket=road.lake, Key=key)["Body"].read()
    road.control.files.retry(file_id, force=True)

    process = road.container(file_id)
    output, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors.decode()
    assert json.loads(output.splitlines()[-1])["result"] == "converted"
    assert road.s3.get_object(Bucket=road.lake, Key=key)["Body"].read() == by_function


def test_sigterm_aborts_the_attempt_and_gives_the_lease_back(road: Road) -> None:
    file_id = road.arrives("brewery", "terminated.gz", big_file(200))
    process = road.container(file_id)
    eventually(lambda: road.record(file_id).contract_version is not None, "the start of the conversion", pause=0.02)

    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 128 + signal.SIGTERM, output.decode()
    assert road.record(file_id).status == "running"
    assert road.objects(file_id) == []
    assert road.unfinished_uploads() == []
    taken = road.control.files.start(file_id, "another execution", 60)
    assert taken.execution_arn == "another execution"


def test_a_lost_lease_abandons_the_attempt_and_leaves_the_file_to_its_new_holder(road: Road) -> None:
    file_id = road.arrives("brewery", "lost.gz", gz_lines(*(load(brewery_id=n, brewery_name="x") for n in range(100))))
    stolen = []

    def steal() -> bool:
        if not stolen:
            record = road.record(file_id)
            road.control.files.release(file_id, record.lease_token or "", "Stolen", "by the test")
            stolen.append(road.control.files.start(file_id, "the new holder", 60))
        return False

    summary = road.converter().run(file_id, EXECUTION, steal)

    record = road.record(file_id)
    assert (summary.result, summary.error_type) == ("abandoned", "LeaseLost")
    assert (record.status, record.execution_arn) == ("running", "the new holder")
    assert road.objects(file_id) == []


def test_a_file_that_another_execution_holds_is_left_alone(road: Road) -> None:
    file_id = road.arrives("brewery", "held.gz", big_file(1))
    road.control.files.start(file_id, "the holder", 60)

    summary = road.convert(file_id)

    assert (summary.result, summary.error_type) == ("abandoned", "AlreadyTaken")


def test_a_settled_file_is_not_converted_again(road: Road) -> None:
    file_id = road.arrives("brewery", "done.gz", gz_lines(load(brewery_id=1, brewery_name="x")))
    road.convert(file_id)

    assert road.convert(file_id).error_type == "WrongStatus"
    assert road.record(file_id).status == "bronze"


def test_a_raw_object_that_is_gone_fails_the_file(road: Road) -> None:
    file_id = road.arrives("brewery", "gone.gz", gz_lines(load(brewery_id=1, brewery_name="x")))
    record = road.record(file_id)
    pinned = {"VersionId": record.version_id} if record.version_id else {}
    road.s3.delete_object(Bucket=road.stage, Key=record.object_key, **pinned)

    summary = road.convert(file_id)

    assert (summary.result, summary.error_type) == ("failed", "SourceChanged")


def test_an_error_worth_another_attempt_is_raised_and_gives_the_lease_back(road: Road) -> None:
    file_id = road.arrives("brewery", "again.gz", gz_lines(load(brewery_id=1, brewery_name="x")))
    converter = road.converter()
    converter._settings = Settings(road.contracts_uri, road.table_name, "no-such-bucket", road.secret, 60, 3600, 1)

    with pytest.raises(Exception, match="NoSuchBucket"):
        converter.run(file_id, EXECUTION)

    record = road.record(file_id)
    assert (record.status, record.error_type) == ("running", "NoSuchBucket")
    assert "specified bucket does not exist" in str(record.error_message)
    taken = road.control.files.start(file_id, "the next attempt", 60)
    assert (taken.execution_arn, taken.error_type) == ("the next attempt", None)


def test_the_reason_of_a_failed_execution_is_left_on_the_record(road: Road) -> None:
    file_id = road.arrives("brewery", "reason.gz", gz_lines(load(brewery_id=1, brewery_name="x")))
    road.control.files.start(file_id, EXECUTION, 60)

    road.converter().record_failure(file_id, EXECUTION, "States.TaskFailed", "the task stopped")

    record = road.record(file_id)
    assert (record.status, record.error_type, record.error_message) == ("failed", "States.TaskFailed", "the task stopped")


def test_the_reason_that_an_attempt_left_stands_before_what_step_functions_knows_of_it(road: Road) -> None:
    file_id = road.arrives("brewery", "container.gz", gz_lines(load(brewery_id=1, brewery_name="x")))
    token = road.control.files.start(file_id, EXECUTION, 60).lease_token or ""
    road.control.files.release(file_id, token, "ZeroDivisionError", "division by zero")

    road.converter().record_failure(file_id, EXECUTION, "States.TaskFailed", "the task stopped; exit codes [1]")

    record = road.record(file_id)
    assert (record.status, record.error_type) == ("failed", "ZeroDivisionError")
    assert record.error_message == "division by zero; the task stopped; exit codes [1]"


def test_the_reason_of_an_execution_that_lost_the_file_changes_nothing(road: Road) -> None:
    file_id = road.arrives("brewery", "not-mine.gz", gz_lines(load(brewery_id=1, brewery_name="x")))
    road.control.files.start(file_id, "the holder", 60)

    road.converter().record_failure(file_id, EXECUTION, "States.Timeout", "late")

    assert road.record(file_id).status == "running"


def test_the_late_failure_of_an_earlier_attempt_leaves_the_next_one_alone(road: Road) -> None:
    file_id = road.arrives("brewery", "next-attempt.gz", gz_lines(load(brewery_id=1, brewery_name="x")))
    first = EXECUTION.replace(":one", f":{file_id}-1")
    road.control.files.take_over(road.control.files.start(file_id, first, lease_seconds=-1), max_attempts=3)

    late = road.converter().record_failure(file_id, first, "States.Timeout", "late")
    assert (late.result, road.record(file_id).status) == ("abandoned", "pending")

    second = road.converter().record_failure(file_id, first[:-1] + "2", "Lambda.Unknown", "never began")
    assert (second.result, road.record(file_id).status) == ("failed", "failed")


def test_the_lambda_function_answers_with_the_attempt_s_summary(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in road.environment.items():
        monkeypatch.setenv(name, value)
    file_id = road.arrives("brewery", "lambda.gz", gz_lines(load(brewery_id=1, brewery_name="x")))
    app = door

    with Client(app.app, project_dir=str(ROOT / "converter")) as client:
        answer = client.lambda_.invoke("convert_file", {"file_id": file_id, "execution": EXECUTION}).payload

    assert (answer["result"], answer["records_written"]) == ("converted", 1)


@pytest.mark.parametrize("size", [0, 100, 20 << 20], ids=["empty", "small", "multipart"])
def test_what_goes_into_the_sink_appears_at_commit_and_not_before(road: Road, size: int) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    sink = S3Sink(road.s3, road.lake)
    name = f"sink/{size}"
    file = sink.open(name)
    for start in range(0, size, 1 << 20):
        file.write(body[start : start + (1 << 20)])
    assert "Contents" not in road.s3.list_objects_v2(Bucket=road.lake, Prefix=name)

    sink.commit()

    assert road.s3.get_object(Bucket=road.lake, Key=name)["Body"].read() == body


def test_an_aborted_sink_leaves_no_upload_behind(road: Road) -> None:
    sink = S3Sink(road.s3, road.lake)
    sink.open("sink/aborted").write(bytes(20 << 20))
    assert len(road.unfinished_uploads()) == 1

    sink.abort()

    assert road.unfinished_uploads() == []


def test_the_command_line_writes_the_same_bytes_as_the_function(road: Road, tmp_path: Path) -> None:
    body = big_file(1)
    file_id = road.arrives("brewery", "three-entrances.gz", body)
    road.convert(file_id)
    (key,) = road.record(file_id).bronze_keys
    local = tmp_path / "three-entrances.gz"
    local.write_bytes(body)

    summary = convert(local, CONTRACTS / "brewery.yaml", tmp_path / "out", file_id=file_id)

    (part,) = summary["parts"]
    assert Path(part).read_bytes() == road.s3.get_object(Bucket=road.lake, Key=key)["Body"].read()
