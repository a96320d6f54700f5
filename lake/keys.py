"""Keys of the objects in the stage and lake buckets. No other module joins a key by hand."""

from __future__ import annotations

import hashlib
import re

RAW = "raw/"
ERRORS = "errors/"
SOURCE_BACKUP = f"{ERRORS}source/"
"""Firehose's copies of records as they came, if an environment keeps them. They are not refused."""
SETTLED_TAG = {"settled": "true"}
MANIFEST_NAME = "manifest.json"
QUARANTINE = "quarantine/"
_CONTRACT = re.compile(rf"{RAW}[^/]+/contract=([0-9a-f]{{12}})/")


def file_id(bucket: str, key: str, version: str) -> str:
    """The identity of one version of an object, as 32 hexadecimal digits. A repeated event gives the same identity.

    ``version`` is the object's version id, or its ETag in a bucket without versions.
    """
    return hashlib.sha256(f"{bucket}\0{key}\0{version}".encode()).hexdigest()[:32]


def is_file_id(text: str) -> bool:
    """Whether the text has the form of a file id."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def raw_prefix(table: str) -> str:
    """The prefix of a table's raw objects in the stage bucket."""
    return f"{RAW}{table}/"


def table_of_raw_key(key: str) -> str | None:
    """The table name in a raw object's key, or None if the key is not of the form ``raw/<table>/…``."""
    parts = key.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "raw" and parts[1] else None


def contract_of_raw_key(key: str) -> str | None:
    """The contract version under which a raw object's lines were written, or None if its key does not name it."""
    found = _CONTRACT.match(key)
    return found[1] if found else None


def export_prefix(table: str, export_id: str, contract_version: str) -> str:
    """The prefix of one batch export's objects and closing manifest. A contract by itself has an empty version."""
    return f"{_written_prefix(table, contract_version)}export/{export_id}/"


def released_key(table: str, contract_version: str, name: str, is_csv: bool) -> str:
    """The key of a raw object of lines that were rejected before. They were written under ``contract_version``, which may be empty.

    ``name`` is unique in the table.
    """
    return f"{_written_prefix(table, contract_version)}released/{name}{'.csv' if is_csv else ''}.gz"


def _written_prefix(table: str, contract_version: str) -> str:
    return raw_prefix(table) + (f"contract={contract_version}/" if contract_version else "")


def is_of_export(key: str, export_id: str) -> bool:
    """Whether a raw key is an object of one batch export."""
    return f"/export/{export_id}/" in key


def is_export_manifest(key: str) -> bool:
    """Whether a raw key is the manifest that closes a batch export. A manifest is no file to convert."""
    return key.startswith(RAW) and "/export/" in key and key.endswith("/" + MANIFEST_NAME)


def bronze_part(table: str, ingest_date: str, file_id: str, number: int) -> str:
    """The key of a file's part. ``ingest_date`` is the control record's creation date (UTC, YYYY-MM-DD), ``number`` counts from 0."""
    return f"bronze/{table}/ingest_date={ingest_date}/{file_id}/part-{number:05d}.parquet"


def quarantine_key(table: str, ingest_date: str, file_id: str) -> str:
    """The key of the Parquet object that holds a file's rejected rows."""
    return f"{quarantine_prefix(table)}ingest_date={ingest_date}/{file_id}.parquet"


def quarantine_prefix(table: str) -> str:
    """The prefix of a table's rejected rows and held back changes."""
    return f"{QUARANTINE}{table}/"


def silver_quarantine_prefix(table: str) -> str:
    """The prefix of the changes that quality rules hold back in a table's silver batches. Each batch has its own folder."""
    return f"{quarantine_prefix(table)}silver/"


def quarantine_uri(bucket: str, table: str, batch_id: str) -> str:
    """The folder of the changes that quality rules hold back in one silver batch."""
    return f"s3://{bucket}/{silver_quarantine_prefix(table)}{batch_id}"


def silver_location(bucket: str, table: str) -> str:
    """The root of a silver table."""
    return f"s3://{bucket}/silver/{table}"


def gold_location(bucket: str, table: str) -> str:
    """The root of a gold table."""
    return f"s3://{bucket}/gold/{table}"


def batch_prefix(table: str, batch_id: str) -> str:
    """The prefix of a batch's manifest.json, touched.json and outcome.json."""
    return f"batches/{table}/{batch_id}/"


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
