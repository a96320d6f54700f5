"""The metrics that AWS's services send to CloudWatch, sent by their local counterparts. Names, units and dimensions are AWS's.

Lambda's own metrics come from the emulator. The rest comes from executions, queues, the delivery worker's checkpoint and the replicator's
statistics.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import orjson
from botocore.config import Config

from datamaster.laptop.delivery.checkpoint import CHECKPOINT, SHARD_END
from datamaster.laptop.delivery.progress import INVOCATIONS, SUCCEEDED
from datamaster.laptop.metrics.embedded import Datum

COUNT, SECONDS, MILLISECONDS = "Count", "Seconds", "Milliseconds"
READ_SECONDS = 5  # a stand-in that stands still holds up nobody else's metrics for long
ENVIRONMENT, ACCOUNT = "local", "000000000000"
FAILED_PREFIX = "errors/processing-failed/"
JOB_MACHINES = ("dm-bronze-to-silver-local", "dm-silver-to-gold-local", "dm-maintenance-local")
ENDED = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


@cache
def client(service: str) -> Any:
    """A client of a local endpoint. Making one takes longer than a call."""
    return boto3.client(service, config=Config(read_timeout=READ_SECONDS, retries={"total_max_attempts": 2}))


def datum(namespace: str, name: str, value: float, unit: str = COUNT, **dimensions: str) -> Datum:
    """One value of now."""
    return Datum(namespace, name, (float(value),), unit, tuple(sorted(dimensions.items())), datetime.now(UTC))


def queues() -> Iterator[Datum]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"""
    sqs = client("sqs")
    for url in sqs.list_queues(QueueNamePrefix="dm-").get("QueueUrls", ()):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        held = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        queue = url.rsplit("/", 1)[-1]
        yield datum("AWS/SQS", "ApproximateNumberOfMessagesVisible", int(held[names[0]]), QueueName=queue)
        yield datum("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", int(held[names[1]]), QueueName=queue)


@dataclass
class ExecutionMetrics:
    """Executions of the state machines and jobs of theirs, each told once, when it has ended.

    https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    """

    told: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def new(self) -> Iterator[Datum]:
        """Metrics of executions that began or ended since the last call."""
        states = client("stepfunctions")
        for machine in states.list_state_machines()["stateMachines"]:
            arn = machine["stateMachineArn"]
            for execution in states.get_paginator("list_executions").paginate(stateMachineArn=arn).search("executions[]"):
                yield from self._of(states, machine["name"], arn, execution)

    def _of(self, states: Any, name: str, arn: str, execution: dict[str, Any]) -> Iterator[Datum]:
        key, status = execution["executionArn"], execution["status"]
        if key not in self.seen:
            self.seen.add(key)
            yield datum("AWS/States", "ExecutionsStarted", 1, StateMachineArn=arn)
        if status not in ENDED or key in self.told:
            return
        self.told.add(key)
        for of, metric in ENDED.items():
            yield datum("AWS/States", metric, int(of == status), StateMachineArn=arn)
        took = (execution["stopDate"] - execution["startDate"]).total_seconds()
        yield datum("AWS/States", "ExecutionTime", took * 1000, MILLISECONDS, StateMachineArn=arn)
        if name in JOB_MACHINES:
            yield from self._jobs(states, key)

    def _jobs(self, states: Any, execution: str) -> Iterator[Datum]:
        """https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/app-job-metrics.html"""
        kinds = Counter(
            event["type"] for event in states.get_paginator("get_execution_history").paginate(executionArn=execution).search("events[]")
        )
        application = f"dm-{ENVIRONMENT}"
        named = {"ApplicationId": "laptop", "ApplicationName": application}
        yield datum("AWS/EMRServerless", "SuccessJobs", kinds["ActivitySucceeded"], **named)
        yield datum("AWS/EMRServerless", "FailedJobs", kinds["ActivityFailed"] + kinds["ActivityTimedOut"], **named)


@dataclass
class StreamMetrics:
    """The stream and its delivery, as far as the delivery worker's checkpoint tells.

    https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html,
    https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html
    """

    name: str
    state: Path
    before: dict[str, int] = field(default_factory=dict)
    invoked: dict[str, int] = field(default_factory=dict)

    def new(self) -> Iterator[Datum]:
        """Records read and delivered since the last call, and how old the oldest undelivered one is."""
        try:
            checkpoint = orjson.loads((self.state / CHECKPOINT).read_bytes())
        except FileNotFoundError:
            checkpoint = {"counts": {}, "shards": {}}
        counts = checkpoint["counts"]
        grown = {name: count - self.before.get(name, 0) for name, count in counts.items()}
        self.before = counts
        age = self._age(checkpoint["shards"])
        delivery = f"dm-delivery-{ENVIRONMENT}"
        yield datum("AWS/Kinesis", "GetRecords.Records", grown.get("received", 0), StreamName=self.name)
        yield datum("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", age * 1000, MILLISECONDS, StreamName=self.name)
        yield datum("AWS/Firehose", "DataReadFromKinesisStream.Records", grown.get("received", 0), DeliveryStreamName=delivery)
        yield datum("AWS/Firehose", "DeliveryToS3.Records", grown.get("ok", 0), DeliveryStreamName=delivery)
        yield datum("AWS/Firehose", "DeliveryToS3.DataFreshness", age, SECONDS, DeliveryStreamName=delivery)
        yield from self._invocations(delivery)

    def _invocations(self, delivery: str) -> Iterator[Datum]:
        """The share of the function's successful invocations since the last call, or nothing without invocations."""
        try:
            counts: dict[str, int] = orjson.loads((self.state / INVOCATIONS).read_bytes())
        except FileNotFoundError:
            return
        grown = {name: count - self.invoked.get(name, 0) for name, count in counts.items()}
        if all_ := sum(grown.values()):
            yield datum("AWS/Firehose", "ExecuteProcessing.Success", grown.get(SUCCEEDED, 0) / all_, DeliveryStreamName=delivery)
        self.invoked = counts

    def _age(self, shards: dict[str, str]) -> float:
        """Seconds since the arrival of the oldest undelivered record, or 0 without one."""
        kinesis = client("kinesis")
        ages = [0.0]
        for shard in kinesis.list_shards(StreamName=self.name)["Shards"]:
            position = shards.get(shard["ShardId"])
            if position == SHARD_END:
                continue
            start = {"ShardIteratorType": "TRIM_HORIZON"}
            if position:
                start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": position}
            iterator = kinesis.get_shard_iterator(StreamName=self.name, ShardId=shard["ShardId"], **start)["ShardIterator"]
            for record in kinesis.get_records(ShardIterator=iterator, Limit=1)["Records"]:
                ages.append((datetime.now(UTC) - record["ApproximateArrivalTimestamp"]).total_seconds())
        return max(ages)


@dataclass
class ReplicationMetrics:
    """The replicator by the statistics that it gives, and by whether it has reached the end of the source's log.

    https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Monitoring.html
    """

    config: str
    behind: Callable[[], bool]
    before: Counter[str] = field(default_factory=Counter)
    looked_at: float = field(default_factory=time.monotonic)
    current_at: float = field(default_factory=time.monotonic)

    def new(self) -> Iterator[Datum]:
        """Rows a second since the last call, and seconds since the replicator last had read everything."""
        pages = client("dms").describe_replication_table_statistics(ReplicationConfigArn=self.config)
        counts: Counter[str] = Counter()
        for table in pages["ReplicationTableStatistics"]:
            counts["changes"] += table["Inserts"] + table["Updates"] + table["Deletes"]
            counts["loaded"] += table["FullLoadRows"]
        now = time.monotonic()
        seconds = max(now - self.looked_at, 0.001)
        if not self.behind():
            self.current_at = now
        named = {"ReplicationConfigId": f"{ACCOUNT}:dm-{ENVIRONMENT}"}
        changes, loaded = (max(counts[name] - self.before[name], 0) for name in ("changes", "loaded"))
        yield datum("AWS/DMS", "CDCIncomingChanges", changes, **named)
        yield datum("AWS/DMS", "FullLoadThroughputRowsTarget", loaded / seconds, "Count/Second", **named)
        for end in ("Source", "Target"):  # the replicator reads no further than it has sent
            yield datum("AWS/DMS", f"CDCLatency{end}", now - self.current_at, SECONDS, **named)
        self.before, self.looked_at = counts, now


@dataclass
class ContainerMetrics:
    """The container tasks that run. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cloudwatch-metrics.html"""

    taken: Path

    def new(self) -> Iterator[Datum]:
        """How many run now."""
        running = len(list(self.taken.glob("*.json"))) if self.taken.exists() else 0
        yield datum("ECS/ContainerInsights", "TaskCount", running, ClusterName=f"dm-converter-{ENVIRONMENT}")


@dataclass
class LostBatches:
    """The requests that put an object under errors/processing-failed/, as the stage bucket's metrics configuration counts them.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
    """

    bucket: str
    seen: set[str] = field(default_factory=set)

    def new(self) -> Iterator[Datum]:
        """The objects since the last call."""
        listed = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=FAILED_PREFIX)
        keys = {entry["Key"] for page in listed for entry in page.get("Contents", ())}
        yield datum("AWS/S3", "PutRequests", len(keys - self.seen), BucketName=self.bucket, FilterId="processing-failed")
        self.seen = keys


@dataclass
class SourceLog:
    """The size of the log that the source keeps for the replication, whether the replication runs or not.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html
    """

    lag: Callable[[], int]

    def new(self) -> Iterator[Datum]:
        """The bytes now."""
        writer = {"DBClusterIdentifier": f"dm-source-{ENVIRONMENT}", "Role": "WRITER"}
        yield datum("AWS/RDS", "OldestReplicationSlotLag", self.lag(), "Bytes", **writer)
