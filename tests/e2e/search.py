"""Every place of a running platform where data can lie, read through AWS's APIs, to search it for planted values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import orjson

from datamaster.laptop.state import State
from datamaster.platform import api_client
from datamaster.platform.query import Athena
from tests.e2e.traces import holds

Document = tuple[str, str, bytes]
"""Kind of place, name in it, and bytes."""
PERMITTED = ("stream", "raw", "errors")
"""Where personal data may lie in clear."""


@dataclass(frozen=True)
class Searched:
    """What a search looked at, by kind of place, and where it found the word."""

    looked_at: dict[str, int]
    hits: tuple[tuple[str, str], ...]

    @property
    def forbidden(self) -> list[tuple[str, str]]:
        """The finds outside the places where personal data may lie in clear."""
        return [hit for hit in self.hits if hit[0] not in PERMITTED]

    @property
    def lines(self) -> list[str]:
        """The search as a table of text."""
        found = {kind: sum(place == kind for place, _ in self.hits) for kind in self.looked_at}
        return [f"{kind:18} {count:6} searched  {found[kind]:4} hits" for kind, count in self.looked_at.items()]


def search(running: State, word: str) -> Searched:
    """Look for ``word`` in every object, log event, record, message, history and answer of the platform."""
    looked_at: dict[str, int] = {}
    hits = []
    for kind, name, document in documents(running):
        looked_at[kind] = looked_at.get(kind, 0) + 1
        if holds(document, word):
            hits.append((kind, name))
    return Searched(looked_at, tuple(hits))


def documents(running: State) -> Iterator[Document]:
    """Everything that can be read of the platform."""
    yield from _stream(running.stream_name)
    yield from _objects(running)
    yield from _control_records(running.control_table)
    yield from _logs()
    yield from _process_logs(running)
    yield from _messages()
    yield from _executions()
    yield from _api()
    yield from _tables(running)


def _stream(name: str) -> Iterator[Document]:
    kinesis = boto3.client("kinesis")
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        place = {"StreamName": name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**place)["ShardIterator"]
        while iterator:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            for record in answer["Records"]:
                yield "stream", record["SequenceNumber"], record["Data"]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None


def _objects(running: State) -> Iterator[Document]:
    """Every version of every object of every bucket; raw and errors are kinds of their own."""
    s3 = boto3.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket["Name"]):
            for version in page.get("Versions", ()):
                key = version["Key"]
                first = key.partition("/")[0]
                kind = first if bucket["Name"] in (running.stage_bucket, running.lake_bucket) else bucket["Name"]
                found = s3.get_object(Bucket=bucket["Name"], Key=key, VersionId=version["VersionId"])
                told = orjson.dumps({"key": key, "metadata": found["Metadata"], "tags": found.get("TagCount")})
                yield kind, f"s3://{bucket['Name']}/{key} (name)", told
                yield kind, f"s3://{bucket['Name']}/{key}", found["Body"].read()


def _control_records(table: str) -> Iterator[Document]:
    for page in boto3.client("dynamodb").get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            yield "control", str(item["pk"]), orjson.dumps(item, default=str)


def _logs() -> Iterator[Document]:
    logs = boto3.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                for event in events["events"]:
                    yield "logs", group["logGroupName"], event["message"].encode()


def _process_logs(running: State) -> Iterator[Document]:
    """What the laptop's processes wrote: the container's and the jobs' logs lie here instead of in CloudWatch."""
    for path in sorted(running.logs.rglob("*")):
        if path.is_file():
            yield "process logs", path.name, path.read_bytes()


def _messages() -> Iterator[Document]:
    sqs = boto3.client("sqs")
    for url in sqs.list_queues().get("QueueUrls", ()):
        yield "queues", url, orjson.dumps(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=60).get("Messages"):
            for message in messages:
                yield "queues", url, message["Body"].encode()


def _executions() -> Iterator[Document]:
    states = boto3.client("stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"]):
            for execution in page["executions"]:
                history = states.get_execution_history(executionArn=execution["executionArn"], includeExecutionData=True)
                yield "executions", execution["executionArn"], orjson.dumps(history["events"], default=str)


def _api() -> Iterator[Document]:
    yield "api", "/tables", orjson.dumps(api_client.list_tables(), default=str)
    for file in api_client.list_files(limit=10_000):
        yield "api", f"/files/{file['file_id']}", orjson.dumps([file, api_client.show_file(file["file_id"])], default=str)


def _tables(running: State) -> Iterator[Document]:
    """Every row of every table, as Athena shows it, and what Glue tells of the table."""
    glue, athena = boto3.client("glue"), Athena(running.work_group)
    for database in glue.get_databases()["DatabaseList"]:
        for entry in glue.get_tables(DatabaseName=database["Name"])["TableList"]:
            name = f"{database['Name']}.{entry['Name']}"
            yield "catalog", name, orjson.dumps(entry, default=str)
            rows = athena.run(f'SELECT * FROM "{database["Name"]}"."{entry["Name"]}"', limit=1_000_000).rows
            yield "tables", name, orjson.dumps(rows, default=str)
