"""Bad input ends as a clear error or a quarantined record with its reason; nothing else is held up, nothing is lost."""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pyarrow.parquet
import pytest

from beer import CONTRACTS
from datamaster.laptop.state import State
from datamaster.platform import actions, pipelines
from datamaster.platform.query import Athena
from lake.contract.store import POINTER_TTL_SECONDS, publish
from lake.control import ControlRecord, ControlTable
from lake.control.records import BRONZE, FAILED, SILVER

HEADER = "brewery_id,brewery_name\n"
GOOD = gzip.compress(f'{HEADER}900001,"Good, next to the bad"\n'.encode())
TRUNCATED = gzip.compress((HEADER + "".join(f"{n},Brewery number {n * 7919}\n" for n in range(910_000, 914_000))).encode())[:-2_000]
NO_NUMBER = gzip.compress((HEADER + "".join(f"{n},Brewery {n}\n" for n in range(920_000, 920_030)) + "many,Brewery\n").encode())
OBJECTS = {
    "raw/brewery/by-hand/good.csv.gz": GOOD,
    "raw/brewery/by-hand/truncated.csv.gz": TRUNCATED,
    "raw/brewery/by-hand/empty.csv.gz": b"",
    "raw/brewery/by-hand/wrong-column.csv.gz": gzip.compress(b"brewery_id,brewery_title\n900002,Wrong\n"),
    "raw/brewery/by-hand/plain.csv.gz": f"{HEADER}900003,Not compressed\n".encode(),
    "raw/brewery/by-hand/no-number.csv.gz": NO_NUMBER,
    "raw/cellar/by-hand/cellar.csv.gz": gzip.compress(b"cellar_id,cellar_name\n1,Deep\n"),
    "raw/loose.csv.gz": GOOD,
}
DATA = {"record-type": "data", "operation": "insert", "partition-key-type": "primary-key", "timestamp": "2026-01-01T00:00:00.000000Z"}
RECORDS = {
    "malformed": b'{"data": {"brewery_id": 1, "brewery_na',
    "unknown table": json.dumps(
        {"data": {"cellar_id": 1}, "metadata": {**DATA, "schema-name": "dm_core", "table-name": "cellar"}}
    ).encode(),
    "other schema": json.dumps(
        {"data": {"brewery_id": 1, "brewery_name": "x"}, "metadata": {**DATA, "schema-name": "elsewhere", "table-name": "brewery"}}
    ).encode(),
}
CELLAR = """
apiVersion: v3.0.2
kind: DataContract
id: dm-core-cellar
version: 1.0.0
status: active
schema:
  - name: cellar
    physicalName: dm_core.cellar
    physicalType: table
    customProperties:
      - {property: cdc, value: false}
    properties:
      - {name: cellar_id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1, required: true}
      - {name: cellar_name, logicalType: string, physicalType: text, classification: public}
"""


class Lake:
    """A platform that was given bad input beside a live change of its source."""

    def __init__(self, running: State) -> None:
        self.running = running
        self.control = ControlTable(running.control_table)
        self.s3 = boto3.client("s3")

    def give_bad_input(self) -> None:
        for key, body in OBJECTS.items():
            self.put(key, body)
        kinesis = boto3.client("kinesis")
        for name, record in RECORDS.items():
            kinesis.put_record(StreamName=self.running.stream_name, Data=record, PartitionKey=name)
        with closing(psycopg2.connect(self.running.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO dm_core.brewery VALUES (900100, 'Changed beside the bad')")
            connection.commit()

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.running.stage_bucket, Key=key, Body=body)

    def convert(self) -> None:
        actions.convert_all(self.running, lambda _text: None)

    def settle(self) -> None:
        self.convert()
        result = pipelines.run(self.running, "silver", lambda _text: None)
        assert not result.failed, result.failed

    def files(self, name: str) -> list[ControlRecord]:
        """Every version of an object that was registered, newest first."""
        return [record for record in self.control.listing.files() if record.object_key.endswith(f"/{name}")]

    def file(self, name: str) -> ControlRecord:
        return self.files(name)[0]

    def breweries(self, condition: str) -> int:
        answer = Athena(self.running.work_group, database="dm_silver").run(f"SELECT count(*) FROM brewery WHERE {condition}")
        return int(answer.rows[0][0] or 0)

    def refused(self) -> dict[bytes, str]:
        """Every record under errors/ with its reason."""
        found = {}
        for entry in self.s3.list_objects_v2(Bucket=self.running.stage_bucket, Prefix="errors/").get("Contents", ()):
            body = self.s3.get_object(Bucket=self.running.stage_bucket, Key=entry["Key"])["Body"].read()
            for line in (gzip.decompress(body) if entry["Key"].endswith(".gz") else body).splitlines():
                told = json.loads(line)
                found[base64.b64decode(told["rawData"])] = told["errorMessage"]
        return found

    def dm(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("dm")), *words, "--home", str(self.running.home)]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, start_platform: Callable[..., Any]) -> Iterator[Lake]:
    home = tmp_path_factory.mktemp("bad-input")
    with start_platform(home, delivery_seconds=1.0) as running:
        lake = Lake(running)
        lake.give_bad_input()
        lake.settle()
        yield lake


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("truncated.csv.gz", "TruncatedGzip", "within a gzip member"),
        ("empty.csv.gz", "EmptyObject", "0 bytes"),
        ("wrong-column.csv.gz", "WrongHeader", "brewery_name"),
        ("plain.csv.gz", "NotGzip", "gzip"),
        ("cellar.csv.gz", "UnknownTable", "cellar"),
        ("loose.csv.gz", "MisplacedObject", "raw/<table>/"),
    ],
)
def test_a_bad_file_fails_and_says_why(lake: Lake, name: str, error: str, words: str) -> None:
    record = lake.file(name)
    assert (record.status, record.error_type) == (FAILED, error)
    assert words in (record.error_message or "")
    assert not record.bronze_keys


@pytest.mark.parametrize(("name", "words"), [("malformed", "JSON"), ("unknown table", "cellar"), ("other schema", "elsewhere")])
def test_a_bad_record_of_the_stream_is_kept_whole_with_its_reason(lake: Lake, name: str, words: str) -> None:
    assert words in lake.refused()[RECORDS[name]]


def test_nothing_else_was_refused(lake: Lake) -> None:
    assert set(lake.refused()) == set(RECORDS.values())


def test_a_good_file_and_a_live_change_next_to_the_bad_reach_silver(lake: Lake) -> None:
    assert lake.file("good.csv.gz").status == SILVER
    assert lake.breweries("brewery_id IN (900001, 900100)") == 2


def test_nothing_of_a_failed_file_reaches_silver(lake: Lake) -> None:
    assert lake.breweries("brewery_id BETWEEN 910000 AND 919999 OR brewery_id IN (900002, 900003)") == 0


def test_a_bad_row_is_quarantined_with_its_line_and_reason_and_the_others_pass(lake: Lake) -> None:
    record = lake.file("no-number.csv.gz")
    assert (record.status, record.records_read, record.records_written, record.records_rejected) == (SILVER, 31, 30, 1)
    body = lake.s3.get_object(Bucket=lake.running.lake_bucket, Key=record.quarantine_key)["Body"].read()
    [row] = pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()
    assert (row["line_number"], row["column"], row["line"]) == (32, "brewery_id", "many,Brewery")
    assert row["reason"]
    assert lake.breweries("brewery_id BETWEEN 920000 AND 920029") == 30


def test_a_bad_row_is_listed_until_it_is_dropped(lake: Lake) -> None:
    assert (lake.dm("quarantine", "ls").returncode, lake.dm("quarantine", "release", "--dry-run").returncode) == (1, 1)
    [line] = json.loads(lake.dm("quarantine", "show", "--json").stdout)
    assert (line["line_number"], line["column"], line["line"]) == (32, "brewery_id", "many,Brewery")
    assert lake.dm("quarantine", "drop").returncode == 1, "nobody agreed"
    assert lake.dm("quarantine", "drop", "--yes").returncode == 0
    assert lake.dm("quarantine", "ls").returncode == 0
    [decision] = json.loads(lake.dm("quarantine", "ls", "--decided", "--json").stdout)
    assert (decision["action"], decision["entries"]) == ("dropped", 1)


def test_show_tells_a_user_why_a_file_failed(lake: Lake) -> None:
    record = lake.file("wrong-column.csv.gz")
    shown = lake.dm("files", "show", record.file_id)
    assert shown.returncode == 0, shown.stderr
    assert all(word in shown.stdout for word in ("failed", "WrongHeader", "brewery_name", record.object_key))
    listed = lake.dm("files", "ls", "--status", "failed", "--json")
    assert record.file_id in {entry["file_id"] for entry in json.loads(listed.stdout)}


def test_an_unknown_file_id_is_an_error_without_a_trace(lake: Lake) -> None:
    shown = lake.dm("files", "show", "0" * 32)
    assert shown.returncode == 2
    assert "0" * 32 in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_repaired_file_is_a_new_version_and_passes_while_the_old_one_stays_failed(lake: Lake) -> None:
    lake.put("raw/brewery/by-hand/truncated.csv.gz", gzip.compress(f"{HEADER}900010,Repaired\n".encode()))
    lake.settle()
    new, old = lake.files("truncated.csv.gz")
    assert (new.status, old.status) == (SILVER, FAILED)
    assert lake.breweries("brewery_id = 900010") == 1
    again = lake.dm("files", "retry", old.file_id)
    assert again.returncode == 0, again.stderr
    lake.convert()
    old = lake.control.files.get(old.file_id)
    assert (old.status, old.attempt_count, old.error_type) == (FAILED, 2, "CorruptGzip")


def test_a_settled_file_is_sent_again_only_by_force_and_its_rows_come_once(lake: Lake) -> None:
    record = lake.file("good.csv.gz")
    refused = lake.dm("files", "retry", record.file_id)
    assert refused.returncode == 2
    assert "silver" in refused.stderr
    assert lake.dm("files", "retry", record.file_id, "--force").returncode == 0
    lake.settle()
    after = lake.control.files.get(record.file_id)
    assert (after.status, after.attempt_count) == (SILVER, record.attempt_count + 1)
    assert lake.breweries("brewery_id = 900001") == 1


def test_a_file_of_no_contract_passes_once_its_contract_is_there(lake: Lake, tmp_path: Path) -> None:
    contracts = Path(shutil.copytree(CONTRACTS, tmp_path / "contracts"))
    (contracts / "cellar.yaml").write_text(CELLAR)
    publish(contracts, lake.running.contracts_uri)
    time.sleep(POINTER_TTL_SECONDS + 1)  # a warm function looks the version up again after that
    assert lake.dm("files", "retry", lake.file("cellar.csv.gz").file_id).returncode == 0
    lake.convert()
    assert lake.file("cellar.csv.gz").status == BRONZE
    lake.settle()
    assert Athena(lake.running.work_group, database="dm_silver").run("SELECT cellar_id, cellar_name FROM cellar").rows == (("1", "Deep"),)
