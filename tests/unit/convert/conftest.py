"""A table of notes, and files of them through either engine."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from convert import engine as conversion
from convert import masking, parse
from convert.local_file import convert
from convert.parse.json_members import written_members
from tests.conftest import require_kernel

NOTE = """
apiVersion: v3.0.2
kind: DataContract
id: note
version: 1.0.0
status: active
schema:
  - name: note
    physicalName: shop.note
    physicalType: table
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true}
      - {name: amount, physicalType: "numeric(12,2)"}
      - {name: ratio, physicalType: double precision}
      - {name: seen, physicalType: timestamptz}
      - {name: body, physicalType: text, classification: internal}
"""
TEXTS = """
apiVersion: v3.0.2
kind: DataContract
id: word
version: 1.0.0
status: active
schema:
  - name: word
    physicalName: shop.word
    physicalType: table
    properties:
      - {name: code, physicalType: text, primaryKey: true, required: true, classification: internal}
      - {name: body, physicalType: text, classification: internal}
"""
SECRET = NOTE.replace("name: note", "name: secret").replace("classification: internal", "classification: personal")
HEADER = "id,amount,ratio,seen,body\n"

Converted = Callable[..., dict[str, Any]]


def record(number: int, body: str = "ok") -> str:
    """A good CSV record of the table of notes."""
    return f"{number},1.00,0.5,2024-01-01T00:00:00Z,{body}\n"


def line(number: object, **values: str) -> str:
    """A good line of it; further members are given as they are written."""
    members = {"id": str(number), "operation": '"load"', "body": '"ok"', **values}
    return "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}\n"


@pytest.fixture(params=["kernel", "fallback"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whole conversions by each engine in turn: parsing, hashing and showing rejected lines."""
    if request.param == "kernel":
        require_kernel()
    else:
        monkeypatch.setattr(conversion, "parser", partial(parse.parser, engine="fallback"))
        monkeypatch.setattr(masking, "HmacSha256", None)
        monkeypatch.setattr(parse, "written_members", written_members)
    return str(request.param)


@pytest.fixture
def converted(engine: str, tmp_path: Path) -> Converted:
    """``converted(text, name="rows.csv.gz", contract=NOTE)``: the summary of a file, its rows and its rejected records."""
    key = tmp_path / "key"
    key.write_text(f"{7:064x}")

    def run(text: str | bytes, name: str = "rows.csv.gz", contract: str = NOTE, packed: bytes | None = None) -> dict[str, Any]:
        (tmp_path / "contract.yaml").write_text(contract)
        body = text.encode() if isinstance(text, str) else text
        (tmp_path / name).write_bytes(gzip.compress(body, 1) if packed is None else packed)
        summary = convert(tmp_path / name, tmp_path / "contract.yaml", tmp_path / "out", mask_key_file=key)
        rows = [row for part in summary["parts"] for row in pq.read_table(part).to_pylist()]
        quarantine = summary["quarantine"]
        return summary | {"rows": rows, "rejected": pq.read_table(quarantine).to_pylist() if quarantine else []}

    return run
