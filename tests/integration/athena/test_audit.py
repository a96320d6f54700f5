"""The auditor's saved query of templates/audit.yaml, on records as CloudTrail writes them."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pyarrow as pa
import pyarrow.parquet
import pytest

from datamaster.aws.cloudformation.rendering import Template
from datamaster.project import PROJECT

pytestmark = pytest.mark.integration
ACCOUNT = "000000000000"
GLUE, STAGE = f"arn:aws:glue:us-east-1:{ACCOUNT}:table", "dm-stage-prod"
AUDIT = Template(PROJECT / "templates" / "audit.yaml", {"Environment": "prod"})
NOW = datetime.now(UTC)


def session(role, person):
    """Someone who took a role."""
    issuer = {"arn": f"arn:aws:iam::{ACCOUNT}:role/{role}"}
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{person}"
    return {"type": "AssumedRole", "arn": arn, "username": None, "sessioncontext": {"sessionissuer": issuer}}


DEMO = {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/dm-demo-prod", "username": "dm-demo-prod", "sessioncontext": None}
ANALYST, ENGINEER, CONVERTER = session("dm-analyst-prod", "ana"), session("dm-engineer-prod", "eva"), session("dm-converter", "convert")


def event(who, service, name, asked, *, days_ago=0, error=None):
    """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html"""
    at = NOW - timedelta(days=days_ago)
    return {
        "eventtime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventsource": f"{service}.amazonaws.com",
        "eventname": name,
        "sourceipaddress": "203.0.113.7",
        "errorcode": error,
        "useridentity": who,
        "requestparameters": json.dumps(asked),
        "day": at.strftime("%Y/%m/%d"),
    }


EVENTS = [
    event(ANALYST, "lakeformation", "GetDataAccess", {"tableArn": f"{GLUE}/dm_silver/profile", "permissions": ["SELECT"]}),
    event(DEMO, "s3", "GetObject", {"bucketName": "dm-datalake-prod", "key": "gold/top_drinkers/data/1.parquet"}, days_ago=1),
    event(ENGINEER, "s3", "GetObject", {"bucketName": STAGE, "key": "raw/profile/1.gz"}, days_ago=6, error="AccessDenied"),
    event(ANALYST, "lakeformation", "GetDataAccess", {"tableArn": f"{GLUE}/dm_silver/review"}, days_ago=2, error="AccessDeniedException"),
    event(CONVERTER, "s3", "PutObject", {"bucketName": "dm-datalake-prod", "key": "bronze/x.parquet"}),
    event(ANALYST, "athena", "StartQueryExecution", {"queryString": "SELECT 1"}),
    event(DEMO, "s3", "GetObject", {"bucketName": "dm-datalake-prod", "key": "gold/old.parquet"}, days_ago=9),
]


@pytest.fixture(scope="module")
def trail(lake):
    """The table of the template over these records: the same columns and partitions, as Parquet, which the local Athena reads."""
    [table] = AUDIT.of_type("AWS::Glue::Table").values()
    glue, s3, described = boto3.client("glue"), boto3.client("s3"), table["TableInput"]
    kinds = {column["Name"]: column["Type"] for column in described["StorageDescriptor"]["Columns"]}
    assert EVENTS[0].keys() == kinds.keys() | {"day"}
    storage = {"Columns": described["StorageDescriptor"]["Columns"], "InputFormat": "parquet", "Location": "s3://dm-lake/trail"}
    glue.create_database(DatabaseInput={"Name": "dm_audit"})
    keys = described["PartitionKeys"]
    glue.create_table(DatabaseName="dm_audit", TableInput={"Name": "events", "StorageDescriptor": storage, "PartitionKeys": keys})
    for day in {record["day"] for record in EVENTS}:
        sink, folder = pa.BufferOutputStream(), f"trail/day={day.replace('/', '%2F')}"
        of_day = [{name: record[name] for name in kinds} for record in EVENTS if record["day"] == day]
        pa.parquet.write_table(pa.Table.from_pylist(of_day, pa.schema([(name, arrow(kind)) for name, kind in kinds.items()])), sink)
        s3.put_object(Bucket="dm-lake", Key=f"{folder}/1.parquet", Body=sink.getvalue().to_pybytes())
        place = storage | {"Location": f"s3://dm-lake/{folder}"}
        glue.create_partition(DatabaseName="dm_audit", TableName="events", PartitionInput={"Values": [day], "StorageDescriptor": place})


def arrow(kind):
    """The Arrow type of a Glue type: text, or nested structures of it."""
    if kind == "string":
        return pa.string()
    issuer = pa.struct([("arn", pa.string())])
    context = pa.struct([("sessionissuer", issuer)])
    return pa.struct([("type", pa.string()), ("arn", pa.string()), ("username", pa.string()), ("sessioncontext", context)])


def test_who_read_what_tells_every_read_and_every_refused_one_of_seven_days(trail, rows):
    [question] = AUDIT.of_type("AWS::Athena::NamedQuery").values()

    [header, *found] = rows(question["QueryString"], database=question["Database"].replace("<Database>", "dm_audit"))

    told = [dict(zip(header, row, strict=True)) for row in found]
    assert [(row["principal"].rpartition("/")[2], row["read"].rpartition(":")[2], row["errorcode"]) for row in told] == [
        ("dm-analyst-prod", "table/dm_silver/profile", None),
        ("dm-demo-prod", "//dm-datalake-prod/gold/top_drinkers/data/1.parquet", None),
        ("dm-analyst-prod", "table/dm_silver/review", "AccessDeniedException"),
        ("dm-engineer-prod", "//dm-stage-prod/raw/profile/1.gz", "AccessDenied"),
    ]
    assert told[0]["session"].endswith("/ana")
    assert {row["sourceipaddress"] for row in told} == {"203.0.113.7"}
