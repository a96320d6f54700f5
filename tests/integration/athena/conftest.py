"""A lake of small real tables on the emulator, and the local Athena in front of it."""

import datetime
import threading
from decimal import Decimal

import boto3
import pyarrow as pa
import pyarrow.parquet
import pytest
from pyiceberg.catalog.glue import GlueCatalog

from datamaster.athena.__main__ import server

UTC = datetime.UTC
SCORES = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "name": pa.array(["Saison", "", None]),
        "score": pa.array([4.25, 1e7, None], pa.float64()),
        "price": pa.array([Decimal("12.50"), Decimal("-0.05"), None], pa.decimal128(12, 2)),
        "live": pa.array([True, False, None]),
        "at": pa.array(
            [datetime.datetime(2024, 1, 1, tzinfo=UTC), datetime.datetime(2024, 2, 29, 23, 59, 59, 7, tzinfo=UTC), None],
            pa.timestamp("us", "UTC"),
        ),
        "day": pa.array([datetime.date(2024, 1, 1), None, None], pa.date32()),
        "tags": pa.array([["a", None], [], None], pa.list_(pa.string())),
        "raw": pa.array([b"\x00\xff", b"", None], pa.binary()),
    }
)


@pytest.fixture(scope="module")
def glue_catalog(emulator):
    return GlueCatalog(
        "lake",
        **{
            "glue.endpoint": emulator.endpoint,
            "glue.region": "us-east-1",
            "s3.endpoint": emulator.endpoint,
            "s3.access-key-id": "test",
            "s3.secret-access-key": "test",
            "s3.region": "us-east-1",
        },
    )


@pytest.fixture(scope="module")
def lake(emulator, glue_catalog):
    """dm_silver.scores (Iceberg, two snapshots), dm_bronze.events (Parquet by day), dm_bronze.arrivals (the same, its days
    projected), dm_silver.liked (a view)."""
    s3 = boto3.client("s3")
    for bucket in ("dm-lake", "dm-results"):
        s3.create_bucket(Bucket=bucket)
    for database in ("dm_silver", "dm_bronze"):
        glue_catalog.create_namespace(database)
    scores = glue_catalog.create_table("dm_silver.scores", SCORES.schema, location="s3://dm-lake/silver/scores")
    scores.append(SCORES.slice(0, 2))
    first = scores.current_snapshot().snapshot_id
    scores.append(SCORES.slice(2, 1))
    _hive_table()
    return {"first_snapshot": first, "scores": scores}


def _hive_table():
    glue, s3 = boto3.client("glue"), boto3.client("s3")
    storage = {
        "Columns": [{"Name": "id", "Type": "bigint"}, {"Name": "price", "Type": "decimal(10,2)"}],
        "Location": "s3://dm-lake/bronze/events",
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    }
    keys = [{"Name": "ingest_date", "Type": "date"}]
    glue.create_table(DatabaseName="dm_bronze", TableInput={"Name": "events", "StorageDescriptor": storage, "PartitionKeys": keys})
    projected = {"projection.enabled": "true", "projection.ingest_date.type": "date", "projection.ingest_date.range": "2024-01-01,NOW"}
    arrivals = {"Name": "arrivals", "StorageDescriptor": storage, "PartitionKeys": keys, "Parameters": projected}
    glue.create_table(DatabaseName="dm_bronze", TableInput=arrivals)
    empty = {"Name": "nothing_yet", "StorageDescriptor": storage | {"Location": "s3://dm-lake/bronze/nothing"}}
    glue.create_table(DatabaseName="dm_bronze", TableInput=empty)
    for day, registered in (("2024-01-01", True), ("2024-01-02", False)):
        sink = pa.BufferOutputStream()
        pa.parquet.write_table(pa.table({"id": [1], "price": pa.array([Decimal("1.10")], pa.decimal128(10, 2))}), sink)
        s3.put_object(Bucket="dm-lake", Key=f"bronze/events/ingest_date={day}/f/part-00000.parquet", Body=sink.getvalue().to_pybytes())
        if registered:
            place = storage | {"Location": f"s3://dm-lake/bronze/events/ingest_date={day}"}
            glue.create_partition(
                DatabaseName="dm_bronze", TableName="events", PartitionInput={"Values": [day], "StorageDescriptor": place}
            )


@pytest.fixture(scope="module")
def service(lake, tmp_path_factory):
    running = server(0, "512MB", 2, tmp_path_factory.mktemp("spill"))
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def athena(service):
    return boto3.client("athena", endpoint_url=service.url)


@pytest.fixture
def finished(athena):
    """Run a statement to its end; returns the execution."""

    def run(sql, database="dm_silver", **options):
        options.setdefault("ResultConfiguration", {"OutputLocation": "s3://dm-results/out/"})
        execution_id = athena.start_query_execution(QueryString=sql, QueryExecutionContext={"Database": database}, **options)[
            "QueryExecutionId"
        ]
        while True:
            execution = athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return execution

    return run


@pytest.fixture
def rows(athena, finished):
    """Run a statement; returns its rows as text, header first, all pages."""

    def run(sql, **options):
        execution = finished(sql, **options)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"].get("StateChangeReason")
        pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=execution["QueryExecutionId"])
        return [tuple(cell.get("VarCharValue") for cell in row["Data"]) for page in pages for row in page["ResultSet"]["Rows"]]

    return run


@pytest.fixture
def reason(finished):
    """Run a statement that has to fail; returns the reason."""

    def run(sql, **options):
        status = finished(sql, **options)["Status"]
        assert status["State"] == "FAILED"
        return status["StateChangeReason"]

    return run
