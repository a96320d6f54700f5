"""A cost and usage report as AWS Data Exports writes it: three months, the services and stacks of the platform."""

from __future__ import annotations

import datetime
import random

import boto3
import pyarrow as pa
import pyarrow.parquet

UTC = datetime.UTC
SERVICES = {
    "AmazonS3": ("TimedStorage-ByteHrs", "dm-prod-storage", 0.4),
    "AWSLambda": ("Lambda-GB-Second", "dm-prod-converter", 0.9),
    "AmazonKinesis": ("OnDemand-StreamHour", "dm-prod-streaming", 0.96),
    "ElasticMapReduce": ("EMR-Serverless-vCPUHours", "dm-prod-processing-emr", 2.2),
    "AmazonAthena": ("DataScannedInTB", None, 0.3),
    "AWSDatabaseMigrationSvc": ("DCU-Hours", "dm-prod-streaming-dms", 3.1),
}
SCHEMA = pa.schema(
    {
        "line_item_product_code": pa.string(),
        "line_item_line_item_type": pa.string(),
        "line_item_usage_type": pa.string(),
        "line_item_usage_start_date": pa.timestamp("us"),
        "line_item_usage_amount": pa.float64(),
        "line_item_unblended_cost": pa.float64(),
        "resource_tags": pa.map_(pa.string(), pa.string()),
    }
)
MONTHS = (("2026-01", 31), ("2026-02", 28), ("2026-03", 12))


def lines(period: str, days: int, seed: int) -> pa.Table:
    """A line a service and day, and a tax line at the month's end."""
    draw, rows = random.Random(seed), []
    for day in range(days):
        start = datetime.datetime.fromisoformat(f"{period}-01") + datetime.timedelta(days=day)
        for service, (usage, stack, price) in SERVICES.items():
            tags = [("aws_cloudformation_stack_name", stack)] if stack else []
            amount = draw.uniform(1, 10)
            rows.append(row(service, "Usage", usage, start, amount, round(amount * price, 6), tags))
    rows.append(row("AmazonS3", "Tax", "", start, 0.0, 3.5, []))
    return pa.Table.from_pylist(rows, SCHEMA)


def row(service, kind, usage, start, amount, cost, tags):
    names = (name for name in SCHEMA.names)
    return dict(zip(names, (service, kind, usage, start, amount, cost, tags), strict=True))


def write_report(bucket: str) -> float:
    """Write the report and tell Glue of its months; returns the cost of all lines."""
    s3, glue, total = boto3.client("s3"), boto3.client("glue"), 0.0
    [table] = [found for found in glue.get_tables(DatabaseName="dm_costs")["TableList"] if found["Name"] == "cur2"]
    for seed, (period, days) in enumerate(MONTHS):
        report = lines(period, days, seed)
        total += sum(report["line_item_unblended_cost"].to_pylist())
        sink = pa.BufferOutputStream()
        pa.parquet.write_table(report, sink)
        prefix = f"reports/dm/data/BILLING_PERIOD={period}"
        s3.put_object(Bucket=bucket, Key=f"{prefix}/dm-00001.snappy.parquet", Body=sink.getvalue().to_pybytes())
        place = table["StorageDescriptor"] | {"Location": f"s3://{bucket}/{prefix}"}
        partition = {"Values": [period], "StorageDescriptor": place}
        glue.create_partition(DatabaseName="dm_costs", TableName="cur2", PartitionInput=partition)
    return round(total, 2)
