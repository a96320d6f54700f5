"""A small lake on an emulator that checks signature and policy of every request, with everyone of the access matrix in it."""

import json
import os
import threading
import time

import boto3
import pyarrow as pa
import pyarrow.parquet
import pytest
from botocore.exceptions import ClientError
from pyiceberg.catalog.glue import GlueCatalog

from datamaster.athena.__main__ import server
from datamaster.aws.access.matrix import load_matrix
from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.environments import load_environment
from datamaster.laptop.emulator import start_emulator
from datamaster.project import PROJECT
from datamaster.wire import ACCOUNT

MATRIX = load_matrix()
ROWS = pa.table({"id": pa.array([1], pa.int64()), "state": ["CA"], "email": ["hidden"]})
PROBE = "probe"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """The outputs of the stacks; this process is the administrator."""
    with start_emulator(tmp_path_factory.mktemp("guarded"), authorize=True) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        yield launch(load_environment("local"), ["governance", "demo", "streaming", "catalog", "control"])


@pytest.fixture(scope="module")
def values(deployed):
    """What the templates' parameters are in this lake."""
    storage = deployed["storage"]
    # The emulator's Ref of a secret is its name; AWS gives the ARN that the policies need.
    mask_key = boto3.client("secretsmanager").describe_secret(SecretId=deployed["security"]["MaskKeyArn"])["ARN"]
    keys = deployed["security"] | {"MaskKeyArn": mask_key}
    return {
        "Environment": "local",
        **{name: storage[name] for name in ("StageBucket", "LakeBucket", "ArtifactsBucket", "ObserverBucket")},
        **{name: keys[name] for name in ("StageKeyArn", "LakeKeyArn", "StreamKeyArn", "SecretsKeyArn", "MaskKeyArn")},
        "StreamArn": deployed["streaming"]["StreamArn"],
        "ControlTableArn": deployed["control"]["TableArn"],
        "ControlStreamArn": deployed["control"]["StreamArn"],
    }


@pytest.fixture(scope="module")
def lake(deployed):
    """One row in every table, one object in every place."""
    s3, bucket = boto3.client("s3"), deployed["storage"]["LakeBucket"]
    properties = {
        "glue.endpoint": os.environ["AWS_ENDPOINT_URL"],
        "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
        "glue.region": "us-east-1",
    }
    keys = {"s3.access-key-id": "test", "s3.secret-access-key": "test", "s3.region": "us-east-1"}
    catalog = GlueCatalog("lake", **properties, **keys)
    for layer in MATRIX.layers.values():
        for table in layer.tables:
            if layer.name == "bronze":
                _hive_table(s3, bucket, table)
            else:
                catalog.create_table(f"{layer.database}.{table}", ROWS.schema, location=f"s3://{bucket}/{layer.prefix}{table}").append(ROWS)
        if layer.bucket:
            s3.put_object(Bucket=bucket_of(deployed, layer), Key=f"{layer.prefix}{PROBE}", Body=b"probe")
    _view("dm_gold", "best", "SELECT id FROM top_drinkers")
    _view("dm_gold", "sneaky", "SELECT email FROM dm_silver.profile")
    boto3.client("dynamodb").put_item(TableName=deployed["control"]["TableName"], Item={"pk": {"S": PROBE}, "sk": {"S": PROBE}})
    return deployed


def bucket_of(deployed, layer):
    name = {"stage": "StageBucket", "lake": "LakeBucket", "artifacts": "ArtifactsBucket"}[layer.bucket]
    return deployed["storage"][name]


def _hive_table(s3, bucket, table):
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(ROWS, sink)
    s3.put_object(Bucket=bucket, Key=f"bronze/{table}/part-00000.parquet", Body=sink.getvalue().to_pybytes())
    storage = {
        "Columns": [{"Name": "id", "Type": "bigint"}, {"Name": "state", "Type": "string"}, {"Name": "email", "Type": "string"}],
        "Location": f"s3://{bucket}/bronze/{table}",
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    }
    boto3.client("glue").create_table(DatabaseName="dm_bronze", TableInput={"Name": table, "StorageDescriptor": storage})


def _view(database, name, sql):
    import base64

    definition = base64.b64encode(json.dumps({"originalSql": sql, "catalog": "awsdatacatalog", "schema": database}).encode()).decode()
    table = {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "ViewOriginalText": f"/* Presto View: {definition} */",
        "ViewExpandedText": "/* Presto View */",
    }
    boto3.client("glue").create_table(DatabaseName=database, TableInput=table)


@pytest.fixture(scope="module")
def athena_url(lake, tmp_path_factory):
    running = server(0, "512MB", 2, tmp_path_factory.mktemp("spill"), authorize=True)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running.url
    running.shutdown()
    thread.join()


class Caller:
    """Someone of the matrix: clients with their credentials, and calls that answer whether they were let through."""

    def __init__(self, session, athena_url):
        self.session, self.athena_url, self.clients = session, athena_url, {}

    def client(self, service):
        if service not in self.clients:
            self.clients[service] = self.session.client(service, endpoint_url=self.athena_url if service == "athena" else None)
        return self.clients[service]

    def query(self, sql, work_group, database="dm_gold"):
        """The final state and reason of a statement; raises where it is not even started."""
        athena = self.client("athena")
        started = athena.start_query_execution(QueryString=sql, WorkGroup=work_group, QueryExecutionContext={"Database": database})
        while True:
            status = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]["Status"]
            if status["State"] not in ("QUEUED", "RUNNING"):
                return status["State"], status.get("StateChangeReason", "")
            time.sleep(0.02)


def was_allowed(call):
    """Whether a call got past the check of rights; any other error than a refusal is raised."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"):
            return False
        raise
    return True


@pytest.fixture(scope="module")
def people(lake, athena_url):
    """Engineer, analyst and demo as users: the deployed policies, by the keys of a user who carries them."""
    iam, found = boto3.client("iam"), {}
    for role in MATRIX.people:
        name = f"dm-{role.name}-local"
        if role.name != "demo":
            iam.create_user(UserName=f"{role.name}-person")
            iam.attach_user_policy(UserName=f"{role.name}-person", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/{name}")
        key = iam.create_access_key(UserName=name if role.name == "demo" else f"{role.name}-person")["AccessKey"]
        found[role.name] = Caller(boto3.Session(key["AccessKeyId"], key["SecretAccessKey"]), athena_url)
    return found


@pytest.fixture(scope="module")
def processes(lake, values):
    """Every pipeline role with the policies of its template, by a session that took the role."""
    iam, sts, found = boto3.client("iam"), boto3.client("sts"), {}
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]}
    for role in MATRIX.roles.values():
        if role.person:
            continue
        arn = iam.create_role(RoleName=f"probe-{role.name}", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        for number, policy in enumerate(Template(PROJECT / "templates" / role.template, values).policies_of(role.principal)):
            iam.put_role_policy(RoleName=f"probe-{role.name}", PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))
        keys = sts.assume_role(RoleArn=arn, RoleSessionName="probe")["Credentials"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        found[role.name] = Caller(session, None)
    return found
