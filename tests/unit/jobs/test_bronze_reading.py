"""What of a bronze file is final: damage and absence are, a store that does not answer is not."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import AwsStandardS3RetryStrategy, LocalFileSystem, S3FileSystem

from beer import CONTRACTS
from jobs.silver import bronze
from lake.contract import Contract, ContractSet
from lake.manifests import BatchFile, FailedFile


@pytest.fixture(scope="module")
def brewery() -> Contract:
    return ContractSet.from_directory(CONTRACTS).table("brewery")


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A readable part of brewery."""
    rows = 1_000
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    columns = {
        "brewery_id": pa.array(range(rows), pa.int64()),
        "brewery_name": pa.array([f"brewery {n}" for n in range(rows)]),
        "operation": pa.array(["load"] * rows),
        "cdc_position": pa.array(["0"] * rows),
        "cdc_built_at": pa.array([moment] * rows, pa.timestamp("us", "UTC")),
    }
    pq.write_table(pa.table(columns), tmp_path / "part.parquet")
    return tmp_path / "part.parquet"


def test_a_store_that_does_not_answer_ends_the_run_and_not_the_file(brewery: Contract) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        store = S3FileSystem(
            endpoint_override=f"http://127.0.0.1:{closed.getsockname()[1]}",
            region="us-east-1",
            access_key="test",
            secret_key="test",
            connect_timeout=1,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=1),
        )

        with pytest.raises(OSError, match="AWS Error"):
            bronze._open(store, brewery, BatchFile("f1", "1", ("s3://lake/part.parquet",)), False)


def test_damaged_pages_are_final(brewery: Contract, part: Path) -> None:
    body = bytearray(part.read_bytes())
    body[4:400] = b"\xff" * 396
    part.write_bytes(body)

    answer = bronze._open(LocalFileSystem(), brewery, BatchFile("f1", "1", (f"s3://{part}",)), True)

    assert isinstance(answer, FailedFile)
    assert "part.parquet" in answer.reason


def test_a_footer_that_is_no_footer_is_final(brewery: Contract, part: Path) -> None:
    part.write_bytes(b"PAR1" + bytes(50) + b"\x10\x00\x00\x00PAR1")

    assert isinstance(bronze._open(LocalFileSystem(), brewery, BatchFile("f1", "1", (f"s3://{part}",)), False), FailedFile)


def test_a_missing_part_is_final_and_a_whole_one_is_read(brewery: Contract, part: Path) -> None:
    missing = bronze._open(LocalFileSystem(), brewery, BatchFile("f1", "1", (f"s3://{part}x",)), False)
    (whole,) = bronze._open(LocalFileSystem(), brewery, BatchFile("f2", "1", (f"s3://{part}",)), True)

    assert missing == FailedFile("f1", f"s3://{part}x does not exist")
    assert whole.rows == 1_000
