"""Calls that any role may try: what each asks of IAM, and the call itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial

from botocore.exceptions import ClientError

from datamaster.aws.cloudformation.policies import Request

from .conftest import Guarded

Probe = Callable[[], object]
KEY = {"pk": {"S": "probe"}, "sk": {"S": "probe"}}
PLACES = {
    "contracts": ("ArtifactsBucket", "contracts/probe"),
    "raw": ("StageBucket", "raw/probe"),
    "bronze": ("LakeBucket", "bronze/probe"),
    "quarantine": ("LakeBucket", "quarantine/probe"),
    "batches": ("LakeBucket", "batches/probe"),
}
TAGS = {"TagSet": [{"Key": "settled", "Value": "true"}]}


def was_allowed(call: Probe) -> bool:
    """Whether a call got past the check of rights. What it finds there is another matter."""
    try:
        call()
    except ClientError as error:
        return "AccessDenied" not in error.response["Error"]["Code"]
    return True


def requests(lake: Guarded) -> Iterator[tuple[str, Request]]:
    """What each probe asks, by its name."""
    for place, (bucket, key) in PLACES.items():
        arn = f"arn:aws:s3:::{lake.storage[bucket]}/{key}"
        yield f"read {place}", Request("s3:GetObject", arn)
        yield f"write {place}", Request("s3:PutObject", arn)
        yield f"tag {place}", Request("s3:PutObjectTagging", arn)
    stage = f"arn:aws:s3:::{lake.storage['StageBucket']}"
    yield "list raw versions", Request("s3:ListBucketVersions", stage, keys={"s3:prefix": "raw/"})
    table = lake.values["ControlTableArn"]
    for name in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "BatchGetItem", "BatchWriteItem"):
        yield f"control {name}", Request(f"dynamodb:{name}", table)
    yield "start", Request("states:StartExecution", lake.machine)
    yield "return to the stream", Request("kinesis:PutRecords", lake.values["StreamArn"])
    yield "mask key", Request("secretsmanager:GetSecretValue", lake.values["MaskKeyArn"])


def probes(lake: Guarded, function: str) -> Iterator[tuple[str, Probe]]:
    """The same probes as calls with a function's credentials."""
    session = lake.roles[function]
    s3, dynamodb = session.client("s3"), session.client("dynamodb")
    for place, (bucket, key) in PLACES.items():
        where = {"Bucket": lake.storage[bucket], "Key": key}
        yield f"read {place}", partial(s3.get_object, **where)
        yield f"write {place}", partial(s3.put_object, **where, Body=b"probe")
        yield f"tag {place}", partial(s3.put_object_tagging, **where, Tagging=TAGS)
    yield "list raw versions", partial(s3.list_object_versions, Bucket=lake.storage["StageBucket"], Prefix="raw/")
    name = lake.values["ControlTable"]
    query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "probe"}}}
    yield "control GetItem", partial(dynamodb.get_item, TableName=name, Key=KEY)
    yield "control PutItem", partial(dynamodb.put_item, TableName=name, Item=KEY)
    yield "control UpdateItem", partial(dynamodb.update_item, TableName=name, Key=KEY, UpdateExpression="REMOVE probed")
    yield "control DeleteItem", partial(dynamodb.delete_item, TableName=name, Key=KEY)
    yield "control Query", partial(dynamodb.query, TableName=name, **query)
    yield "control BatchGetItem", partial(dynamodb.batch_get_item, RequestItems={name: {"Keys": [KEY]}})
    yield "control BatchWriteItem", partial(dynamodb.batch_write_item, RequestItems={name: [{"PutRequest": {"Item": KEY}}]})
    states, kinesis = session.client("stepfunctions"), session.client("kinesis")
    yield "start", partial(states.start_execution, stateMachineArn=lake.machine, name=uuid.uuid4().hex)
    records = [{"Data": b"probe", "PartitionKey": "probe"}]
    yield "return to the stream", partial(kinesis.put_records, StreamARN=lake.values["StreamArn"], Records=records)
    yield "mask key", partial(session.client("secretsmanager").get_secret_value, SecretId=lake.values["MaskKeyArn"])
