"""What a good value becomes: exactly itself, in the type that the contract names; JSON and CSV agree."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

ROW = {"id": "1", "must": '"x"', "operation": '"load"'}


def of_json(table: SimpleNamespace, column: str, token: str) -> Any:
    line = "{" + ",".join(f'"{name}":{value}' for name, value in {**ROW, column: token}.items()) + "}"
    parsed = table.json(line.encode())
    assert parsed.rejects == []
    return parsed.batch[column][0].as_py()


def of_csv(table: SimpleNamespace, column: str, cell: str) -> Any:
    parsed = table.csv(f"id,must,{column}", f"1,x,{cell}".encode())
    assert parsed.rejects == []
    return parsed.batch[column][0].as_py()


STAMP = datetime(2024, 2, 29, 21, 59, 59, 120000, UTC)
SAME = [
    ("small", "-32768", "-32768", -32768),
    ("whole", "-0", "-0", 0),
    ("cdc_transaction_id", "-9223372036854775808", "-9223372036854775808", -(2**63)),
    ("cdc_transaction_id", "9007199254740993", "+009007199254740993", 9007199254740993),
    ("score", "4.5", "4.5", 4.5),
    ("score", "3", "3", 3.0),
    ("score", "0.30000000000000004", "0.30000000000000004", 0.30000000000000004),
    ("score", "1e23", "1e23", 1e23),
    ("score", "5e-324", "5e-324", 5e-324),
    ("ratio", "0.1", ".1", 0.10000000149011612),
    ("wild", '"-Infinity"', "-Infinity", -math.inf),
    ("price", '"12.50"', "12.50", Decimal("12.50")),
    ("price", "12.5", "+012.5", Decimal("12.50")),
    ("price", "1e2", "100", Decimal("100.00")),
    ("price", "-9999999999.99", "-9999999999.990", Decimal("-9999999999.99")),
    ("price", "0e99999999", "0.", Decimal("0.00")),
    ("flag", "true", "t", True),
    ("flag", "false", "false", False),
    ("name", '"a\\"b\\\\\\/\\n\\u00e9\\ud83d\\ude00"', '"a""b\\/\né😀"', 'a"b\\/\né😀'),
    ("name", '""', '""', ""),
    ("name", "null", "", None),
    ("whole", "null", "", None),
    ("code", '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"', "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("born", '"2024-02-29"', "2024-02-29", date(2024, 2, 29)),
    ("born", '"0001-01-01"', "0001-01-01", date(1, 1, 1)),
    ("seen", '"2024-02-29T21:59:59.12Z"', "2024-02-29 21:59:59.12Z", STAMP),
    ("seen", '"2024-02-29T23:59:59.120000000+02:00"', "2024-02-29T23:59:59.12+02", STAMP),
    ("seen", '"2024-02-29T21:59:59.12"', "2024-02-29 21:59:59.12", STAMP),
    ("blob", '"\\\\x00fF"', "\\x00fF", b"\x00\xff"),
    ("blob", '""', '""', b""),
    ("cdc_unchanged", '["name","é"]', '"[""name"",""é""]"', ["name", "é"]),
]


@pytest.mark.parametrize(("column", "token", "cell", "value"), SAME, ids=lambda value: str(value)[:25])
def test_a_value_is_read_exactly_and_alike_from_json_and_csv(
    table: SimpleNamespace, column: str, token: str, cell: str, value: Any
) -> None:
    got = of_json(table, column, token)

    assert got == value
    assert (got is None) == (value is None)
    assert of_csv(table, column, cell) == value


def test_a_key_written_with_escapes_is_the_same_column(table: SimpleNamespace) -> None:
    parsed = table.json(b'{"\\u0069d":7,"must":"x","operation":"load"}')

    assert parsed.batch["id"].to_pylist() == [7]


def test_members_may_come_in_any_order_and_with_white_space(table: SimpleNamespace) -> None:
    parsed = table.json(b' { "operation" :"load", "must":\t"x" ,"id": 7 } \r', b'{"must":"x","id":8,"operation":"load"}')

    assert parsed.batch["id"].to_pylist() == [7, 8]


UNKNOWN_LINE = b'{"id":1,"new":{"a": [1.10]},"must":"x","operation":"load","n":null}'


def test_evolve_keeps_unknown_members_as_they_were_written(table: SimpleNamespace) -> None:
    parsed = table.json(UNKNOWN_LINE, evolution="evolve")

    assert parsed.batch["_extra"].to_pylist() == ['{"new":{"a": [1.10]},"n":null}']
    assert parsed.extra == {"new": 1, "n": 1}


def test_discard_value_drops_unknown_members_and_counts_them(table: SimpleNamespace) -> None:
    parsed = table.json(UNKNOWN_LINE, evolution="discard_value")

    assert parsed.batch["_extra"].to_pylist() == [None]
    assert parsed.extra == {"new": 1, "n": 1}


@pytest.mark.parametrize("evolution", ["freeze", "discard_row"])
def test_a_row_with_an_unknown_column_is_rejected_where_the_contract_is_closed(table: SimpleNamespace, evolution: str) -> None:
    of_line = table.json(UNKNOWN_LINE, evolution=evolution)
    of_record = table.csv("id,must,new", b"1,x,", evolution=evolution)

    assert [(r.column, r.reason) for r in of_line.rejects + of_record.rejects] == [("new", "unknown_column")] * 2
    assert of_line.extra == of_record.extra == {}


def test_unknown_csv_columns_are_kept_as_text(table: SimpleNamespace) -> None:
    parsed = table.csv("id,new,must,old", b'1,"a""\n",x,', b"2,3,x,y")

    assert parsed.batch["_extra"].to_pylist() == ['{"new":"a\\"\\n","old":null}', '{"new":"3","old":"y"}']
    assert parsed.extra == {"new": 2, "old": 2}
