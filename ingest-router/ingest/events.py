"""Reads the events of other services into the lake's own values."""

from __future__ import annotations

from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from ingest.raw_objects import RawObject
from lake.control import ControlRecord

TEST_EVENT = "s3:TestEvent"
_FILE_KEY = "file#"


def announced_objects(message: SQSRecord) -> list[RawObject]:
    """The objects that one message of S3 announces. Empty for the test message that S3 sends when notifications are set up.

    Keys are URL-encoded (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
    """
    if message.json_body.get("Event") == TEST_EVENT:
        return []
    objects = []
    for record in message.decoded_nested_s3_event.records:
        if not record.event_name.removeprefix("s3:").startswith("ObjectCreated"):
            continue
        described = record.s3.get_object
        key = unquote_plus(described.key)
        objects.append(RawObject(record.s3.bucket.name, key, described.version_id or "", described.etag, described.size or 0))
    return objects


def file_record(change: DynamoDBRecord) -> ControlRecord | None:
    """The file record after a change of the control table. None for deletions and for the table's other items."""
    image = change.dynamodb.new_image if change.dynamodb else None
    if not image or not str(image.get("pk", "")).startswith(_FILE_KEY):
        return None
    return ControlRecord.of_item(image)
