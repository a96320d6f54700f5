"""A PostgreSQL of the source's schema for the module, and the deployed buckets and control table."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import psycopg2
import pytest

import beer
from datamaster.laptop import postgres
from export.table_export import Export
from lake.contract import ContractSet, parse_contract
from lake.control import ControlTable, NewFile
from lake.control.file_states import FileStates

CONTRACTS = ContractSet.from_directory(beer.CONTRACTS)

SCHEMA = """
CREATE SCHEMA dm_core;
CREATE TABLE dm_core.review (review_id bigint PRIMARY KEY, brewery_id bigint NOT NULL, beer_id bigint NOT NULL, profile_id bigint NOT NULL,
  review_overall double precision, review_aroma double precision, review_appearance double precision, review_palate double precision,
  review_taste double precision, review_time bigint NOT NULL);
CREATE TABLE dm_core.brewery (brewery_id bigint PRIMARY KEY, brewery_name varchar(200) NOT NULL);
"""


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres.start(tmp_path_factory.mktemp("postgres") / "data") as server:
        with psycopg2.connect(server.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA)
        connection.close()
        yield server.dsn


class Shop:
    """The source and the stage bucket, spoken to in their own words."""

    def __init__(self, dsn: str, outputs: Any) -> None:
        self.dsn = dsn
        self.bucket = outputs["storage"]["StageBucket"]
        self.control = ControlTable(outputs["control"]["TableName"])
        self.s3 = boto3.client("s3")

    def run(self, statement: str) -> Any:
        connection = psycopg2.connect(self.dsn)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def manifest(self, export: Export) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.s3.get_object(Bucket=self.bucket, Key=export.manifest_key)["Body"].read())
        return loaded

    def manifests(self, table: str) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"raw/{table}/").get("Contents", ())
        return [entry["Key"] for entry in listed if entry["Key"].endswith("/manifest.json")]

    def rows(self, export: Export) -> list[dict[str, str]]:
        found = []
        for written in export.objects:
            body = self.s3.get_object(Bucket=self.bucket, Key=written.key)["Body"].read()
            found += list(csv.DictReader(io.StringIO(gzip.decompress(body).decode(), newline="")))
        return found


@dataclass(frozen=True)
class RegisteringFiles(FileStates):
    """Asking for an object of the export registers it, as the router would meanwhile."""

    bucket: str
    table: str

    def get(self, file_id: str) -> Any:
        listed = boto3.client("s3").list_object_versions(Bucket=self.bucket, Prefix=f"raw/{self.table}/").get("Versions", [])
        for entry in listed:
            if entry["Key"].endswith(".csv.gz"):
                version = "" if entry["VersionId"] == "null" else entry["VersionId"]
                etag = entry["ETag"].strip('"')
                self.register(NewFile(self.bucket, entry["Key"], version, etag, self.table, "csv", entry["Size"]))
        return super().get(file_id)


@pytest.fixture
def shop(dsn: str, lake_stacks: Any) -> Shop:
    shop = Shop(dsn, lake_stacks)
    shop.run("TRUNCATE dm_core.review, dm_core.brewery")
    return shop


def registering(shop: Shop, table: str) -> ControlTable:
    control = ControlTable(shop.control.name)
    control.files = RegisteringFiles(control.items, control.listing, shop.bucket, table)
    return control


NO_CHANGES = parse_contract(
    (beer.CONTRACTS / "brewery.yaml").read_text() + "    customProperties:\n      - {property: cdc, value: false}\n", "brewery.yaml"
)
