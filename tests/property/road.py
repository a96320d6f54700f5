"""The road of a record in one process: transform_records, a raw file, its control record, the converter. All of it the apps' own code."""

from __future__ import annotations

import base64
import gzip
import itertools
from collections.abc import Sequence
from types import SimpleNamespace

import boto3

from convert.conversion import Converter
from convert.settings import Settings
from ingest import door
from ingest.raw_objects import RawObject
from ingest.registration import Registration
from lake.control import ControlTable
from lake.keys import raw_prefix
from tests.conftest import fresh

LEASE_SECONDS = 60
LAMBDA_LIMIT = 100_000
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/dm-source"


class Road:
    """Takes records to bronze. ``names`` are those of the domain's engine, ``secret`` that of the mask key."""

    def __init__(self, names: dict[str, str], secret: str) -> None:
        self.control = ControlTable(names["table"])
        self.names = names
        self._stage = names["stage"]
        self._s3 = boto3.client("s3")
        self._router = fresh(door)
        self._raw_object = RawObject
        store = self._router.contract_store()
        self._registration = Registration(self.control, store, self._router.raw_objects, LAMBDA_LIMIT)
        place = (names["contracts"], names["table"], names["lake"], secret)
        self._converter = Converter(Settings(*place, LEASE_SECONDS, LEASE_SECONDS, 1))
        self._numbers = itertools.count(1)

    def lines(self, records: Sequence[bytes]) -> list[bytes]:
        """What transform_records makes of each record; nothing for control records that start no load."""
        answers = []
        for start in range(0, len(records), 500):
            some = [
                {"recordId": str(n), "approximateArrivalTimestamp": 0, "data": base64.b64encode(record).decode()}
                for n, record in enumerate(records[start : start + 500])
            ]
            event = {
                "invocationId": "1",
                "deliveryStreamArn": STREAM,
                "sourceKinesisStreamArn": STREAM,
                "region": "us-east-1",
                "records": some,
            }
            context = SimpleNamespace(
                function_name="transform_records", memory_limit_in_mb=512, invoked_function_arn=STREAM, aws_request_id="1"
            )
            answers += self._router.transform_records(event, context)["records"]
        assert {answer["result"] for answer in answers} <= {"Ok", "Dropped"}, answers
        return [base64.b64decode(answer["data"]) if answer["result"] == "Ok" else b"" for answer in answers]

    def arrives(self, table: str, bodies: Sequence[bytes]) -> str:
        """Put a raw file of these bodies and register it twice; its file id."""
        version = self._router.contract_store().current().version
        key, body = f"{raw_prefix(table)}contract={version}/{next(self._numbers):06}.gz", gzip.compress(b"".join(bodies), 1)
        put = self._s3.put_object(Bucket=self._stage, Key=key, Body=body)
        raw = self._raw_object(self._stage, key, put.get("VersionId", ""), put["ETag"].strip('"'), len(body))
        assert [self._registration.register(raw) for _ in range(2)] == ["registered", "known"]
        return str(raw.file_id)

    def export_objects(self, table: str) -> set[str]:
        """The keys of every object that an export of a table ever wrote."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._stage, Prefix=raw_prefix(table))
        return {item["Key"] for page in pages for item in page.get("Contents", ()) if item["Key"].endswith(".csv.gz")}

    def announce(self, key: str) -> None:
        """Register an object of an export, as S3's event leads to."""
        head = self._s3.head_object(Bucket=self._stage, Key=key)
        raw = self._raw_object(self._stage, key, head.get("VersionId", ""), head["ETag"].strip('"'), head["ContentLength"])
        self._registration.register(raw)

    def convert(self, file_id: str) -> None:
        """One attempt at a pending file."""
        attempt = self.control.files.get(file_id).attempt_count
        summary = self._converter.run(file_id, f"{file_id}-{attempt}-{next(self._numbers)}")
        assert (summary.result, summary.records_rejected) == ("converted", 0), summary

    def again(self, file_id: str) -> None:
        """Send a file down the road once more, as an operator may."""
        self.control.files.retry(file_id, force=True)
        self.convert(file_id)
