"""What COPY writes, the converter reads: every column type of the lake survives a batch export, null and odd values included."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from convert.local_file import convert
from export.table_export import export_table
from lake.contract import parse_contract
from tests.integration.export.conftest import Shop, registering

pytestmark = pytest.mark.integration

COLUMNS = {
    "id": ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"),
    "part": ("smallint", "-7"),
    "small": ("integer", "2147483647"),
    "big": ("bigint", "-9223372036854775808"),
    "single": ("real", "1.1"),
    "exact": ("double precision", "0.1"),
    "odd": ("double precision", "'-Infinity'"),
    "money": ("numeric(12,2)", "1234567890.10"),
    "flag": ("boolean", "true"),
    "day": ("date", "'0001-01-01'"),
    "at": ("timestamptz", "'2024-02-29 23:59:59.123456-03'"),
    "local_at": ("timestamp", "'1969-12-31 23:59:59.5'"),
    "body": ("text", "E'line one\\nsays \"hi\", ok'"),
    "short": ("varchar(10)", "''"),
    "doc": ("jsonb", "'{\"a\": [1, null]}'"),
    "tags": ("text[]", "ARRAY['x, y', NULL]"),
    "span": ("interval", "'1 day 02:03:04'"),
    "raw": ("bytea", "'\\xdeadbeef'"),
}

EXPECTED = {
    "id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "part": -7,
    "small": 2147483647,
    "big": -9223372036854775808,
    "single": pytest.approx(1.1),
    "exact": 0.1,
    "odd": float("-inf"),
    "money": Decimal("1234567890.10"),
    "flag": True,
    "day": date(1, 1, 1),
    "at": datetime(2024, 3, 1, 2, 59, 59, 123456, tzinfo=UTC),
    "local_at": datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=UTC),
    "body": 'line one\nsays "hi", ok',
    "short": "",
    "doc": '{"a": [1, null]}',
    "tags": '{"x, y",NULL}',
    "span": "1 day 02:03:04",
    "raw": b"\xde\xad\xbe\xef",
}


def contract_text() -> str:
    lines = [
        "apiVersion: v3.0.2",
        "kind: DataContract",
        "version: 1.0.0",
        "schema:",
        "  - name: everything",
        "    physicalName: dm_core.everything",
    ]
    lines.append("    properties:")
    for position, (name, (spelling, _)) in enumerate(COLUMNS.items(), start=1):
        custom = ", customProperties: [{property: allowNaN, value: true}]" if name == "odd" else ""
        key = f", primaryKey: true, primaryKeyPosition: {position}" if position <= 2 else ", classification: public"
        lines.append(f'      - {{name: {name}, physicalType: "{spelling}"{key}{custom}}}')
    return "\n".join(lines) + "\n"


def test_every_type_comes_back_as_it_was(shop: Shop, tmp_path: Path) -> None:
    shop.run("DROP TABLE IF EXISTS dm_core.everything")
    shop.run(f"CREATE TABLE dm_core.everything ({', '.join(f'{name} {spelling}' for name, (spelling, _) in COLUMNS.items())})")
    shop.run(f"INSERT INTO dm_core.everything VALUES ({', '.join(value for _, value in COLUMNS.values())})")
    shop.run("INSERT INTO dm_core.everything (id, part) VALUES ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1)")
    contract_file = tmp_path / "everything.yaml"
    contract_file.write_text(contract_text())
    contract = parse_contract(contract_text(), "everything.yaml")

    export = export_table(shop.dsn, shop.bucket, contract, registering(shop, "everything"))
    (written,) = export.objects
    raw = tmp_path / "everything.csv.gz"
    raw.write_bytes(shop.s3.get_object(Bucket=shop.bucket, Key=written.key)["Body"].read())
    summary = convert(raw, contract_file, tmp_path / "out")

    assert (summary["records_written"], summary["records_rejected"]) == (2, 0)
    full, empty = pq.read_table(summary["parts"][0]).to_pylist()
    assert {name: full[name] for name in COLUMNS} == EXPECTED
    assert {name for name in COLUMNS if empty[name] is not None} == {"id", "part"}
    assert (full["operation"], full["cdc_position"]) == ("load", export.cdc_position)
