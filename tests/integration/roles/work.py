"""A day's work for every function: enough of it that each call of its code is made at least once."""

from __future__ import annotations

import base64
import gzip
import json
import random
import shutil
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import orjson
from boto3.dynamodb.types import TypeSerializer

from beer import CONTRACTS
from datamaster.project import PROJECT
from ingest.conversions import execution_name
from lake.contract.store import publish
from lake.control import ControlTable, NewFile, Outcome
from lake.control.batches import MAINTENANCE
from lake.control.records import Refusal
from lake.generations import Fence
from lake.keys import ERRORS, file_id, raw_prefix
from lake.manifests import OUTCOME, TOUCHED, SilverOutcome, read_document, sibling, write_document
from tests.waiting import eventually

from .conftest import LONG_AGO, Context, Guarded
from .recorder import Call, recorded

EXECUTION = "arn:aws:states:us-east-1:000000000000:execution:dm-convert-file-local:one"
RUN = "arn:aws:states:us-east-1:000000000000:execution:dm-bronze-to-silver-local:one"
LOAD = {
    "operation": "load",
    "cdc_position": "0000000000000000-0000000000-0",
    "cdc_built_at": "2024-05-01T10:00:00.000000Z",
    "cdc_committed_at": None,
    "cdc_transaction_id": None,
    "cdc_unchanged": None,
    "cdc_fence": None,
}
FENCE = {"operation": "fence", "cdc_fence": "create-table"}


class Work:
    """Puts files in every state (as the administrator) and has the functions work on them (each as itself)."""

    def __init__(self, lake: Guarded, scratch: Path) -> None:
        self.lake, self.scratch = lake, scratch
        self.control = ControlTable(lake.outputs["control"]["TableName"])
        self.control.items.table.load()
        self.s3, self.sqs = boto3.client("s3"), boto3.client("sqs")
        self.calls: dict[str, list[Call]] = {}

    def run(self, function: str, handler: str, event: Any, **environment: str) -> Any:
        """Invoke a handler as its role; its calls are kept, and none may have been refused."""
        with self.lake.acts_as(function, **environment) as app, recorded() as calls:
            part = handler_of(app, handler)
            answer = part(event, Context())
        self.calls.setdefault(function, []).extend(calls)
        return answer

    # ---- what lies there

    def arrives(self, table: str, body: bytes) -> tuple[str, str]:
        """Put a raw object; key and version."""
        key = f"{raw_prefix(table)}{uuid.uuid4().hex}.gz"
        return key, self.s3.put_object(Bucket=self.lake.storage["StageBucket"], Key=key, Body=body)["VersionId"]

    def registered(self, table: str, body: bytes) -> str:
        """Put and register a raw object; its file id."""
        key, version = self.arrives(table, body)
        stage = self.lake.storage["StageBucket"]
        self.control.files.register(NewFile(stage, key, version, "etag", table, "json", len(body)))
        return file_id(stage, key, version)

    def bronze(self, table: str, minutes: int = 0) -> str:
        """A converted file; its id."""
        identity = self.registered(table, lines({}))
        part = f"bronze/{table}/ingest_date=2026-01-01/{identity}/part-00000.parquet"
        self.s3.put_object(Bucket=self.lake.storage["LakeBucket"], Key=part, Body=b"parquet")
        token = str(self.control.files.start(identity, EXECUTION, 60).lease_token)
        built = datetime.now(UTC) + timedelta(minutes=minutes)
        self.control.complete(identity, token, Outcome(1, 1, 0, (part,), built_at_min=built, built_at_max=built, operations={"load": 1}))
        return identity

    def ages(self, identity: str, **attributes: str) -> None:
        """Write attributes of a file that only time writes otherwise."""
        self.control.items.table.update_item(
            Key={"pk": f"file#{identity}", "sk": "file"},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
            ExpressionAttributeNames={f"#{name}": name for name in attributes},
            ExpressionAttributeValues={f":{name}": value for name, value in attributes.items()},
        )

    def ends(self, execution: str) -> None:
        """Wait until an execution has ended."""
        states, machine = boto3.client("stepfunctions"), self.lake.machine
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{execution}"
        eventually(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", f"the end of {arn}")

    def merged(self, identity: str) -> None:
        """Take a converted file to silver."""
        self.control.files.assign(identity, "20200101T000000000000-00000000")
        self.control.files.settle(identity, "20200101T000000000000-00000000", "1")

    def dead(self, target: str) -> None:
        """Leave a table with the batch of a maintenance that died."""
        self.control.batches.open(target, "dead", "s3://nowhere/manifest.json", "dead", -1, MAINTENANCE)

    # ---- what the functions do

    def all(self) -> dict[str, list[Call]]:
        """Every function's work; the calls by function."""
        for part in (
            self.transform,
            self.register,
            self.start,
            self.sweep,
            self.convert,
            self.fail,
            self.silver,
            self.derived,
            self.maintenance,
            self.api,
        ):
            part()
        return self.calls

    def transform(self) -> None:
        """A batch with a row that is refused, and an answer too long for a function, so that its end goes back on the stream."""
        event = {
            "invocationId": "1",
            "deliveryStreamArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/one",
            "sourceKinesisStreamArn": self.lake.values["StreamArn"],
            "region": "us-east-1",
            "records": [record(8, beer("no number", "x")), *(record(number, beer(number, "x" * 900_000)) for number in range(7))],
        }
        answer = self.run("TransformRecords", "transform_records", event)
        assert {"Ok", "Dropped", "ProcessingFailed"} == {entry["result"] for entry in answer["records"]}

    def register(self) -> None:
        """An object that is there, and one that is gone again."""
        (kept, version), (gone, old) = self.arrives("beer", lines({})), self.arrives("beer", lines({}))
        stage = self.lake.storage["StageBucket"]
        self.s3.delete_object(Bucket=stage, Key=gone, VersionId=old)
        bodies = [{"Records": [announced(stage, key, at)]} for key, at in ((kept, version), (gone, old))]
        messages = [message(number, body) for number, body in enumerate(bodies)]
        assert self.run("RegisterFiles", "register_files", {"Records": messages}) == {"batchItemFailures": []}
        assert self.control.files.get(file_id(stage, kept, version)).status == "pending"

    def start(self) -> None:
        identity = self.registered("beer", lines({}))
        stored = self.control.items.table.get_item(Key={"pk": f"file#{identity}", "sk": "file"})["Item"]
        image = {name: TypeSerializer().serialize(value) for name, value in stored.items()}
        change = {"Keys": {name: image[name] for name in ("pk", "sk")}, "NewImage": image, "SequenceNumber": "1"}
        event = {"Records": [{"eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": change}]}
        assert self.run("StartConversions", "start_conversions", event) == {"batchItemFailures": []}
        self.ends(execution_name(self.control.files.get(identity)))
        self.ages(identity, updated_at=LONG_AGO)

    def sweep(self) -> None:
        """What a sweep finds: an expired lease, a file that never started, one whose execution ended, an unknown object."""
        expired = self.registered("beer", lines({}))
        self.control.files.start(expired, EXECUTION, -1)
        self.ages(self.registered("beer", lines({})), updated_at=LONG_AGO)
        self.arrives("beer", lines({}))
        self.merged(self.bronze("beer"))
        event = json.loads((PROJECT / "tests" / "events" / "sweep.json").read_text())
        swept = self.run("SweepFiles", "sweep_files", event, UNSETTLED_SECONDS="0")
        assert all(swept[name] for name in ("taken_over", "started", "restarted", "registered")), swept
        assert swept["errors"] == 0

    def convert(self) -> None:
        """Detection with evidence, a decision and a waiting file; a fence; rejects; an upload in parts, and one given up."""
        few = self.registered("profile", lines(*(profile(number) for number in range(20))))
        many = self.registered("profile", lines(*(profile(number) for number in range(300)), {"profile_id": "no number"}))
        fenced = self.registered("beer", lines({"beer_id": 1, "brewery_id": 1, "beer_name": "Saison"}, FENCE))
        again = self.registered("beer", lines(FENCE))
        noise = random.Random(1)
        rows = [{"brewery_id": number, "brewery_name": f"{noise.getrandbits(320):x}"} for number in range(330_000)]
        large = lines(*rows)
        whole, broken = self.registered("brewery", large), self.registered("brewery", large[:-1000])
        results = [
            self.run("ConvertFile", "convert_file", {"file_id": identity, "execution": EXECUTION})["result"]
            for identity in (few, many, fenced, again, whole, broken)
        ]
        assert results == ["waiting", "converted", "converted", "converted", "converted", "failed"]

    def fail(self) -> None:
        identity = self.registered("beer", lines({}))
        event = {"file_id": identity, "execution": EXECUTION, "error": {"Error": "States.Timeout", "Cause": ""}}
        self.run("RecordFailure", "record_failure", event)

    def silver(self) -> None:
        """A run that settles, one that failed and is resumed under newer contracts, late fences, and a load that waited."""
        self.merged(self.bronze("beer", minutes=5))
        self.dead("silver/beer")
        self.control.fences.add("beer", Fence(datetime.now(UTC) - timedelta(minutes=5)))
        self.control.fences.add("brewery", Fence(datetime.now(UTC) - timedelta(minutes=5)))
        self.control.loads.note("silver/review", "rows are missing")
        self.control.refusals.note("review", [Refusal(b"8 bytes.", -1)])
        self.bronze("beer"), self.bronze("review")
        by_replication = {"DMS_REPLICATION_CONFIG_ARN": self.lake.values["ReplicationConfigArn"]}
        planned = self.run("PlanSilver", "plan_silver", {"execution": RUN, "input": {"tables": ["beer", "review"]}}, **by_replication)
        by_table = {batch["table"]: batch for batch in planned["batches"]}
        assert by_table.keys() == {"beer", "review"}, planned

        failed = {"execution": RUN, **by_table["beer"], "error": {"Error": "Broken"}}
        assert self.run("SettleSilver", "settle_silver", failed)["status"] == "released"
        publish(self.contracts(), f"s3://{self.lake.storage['ArtifactsBucket']}/contracts/")
        by_task = {"DMS_TASK_ARN": self.lake.values["ReplicationTaskArn"]}
        again = self.run("PlanSilver", "plan_silver", {"execution": RUN, "input": {"tables": ["beer", "brewery"]}}, **by_task)
        assert [batch["batch_id"] for batch in again["batches"] if batch["table"] == "beer"] == [by_table["beer"]["batch_id"]]

        self.control.fences.add("beer", Fence(datetime.now(UTC)))
        months = {"review_flat": ("2026-01",)}
        for table in ("beer", "review"):
            manifest = by_table[table]["manifest"]
            write_document(sibling(manifest, TOUCHED), {"months": months})
            write_document(manifest, read_document(manifest) | {"retires": table == "review"})
            write_document(sibling(manifest, OUTCOME), SilverOutcome("1", 1, 1, months=months, loads={"0": 1}))
            assert self.run("SettleSilver", "settle_silver", {"execution": RUN, **by_table[table]})["status"] == "settled"

    def contracts(self) -> Path:
        """The project's contracts under another version."""
        folder = self.scratch / "contracts"
        shutil.copytree(CONTRACTS, folder)
        (folder / "beer.yaml").write_text((folder / "beer.yaml").read_text().replace("version: 1.0.0", "version: 1.0.1"))
        return folder

    def derived(self) -> None:
        """review_flat, then the gold tables: each planned, failed once, settled."""
        self.dead("silver/review_flat")
        self.dead("gold/top_drinkers")
        for plan, settle in (("PlanReviewFlat", "SettleReviewFlat"), ("PlanGold", "SettleGold")):
            batches = self.run(plan, snake(plan), {"execution": RUN})["batches"]
            assert batches
            released = {"execution": RUN, **batches[0], "error": {"Error": "Broken"}}
            assert self.run(settle, snake(settle), released)["status"] == "released"
            assert self.run(plan, snake(plan), {"execution": RUN})["batches"]
            write_document(sibling(batches[0]["manifest"], OUTCOME), {"months": ["2026-01"]})
            assert self.run(settle, snake(settle), {"execution": RUN, **batches[0]})["status"] == "settled"

    def maintenance(self) -> None:
        self.dead("silver/review")
        asked = {"execution": RUN, "input": {"tables": ["review"]}}
        [batch] = self.run("PlanMaintenance", "plan_maintenance", asked)["batches"]
        write_document(sibling(batch["manifest"], OUTCOME), {"tables": []})
        settled = self.run("SettleMaintenance", "settle_maintenance", {"execution": RUN, **batch})
        assert settled["status"] == "settled"

    def api(self) -> None:
        identity = self.registered("beer", lines({}))
        self.control.files.fail(identity, "NotGzip", "no gzip member at byte 0")
        one = {"file_id": identity}
        asked = [("GET", "/files", {}), ("GET", "/files/{file_id}", one), ("POST", "/files/{file_id}/retry", one)]
        for method, resource, path in [*asked, ("GET", "/tables", {}), ("GET", "/troubles", {}), ("GET", "/health", {})]:
            answer = self.run("APIHandler", "app", request(method, resource, path))
            assert answer["statusCode"] == 200, answer
        refused = [{"errorMessage": "refused", "rawData": base64.b64encode(raw).decode()} for raw in (beer(1, "x"), b"no JSON")]
        errors = f"{ERRORS}processing-failed/of-the-api"
        self.s3.put_object(Bucket=self.lake.storage["StageBucket"], Key=errors, Body=b"\n".join(map(orjson.dumps, refused)))
        inbox = [("GET", "/errors"), ("GET", "/errors/records"), ("POST", "/errors/redrive"), ("POST", "/errors/drop")]
        answers = [self.run("APIHandler", "app", request(method, path, {})) for method, path in inbox]
        assert [json.loads(answer["body"]).get("decided") for answer in answers] == [None, None, 1, 1]
        event = json.loads((PROJECT / "tests" / "events" / "sweep.json").read_text())
        self.run("ReportState", "report_state", event)


def handler_of(app: Any, handler: str) -> Any:
    """A handler of an app's module; those of a blueprint it knows by name."""
    return getattr(app, handler, None) or app.app.handler_map[handler]


def snake(name: str) -> str:
    """``PlanGold`` → ``plan_gold``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def lines(*rows: dict[str, Any]) -> bytes:
    """Gzip of load lines with these columns."""
    return gzip.compress(b"".join(orjson.dumps(LOAD | row) + b"\n" for row in rows), 1)


def profile(number: int) -> dict[str, Any]:
    return {"profile_id": number, "profile_name": f"drinker {number}", "email": f"someone.{number}@example.com", "state": "SP"}


def beer(number: int | str, name: str) -> bytes:
    about = {
        "timestamp": "2026-01-01T00:00:00.000000Z",
        "record-type": "data",
        "operation": "load",
        "partition-key-type": "primary-key",
        "schema-name": "dm_core",
        "table-name": "beer",
    }
    return orjson.dumps({"data": {"beer_id": number, "brewery_id": 1, "beer_name": name}, "metadata": about})


def record(number: int, data: bytes) -> dict[str, Any]:
    about = {"partitionKey": str(number), "sequenceNumber": str(number), "subsequenceNumber": 0, "shardId": "0"}
    return {"recordId": str(number), "data": base64.b64encode(data).decode(), "kinesisRecordMetadata": about}


def announced(bucket: str, key: str, version: str) -> dict[str, Any]:
    """S3's note that an object was created."""
    about = {"bucket": {"name": bucket}, "object": {"key": key, "size": 100, "eTag": "etag", "versionId": version}}
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": about}


def message(number: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "messageId": str(number),
        "receiptHandle": str(number),
        "body": json.dumps(body),
        "attributes": {},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn",
        "awsRegion": "us-east-1",
    }


def request(method: str, resource: str, path: dict[str, str]) -> dict[str, Any]:
    """What API Gateway hands to the API's function."""
    return {
        "requestContext": {"httpMethod": method, "resourcePath": resource, "identity": {}, "path": resource},
        "resource": resource,
        "httpMethod": method,
        "pathParameters": path,
        "headers": {},
        "multiValueHeaders": {},
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }
