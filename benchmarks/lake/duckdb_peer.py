"""The peer of the lake's MERGE."""

from __future__ import annotations

import time

import boto3
import duckdb

from datamaster.athena.duckdb_engine import extension


def rewritten_by_duckdb(files: list[str], changes: list[str], bucket: str, turn: int) -> float:
    """Seconds that DuckDB takes on the same S3 to join the table's files with the changes and write every month again."""
    s3 = boto3.client("s3")
    credentials = boto3.Session().get_credentials()
    endpoint = s3.meta.endpoint_url.removeprefix("http://")
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(f"LOAD '{extension('httpfs')}'")
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{credentials.access_key}', SECRET '{credentials.secret_key}', ENDPOINT '{endpoint}', "
        "URL_STYLE 'path', USE_SSL false, REGION 'us-east-1')"
    )
    names = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({files[:1]})").fetchnumpy()["column_name"]
    carried = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({changes[:1]})").fetchnumpy()["column_name"]
    values = ", ".join(
        f"CASE WHEN c.review_id IS NULL THEN t.{name} ELSE c.{name} END AS {name}" if name in carried else f"t.{name}" for name in names
    )
    begin = time.perf_counter()
    old, new = f"read_parquet({files}, hive_partitioning = false)", f"read_parquet({changes})"
    connection.execute(
        f"COPY (SELECT {values} FROM {old} t FULL JOIN {new} c USING (review_id)) TO 's3://{bucket}/duckdb/{turn}' "
        "(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (review_year, review_month), WRITE_PARTITION_COLUMNS true)"
    )
    seconds = time.perf_counter() - begin
    connection.close()
    boto3.resource("s3").Bucket(bucket).objects.filter(Prefix=f"duckdb/{turn}/").delete()
    return seconds
