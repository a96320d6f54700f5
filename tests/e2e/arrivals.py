"""The messages of S3 about raw objects: said twice, held back, sent late."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import boto3

from datamaster.laptop.state import State
from lake.keys import RAW
from tests.waiting import eventually

QUEUE = "dm-arrivals-local"


def keys_in(message: str) -> list[str]:
    """The keys of the objects that a message of S3 announces."""
    return [unquote_plus(record["s3"]["object"]["key"]) for record in json.loads(message).get("Records", ())]


class Arrivals:
    """The queue of a running platform. ``announced`` are the keys that were said a second time, ``late`` those that are held back."""

    def __init__(self, running: State) -> None:
        self.bucket = running.stage_bucket
        self.announced: Counter[str] = Counter()
        self.late: list[str] = []
        self._s3, self._sqs, self._lambda = boto3.client("s3"), boto3.client("sqs"), boto3.client("lambda")
        self._queue = self._sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
        mappings = self._lambda.list_event_source_mappings()["EventSourceMappings"]
        self._mapping = next(mapping["UUID"] for mapping in mappings if mapping["EventSourceArn"].endswith(f":{QUEUE}"))

    def objects(self) -> list[str]:
        """Every object under raw/."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=RAW)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def announce_again(self) -> None:
        """S3 says once more that each raw object was created, but for those that are held back."""
        for key in self.objects():
            if key not in self.announced and key not in self.late:
                self._send([json.dumps({"Records": [self._event(key)]})])
                self.announced[key] += 1

    def stop_registration(self) -> None:
        """Leave the messages in the queue from now on."""
        self._lambda.update_event_source_mapping(UUID=self._mapping, Enabled=False)

    def hold_back(self, table: str, count: int) -> list[str]:
        """Take every second of a table's messages off the queue, oldest file first, and let the others go on.

        Returns the ``count`` messages that were taken.
        """
        messages: list[str] = []

        def enough() -> list[str] | None:
            messages.extend(self._taken())
            found = sorted((message for message in messages if f"{RAW}{table}/" in message), key=keys_in)
            return found[: 2 * count] if len(found) >= 2 * count else None

        held = (eventually(enough, f"messages about files of {table}", pause=0.2) or [])[::2]
        self.late += [key for message in held for key in keys_in(message)]
        self._send(message for message in messages if message not in held)
        self._lambda.update_event_source_mapping(UUID=self._mapping, Enabled=True)
        return held

    def send_late(self, messages: list[str]) -> None:
        """Send what was held back, twice."""
        self._send(messages * 2)
        self.announced.update(self.late)

    def _send(self, messages: Iterable[str]) -> None:
        for message in messages:
            self._sqs.send_message(QueueUrl=self._queue, MessageBody=message)

    def _taken(self) -> list[str]:
        bodies: list[str] = []
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def _event(self, key: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html"""
        head = self._s3.head_object(Bucket=self.bucket, Key=key)
        described = {
            "key": quote_plus(key, safe="/"),
            "size": head["ContentLength"],
            "eTag": head["ETag"].strip('"'),
            "versionId": head.get("VersionId"),
            "sequencer": "0",
        }
        return {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventTime": head["LastModified"].isoformat(),
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self.bucket, "arn": f"arn:aws:s3:::{self.bucket}"}, "object": described},
        }
