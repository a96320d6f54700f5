"""The parser's package, and a table with a column of every type."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from convert import parse as parser_package
from lake.contract import Contract, parse_contract
from tests.conftest import require_kernel

COLUMNS = (
    ("id", "bigint", True),
    ("small", "smallint", False),
    ("whole", "integer", False),
    ("ratio", "real", False),
    ("score", "double precision", False),
    ("price", "numeric(12,2)", False),
    ("flag", "boolean", False),
    ("name", "text", False),
    ("code", "uuid", False),
    ("born", "date", False),
    ("seen", "timestamptz", False),
    ("blob", "bytea", False),
    ("wild", "double precision", False),
    ("must", "varchar(20)", False),
)


@cache
def contract(evolution: str = "evolve") -> Contract:
    """A table with a column of every type: id is its key, must is required, wild may be NaN."""
    properties = "".join(
        f"      - {{name: {name}, physicalType: '{spelling}', primaryKey: {str(key).lower()}, required: {str(name == 'must').lower()},"
        f" customProperties: [{{property: allowNaN, value: {str(name == 'wild').lower()}}}]}}\n"
        for name, spelling, key in COLUMNS
    )
    return parse_contract(
        "apiVersion: v3.0.2\nkind: DataContract\nid: every\nversion: 1.0.0\nstatus: active\nschema:\n"
        "  - name: every\n    physicalName: dm_core.every\n    physicalType: table\n"
        f"    customProperties: [{{property: evolution, value: {evolution}}}]\n    properties:\n{properties}",
        source="every.yaml",
    )


def line(without: str = "", raw: str = "", **values: Any) -> bytes:
    """A good raw line of that table, with some values replaced, one left out, or members added as they are."""
    row = {"id": 1, "must": "x", "operation": "insert", **values}
    row.pop(without, None)
    text = json.dumps(row, ensure_ascii=False)
    return (text[:-1] + ("," + raw if raw else "") + "}").encode()


@pytest.fixture(params=["kernel", "fallback"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn; the kernel where it was built."""
    if request.param == "kernel":
        require_kernel()
    return str(request.param)


@pytest.fixture
def parse() -> ModuleType:
    """The parser's package."""
    return parser_package


@pytest.fixture
def table(parse: ModuleType, engine: str) -> SimpleNamespace:
    """``table.json(*lines)`` and ``table.csv(header, *records)`` parse by the engine in turn; ``evolution`` may be given."""

    def parsed(file_format: str, header: tuple[str, ...] | None, data: bytes, evolution: str) -> Any:
        return parse.parser(parse.RowSchema.of(contract(evolution)), file_format, header, engine).parse(data)

    def of_json(*lines: bytes, evolution: str = "evolve") -> Any:
        return parsed("json", None, b"\n".join(lines) + b"\n", evolution)

    def of_csv(header: str, *records: bytes, evolution: str = "evolve") -> Any:
        return parsed("csv", tuple(header.split(",")), b"\n".join(records) + b"\n", evolution)

    return SimpleNamespace(json=of_json, csv=of_csv, line=line)


@pytest.fixture
def every_type() -> Callable[..., Contract]:
    """The contract of that table, by evolution mode."""
    return contract
