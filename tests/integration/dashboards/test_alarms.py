"""On the running road a fault makes each alarm's condition true, and its removal clears it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import uuid
from contextlib import contextmanager
from functools import partial

import boto3
import psycopg2
import pytest

from datamaster.aws.dashboards.objectives import objectives
from datamaster.laptop import lifecycle, state
from datamaster.platform import actions, pipelines
from datamaster.platform.api_client import sweep_files
from lake.control import ControlTable
from tests.integration.dashboards.deployed_alarms import breached
from tests.waiting import eventually

pytestmark = pytest.mark.integration
KNOWN = objectives()
QUEUES = ("arrivals", "ingest-router", "converter", "control-api")
DEAD_LETTERS = " and ".join(objective.name for objective in KNOWN if objective.name.startswith("dead-letters-"))
REPORTED = {objective.metric for objective in KNOWN if objective.dimensions == {"service": "control-api"}}


def report_now(lake):
    """Have the control table's state told, as the schedule does."""
    event = {"version": "0", "id": "test", "detail-type": "Scheduled Event", "source": "test", "account": "", "region": ""}
    event |= {"time": "2026-01-01T00:00:00Z", "resources": [], "detail": {}}
    boto3.client("lambda").invoke(FunctionName=lake.functions["report_state"], Payload=json.dumps(event).encode())


@contextmanager
def waiting_rows(lake):
    """A row in bronze that no silver run takes: it waits, and its raw object stays unsettled."""
    with psycopg2.connect(lake.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO dm_core.brewery VALUES (900001, 'Late Brewery')")
    connection.close()
    actions.convert_all(lake, lifecycle.silent)
    _unsettled_after(lake, 5)
    yield
    assert not pipelines.run(lake, "silver", lifecycle.silent).failed
    assert not pipelines.run(lake, "gold", lifecycle.silent).failed


def _unsettled_after(lake, seconds):
    """Have the sweep tell objects that are no older than a test can wait for."""
    client, name = boto3.client("lambda"), lake.functions["sweep_files"]
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    client.update_function_configuration(FunctionName=name, Environment={"Variables": variables | {"UNSETTLED_SECONDS": str(seconds)}})


@contextmanager
def unreadable_file(lake):
    """An export whose rows break their contract; the failure is removed by what removes it in life: the file goes on."""
    control, key = ControlTable(lake.control_table), f"raw/beer/export/{uuid.uuid4().hex}/00001.csv.gz"
    lines = ["beer_id,brewery_id,beer_name,beer_style,beer_abv", *(f"x{n},1,a,b,5" for n in range(50))]
    boto3.client("s3").put_object(Bucket=lake.stage_bucket, Key=key, Body=gzip.compress("\n".join(lines).encode()))
    failed = partial(control.listing.files, table="beer", status="failed")
    [file] = eventually(lambda: [file for file in failed() if file.object_key == key], "the failed file", pause=1)
    yield
    # The sweep's view of the last 24 hours: the record is forgotten, as its age would do.
    control.items.table.delete_item(Key={"pk": f"file#{file.file_id}", "sk": "file"})
    assert not [f for f in control.listing.files(status="failed") if f.object_key == key]


@contextmanager
def broken_batch(lake):
    """A batch whose job failed."""
    batches = ControlTable(lake.control_table).batches
    batches.open("gold/top_drinkers", "test-batch", "s3://nowhere/manifest.json", "test", 60)
    batches.release("gold/top_drinkers", "test-batch", "the job ended with code 1")
    yield
    batches.close("gold/top_drinkers", "test-batch")


@contextmanager
def failed_maintenance(lake):
    """A table whose maintenance job ended with an error; its alarm clears when no more do."""

    def call(name, **event):
        payload = json.dumps(event | {"execution": "test"}).encode()
        answer = boto3.client("lambda").invoke(FunctionName=lake.functions[name], Payload=payload)
        return json.loads(answer["Payload"].read())

    [batch] = call("plan_maintenance", input={"tables": ["brewery"]})["batches"]
    assert call("settle_maintenance", **batch, error={"Error": "TaskFailed", "Cause": "exit code 1"})["status"] == "released"
    yield


@contextmanager
def record_that_nobody_understands(lake):
    """A record on the stream that is no message of DMS; its alarm clears when no more come."""
    boto3.client("kinesis").put_record(StreamName=lake.stream_name, Data=b'{"data": 1}', PartitionKey="x")
    yield


@contextmanager
def halted_delivery(lake):
    """A delivery worker that stands still while rows come."""
    worker = state.processes(lake.home)["delivery"]["pid"]
    os.kill(worker, signal.SIGSTOP)
    with psycopg2.connect(lake.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO dm_core.brewery VALUES (900002, 'Halted Brewery')")
    connection.close()
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


@contextmanager
def dead_letters(_lake):
    """A message that was given up, in each dead letter queue."""
    sqs = boto3.client("sqs")
    urls = [sqs.get_queue_url(QueueName=f"dm-{queue}-dead-local")["QueueUrl"] for queue in QUEUES]
    for url in urls:
        sqs.send_message(QueueUrl=url, MessageBody="given up")
    yield
    for url in urls:
        sqs.purge_queue(QueueUrl=url)


@contextmanager
def throttled_function(lake):
    """A transform_records that has no room while rows come, as an account at its limit has none."""
    lambdas, name = boto3.client("lambda"), lake.functions["transform_records"]
    lambdas.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with psycopg2.connect(lake.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO dm_core.brewery VALUES (900003, 'Throttled Brewery')")
    connection.close()
    try:
        yield
    finally:
        lambdas.delete_function_concurrency(FunctionName=name)


@contextmanager
def broken_function(lake):
    """A transform_records whose contracts cannot be found; Firehose does not repeat what ends in an error."""
    lambdas, name = boto3.client("lambda"), lake.functions["transform_records"]
    variables = lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": variables | {"CONTRACTS_URI": "s3://nowhere/"}})
    boto3.client("kinesis").put_record(StreamName=lake.stream_name, Data=b'{"data": 1}', PartitionKey="x")
    try:
        yield
    finally:
        lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


@contextmanager
def halted_replication(lake):
    """A replicator that stands still while the source's log grows."""
    worker = state.processes(lake.home)["replicator"]["pid"]
    os.kill(worker, signal.SIGSTOP)
    with psycopg2.connect(lake.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.halted AS SELECT n, repeat('x', 100) FROM generate_series(1, 5000) n")
        cursor.execute("DROP TABLE public.halted")
    connection.close()
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


FAULTS = {
    "freshness and unsettled-objects": waiting_rows,
    "failed-files": unreadable_file,
    "broken-batches": broken_batch,
    "maintenance": failed_maintenance,
    "refused-records and lost-batches": record_that_nobody_understands,
    "stream-lag and delivery-freshness": halted_delivery,
    "transform-throttles and refused-batches": throttled_function,
    "transform-errors": broken_function,
    "replication-source-latency and replication-target-latency and slot-lag": halted_replication,
    DEAD_LETTERS: dead_letters,
}


def test_every_objective_has_a_fault():
    assert sorted(name for names in FAULTS for name in names.split(" and ")) == sorted(objective.name for objective in KNOWN)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_makes_the_alarms_condition_true_and_its_removal_clears_it(fault, lake, cloudwatch, capsys):
    names = fault.split(" and ")
    metrics = {objective.metric for objective in KNOWN if objective.name in names}

    def holding():
        if any(metric.startswith("sweep_") for metric in metrics):
            sweep_files()
        if metrics & REPORTED:
            report_now(lake)
        return [breached(cloudwatch, f"dm-local-{name}") is True for name in names]

    eventually(lambda: not any(holding()), "no alarm", pause=1)
    with FAULTS[fault](lake):
        eventually(lambda: all(holding()), "every alarm", pause=1)
    eventually(lambda: not any(holding()), "no alarm", pause=1)
    with capsys.disabled():
        for name in names:
            print(f"\n  alarm dm-local-{name}: on by its fault, off after", end="")
