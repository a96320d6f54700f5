"""Rights that a function needs for what its template says of it, without any call of its code; each with AWS's page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from datamaster.aws.cloudformation.rendering import Template

from .recorder import Call
from .rights import Right

GUIDE = "https://docs.aws.amazon.com/lambda/latest/dg"
LOGS = f"{GUIDE}/monitoring-cloudwatchlogs.html"
NETWORK = f"{GUIDE}/configuration-vpc.html"
TRACES = f"{GUIDE}/services-xray.html"
DEAD_LETTERS = f"{GUIDE}/invocation-async-retain-records.html"
VARIABLES = f"{GUIDE}/configuration-envvars-encryption.html"
QUEUE_POLLER = f"{GUIDE}/services-sqs-configure.html"
STREAM_POLLER = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/iam-policy-example-lamda-process-dynamodb-streams.html"
QUEUE_KEY = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html"
UPLOADS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuAndPermissions.html"
OBJECT_GONE = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"

# Lambda asks for them before there is an interface to name, so a resource that names a kind is no match.
INTERFACES = ("CreateNetworkInterface", "DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
RAW_MAY_BE_GONE = ("RegisterFiles", "SweepFiles")
"""The functions that tell an object that is gone from one they may not read: without ListBucket S3 answers 403 for both."""


def abandoned(calls: Iterable[Call]) -> Iterator[Right]:
    """Who begins uploads and gives some up has to be able to give up each."""
    made = list(calls)
    if any(call.operation == "AbortMultipartUpload" for call in made):
        for call in made:
            if call.service == "s3" and call.operation == "PutObject":
                place = f"arn:aws:s3:::{call.parameters['Bucket']}/{call.parameters['Key']}"
                yield Right("s3:AbortMultipartUpload", place, page=UPLOADS)


def implied(template: Template, function: str, stage_bucket: str, stage_key: str) -> Iterator[Right]:
    """The implied rights of one function of a merge template."""
    everywhere, own = template.document["Globals"]["Function"], template.properties(function)
    log = template.properties(f"{'ApiHandler' if function == 'APIHandler' else function}Log")["LogGroupName"]
    for action in ("CreateLogStream", "PutLogEvents"):
        yield Right(f"logs:{action}", f"arn:aws:logs:us-east-1:000000000000:log-group:{log}:*", page=LOGS)
    if own.get("Tracing") == "Active":
        for action in ("PutTelemetryRecords", "PutTraceSegments"):
            yield Right(f"xray:{action}", page=TRACES)
    if "VpcConfig" in everywhere:
        yield from _network()
    if "KmsKeyArn" in everywhere:
        yield Right("kms:Decrypt", template.parameters[everywhere["KmsKeyArn"]["Ref"]], page=VARIABLES)
    for queue in filter(None, [own.get("DeadLetterQueue", {}).get("TargetArn")]):
        yield Right("sqs:SendMessage", queue, page=DEAD_LETTERS)
        for action in ("Decrypt", "GenerateDataKey"):
            yield Right(f"kms:{action}", template.properties("DeadLetters")["KmsMasterKeyId"], page=QUEUE_KEY)
    for event in own.get("Events", {}).values():
        yield from _poller(event["Properties"], stage_key)
    if function in RAW_MAY_BE_GONE:
        yield Right("s3:ListBucket", f"arn:aws:s3:::{stage_bucket}", page=OBJECT_GONE)


def _network() -> Iterator[Right]:
    place = "arn:aws:ec2:us-east-1:000000000000"
    for action in INTERFACES:
        yield Right(f"ec2:{action}", f"{place}:*/*", page=NETWORK)
    for action in ("DescribeNetworkInterfaces", "DescribeSubnets"):
        yield Right(f"ec2:{action}", page=NETWORK)


def _poller(event: dict[str, Any], stage_key: str) -> Iterator[Right]:
    if "Queue" in event:
        for action in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage"):
            yield Right(f"sqs:{action}", event["Queue"], page=QUEUE_POLLER)
        yield Right("kms:Decrypt", stage_key, page=QUEUE_POLLER)
    if "Stream" in event:
        for action in ("DescribeStream", "GetRecords", "GetShardIterator"):
            yield Right(f"dynamodb:{action}", event["Stream"], page=STREAM_POLLER)
        yield Right("dynamodb:ListStreams", page=STREAM_POLLER)
