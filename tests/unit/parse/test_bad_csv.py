"""What becomes of a CSV record that is no row, and of quotes, line breaks and headers."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import pytest

RECORDS = [
    (b"2,x", "", "ragged"),
    (b"2,x,y,z", "", "ragged"),
    (b'2,x"y,z', "", "not_csv"),
    (b'2,"x"y,z', "", "not_csv"),
    (b"2,x\ry,z", "", "not_csv"),
    (b"2,x,z\r\r", "", "not_csv"),
    (b"2,x,\xff", "", "utf8"),
    (b"2,x,a\0", "", "nul"),
    (b"3.5,x,", "id", "type"),
    (b'"",x,', "id", "type"),
    (b" 2,x,", "id", "type"),
    (b"0x1F,x,", "id", "type"),
    (b"9223372036854775808,x,", "id", "range"),
    (b",x,", "id", "required"),
    (b"2,,y", "must", "required"),
]


@pytest.mark.parametrize(("record", "column", "reason"), RECORDS, ids=lambda value: repr(value)[:30])
def test_a_record_that_is_no_row_is_rejected_and_its_neighbours_kept(
    table: SimpleNamespace, record: bytes, column: str, reason: str
) -> None:
    parsed = table.csv("id,must,name", b"1,x,", record, b"3,x,")

    assert parsed.batch["id"].to_pylist() == [1, 3]
    stripped = record.removesuffix(b"\r")
    assert [(r.record, r.line, r.offset, r.length, r.column, r.reason) for r in parsed.rejects] == [
        (1, 1, 5, len(stripped), column, reason)
    ]


def test_an_open_quote_takes_the_rest_of_the_block_into_one_reject(table: SimpleNamespace) -> None:
    parsed = table.csv("id,must,name", b"1,x,", b'2,"x', b"3,x,")

    assert parsed.batch["id"].to_pylist() == [1]
    assert [(r.record, r.reason) for r in parsed.rejects] == [(1, "open_quote")]


def test_quoted_fields_hold_commas_quotes_and_line_breaks(table: SimpleNamespace) -> None:
    parsed = table.csv("id,must,name", b'1,"a,b","c""d\r\ne"\r', b"bad", b"", b'"2",x,""')

    assert parsed.batch.select(["id", "must", "name"]).to_pylist() == [
        {"id": 1, "must": "a,b", "name": 'c"d\r\ne'},
        {"id": 2, "must": "x", "name": ""},
    ]
    assert [(r.record, r.line) for r in parsed.rejects] == [(1, 2)]
    assert parsed.lines == 5


def test_a_file_without_operations_holds_loads(table: SimpleNamespace) -> None:
    assert table.csv("id,must", b"1,x").batch["operation"].to_pylist() == ["load"]
    assert [(r.column, r.reason) for r in table.csv("id,must,operation", b"1,x,").rejects] == [("operation", "operation")]


def test_a_header_that_lacks_a_required_column_fails_the_file(table: SimpleNamespace, parse: ModuleType) -> None:
    with pytest.raises(parse.WrongHeader, match="lacks must"):
        table.csv("id,name", b"1,x")
