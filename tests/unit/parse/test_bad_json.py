"""What becomes of a line that is no row: rejected with its reason, and its neighbours kept."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GOOD = b'{"id":1,"must":"x","operation":"insert"}'


def with_value(column: str, token: str) -> bytes:
    return GOOD[:-1] + f',"{column}":{token}}}'.encode()


SYNTAX = [
    (b"null", "not_object"),
    (b"[1]", "not_object"),
    (b"3", "not_object"),
    (b"nonsense", "not_json"),
    (GOOD + b"\0", "not_json"),
    (GOOD + GOOD, "not_json"),
    (b"\xef\xbb\xbf" + GOOD, "not_json"),
    (GOOD[:-1], "not_json"),
    (GOOD[:-1] + b",}", "not_json"),
    (GOOD.replace(b'"x"', b'"\x01"'), "not_json"),
    (GOOD.replace(b'"x"', b'"\xff"'), "utf8"),
    (GOOD.replace(b'"x"', b'"\xed\xa0\x80"'), "utf8"),
    (GOOD.replace(b'"x"', rb'"\ud800"'), "not_json"),
    (GOOD.replace(b'"x"', rb'"\ude00\ud83d"'), "not_json"),
    (GOOD.replace(b'"x"', rb'"\x"'), "not_json"),
    (with_value("score", "NaN"), "not_json"),
    (with_value("score", "-Infinity"), "not_json"),
    (with_value("whole", "012"), "not_json"),
    (with_value("unknown", "[" * 64 + "]" * 64), "not_json"),
    (with_value("unknown", "[" * 100_000), "not_json"),
]


@pytest.mark.parametrize(("line", "reason"), SYNTAX, ids=lambda value: repr(value)[:40])
def test_a_line_that_is_no_object_is_rejected_whole(table: SimpleNamespace, line: bytes, reason: str) -> None:
    parsed = table.json(GOOD, line, GOOD)

    assert parsed.batch.num_rows == 2
    assert [(r.record, r.line, r.offset, r.length, r.column, r.reason) for r in parsed.rejects] == [
        (1, 1, len(GOOD) + 1, len(line), "", reason)
    ]


VALUES = [
    ("whole", "3.5", "type"),
    ("whole", '"3"', "type"),
    ("whole", "1e2", "type"),
    ("whole", "1.0", "type"),
    ("whole", "true", "type"),
    ("whole", "2147483648", "range"),
    ("small", "-32769", "range"),
    ("cdc_transaction_id", "9223372036854775808", "range"),
    ("cdc_transaction_id", "1" * 5000, "range"),
    ("score", '"3"', "type"),
    ("score", "1e400", "range"),
    ("ratio", "3.5e38", "range"),
    ("score", '"NaN"', "nan"),
    ("price", "1.005", "range"),
    ("price", '"12345678901.00"', "range"),
    ("price", '"1e2"', "type"),
    ("price", '"NaN"', "nan"),
    ("price", "1e99999999999999999999", "range"),
    ("flag", '"true"', "type"),
    ("flag", "1", "type"),
    ("name", "3", "type"),
    ("name", "{}", "type"),
    ("name", "[]", "type"),
    ("name", r'"a\u0000"', "nul"),
    ("code", '"a0eebc999c0b4ef8bb6d6bb9bd380a11"', "type"),
    ("born", '"2023-02-29"', "range"),
    ("born", '"2023-2-9"', "type"),
    ("born", '"infinity"', "type"),
    ("seen", '"2024-01-01"', "type"),
    ("seen", '"2024-01-01 00:00:00"', "type"),
    ("seen", '"2024-01-01T00:00:00.0000001Z"', "range"),
    ("seen", '"2024-01-01T24:00:00Z"', "range"),
    ("seen", '"2024-01-01T23:59:60Z"', "range"),
    ("blob", '"abc"', "type"),
    ("cdc_position", '"5"', "type"),
    ("cdc_unchanged", '"must"', "type"),
    ("cdc_unchanged", "[1]", "type"),
]


@pytest.mark.parametrize(("column", "token", "reason"), VALUES, ids=lambda value: str(value)[:30])
def test_a_value_outside_its_type_rejects_the_line_and_names_the_column(
    table: SimpleNamespace, column: str, token: str, reason: str
) -> None:
    parsed = table.json(GOOD, with_value(column, token), GOOD)

    assert parsed.batch.num_rows == 2
    assert [(r.record, r.column, r.reason) for r in parsed.rejects] == [(1, column, reason)]


def test_a_reject_says_what_would_be_valid_and_never_repeats_the_value(table: SimpleNamespace) -> None:
    (reject,) = table.json(with_value("born", '"12 May 1980"')).rejects

    assert reject.detail == "date: expected a string, YYYY-MM-DD"


ROWS = [
    (b'{"id":1,"must":"x"}', "operation", "operation"),
    (b'{"id":1,"must":"x","operation":null}', "operation", "operation"),
    (b'{"id":1,"must":"x","operation":"upsert"}', "operation", "operation"),
    (b'{"id":1,"operation":"insert"}', "must", "required"),
    (b'{"id":1,"must":null,"operation":"load"}', "must", "required"),
    (b'{"id":1,"operation":"update"}', "must", "required"),
    (b'{"id":1,"operation":"update","cdc_unchanged":["name"]}', "must", "required"),
    (b'{"id":1,"operation":"insert","cdc_unchanged":["must"]}', "must", "required"),
    (b'{"must":"x","operation":"delete"}', "id", "required"),
    (b'{"id":1,"id":2,"must":"x","operation":"load"}', "id", "duplicate_member"),
    (rb'{"id":1,"must":"x","operation":"load","\u0069d":2}', "id", "duplicate_member"),
    (b'{"id":1,"must":"x","operation":"load","new":2,"n\\u0065w":2}', "new", "duplicate_member"),
]


@pytest.mark.parametrize(("line", "column", "reason"), ROWS, ids=lambda value: repr(value)[:50])
def test_a_line_that_lacks_what_its_operation_needs_is_rejected(table: SimpleNamespace, line: bytes, column: str, reason: str) -> None:
    assert [(r.column, r.reason) for r in table.json(line).rejects] == [(column, reason)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":1,"operation":"update","cdc_unchanged":["must"]}',
        b'{"id":1,"operation":"update","cdc_unchanged":["name","?must"]}',
        b'{"id":1,"operation":"insert","cdc_unchanged":["?must"]}',
        b'{"id":1,"operation":"load","cdc_unchanged":["?must"]}',
        b'{"id":1,"operation":"delete"}',
        b'{"operation":"fence","cdc_fence":"drop-table"}',
    ],
)
def test_required_holds_only_for_what_the_operation_carries(table: SimpleNamespace, line: bytes) -> None:
    parsed = table.json(line)

    assert (parsed.batch.num_rows, parsed.rejects) == (1, [])


def test_blank_lines_and_carriage_returns_are_no_records(table: SimpleNamespace) -> None:
    parsed = table.json(b"", GOOD + b"\r", b" \t\r", GOOD + b"x\r", b"\r")

    assert (parsed.rows_read, parsed.batch.num_rows, parsed.lines) == (2, 1, 5)
    assert [(r.record, r.line, r.length) for r in parsed.rejects] == [(1, 3, len(GOOD) + 1)]


def test_an_object_over_two_lines_is_two_records_that_are_none(table: SimpleNamespace) -> None:
    parsed = table.json(GOOD, GOOD[:8], GOOD[8:], GOOD)

    assert parsed.batch.num_rows == 2
    assert [(r.record, r.line, r.reason) for r in parsed.rejects] == [(1, 1, "not_json"), (2, 2, "not_json")]


def test_a_three_megabyte_value_is_kept_whole(table: SimpleNamespace) -> None:
    parsed = table.json(GOOD, with_value("name", '"' + "x" * 3_000_000 + '"'), GOOD)

    assert len(parsed.batch["name"][1].as_py()) == 3_000_000


def verdict(line: bytes) -> str:
    """What the standard library says of a line: row (an object), or why it is none."""

    def no_constant(name: str) -> None:
        raise ValueError(name)

    try:
        value = json.loads(line.decode(), parse_constant=no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # refuses half of a surrogate pair
    except UnicodeDecodeError:
        return "utf8"
    except ValueError:
        return "not_json"
    return "row" if isinstance(value, dict) else "not_object"


# the kinds of case of https://github.com/nst/JSONTestSuite: structure, numbers, strings, and what parsers decide for themselves
SHAPES = [
    *rb"""
    [] [1] [1,] [,1] [1,,2] [1:2] [ [1 ] [1]] [[] [1} ["":1] {} { } {"a"} {"a":} {:1} {1:1} {a:1} {'a':1} {"a":1,} {"a":1,,"b":2}
    {"a":1}} {"a":{"b":[{}]}} {"":0} {"a":1}# {"a":/**/1} {"a":1}// <null> *
    0 -0 - +1 --1 01 -01 1. .5 -.5 1.5 1.e1 1e 1e+ 1E-2 1e1.5 0x1F 1f 1_0 NaN -NaN Infinity -Infinity Inf 1e400 -1e-400
    true false null True nul truee NULL undefined tru " "a a 'a' "" "a"b
    "\u" "\u00" "\u00g0" "\U0041" "\a" "\" "\\" "\/\b\f\n\r\t" "\u0000" "\u0022"
    "\ud83d\ude00" "\ud83d" "\ude00" "\ud83d\u0041" "\ud83d\ud83d\ude00" "\ude00\ud83d"
    """.split(),
    *(b"", b" ", b"[ ]", b"[1 2]", b"[\t1 ]", b'{"a" 1}', b'{"a":1 "b":2}', b"1 000", b'"\\ "', b"\x0c1", b"\x1a", b"1\x00", b"1" * 400),
    *(b'"\t"', b'"\x00"', b'"\x1f"', b'"\x7f"', b'"\xe2\x80\xa8"', b'"\xef\xbf\xbf"', b"\xef\xbc\x91", b"[" * 60 + b"]" * 60),
    *(b'"\xff"', b'"\xc0\xaf"', b'"\xe9"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xf0\x9f\x98"', b"\xff", b'{"\xe9":1}'),
    *(b"\xc2\xa01", b"\xe2\x81\xa01", b"\xef\xbb\xbf1", "[1]".encode("utf-16")),
]


def test_every_shape_of_json_is_taken_or_refused_as_the_standard_library_does(table: SimpleNamespace) -> None:
    members = [GOOD[:-1] + b',"unknown":' + shape + b"}" for shape in SHAPES]
    found, expected = {}, {}
    for line in [*members, *(shape for shape in SHAPES if shape.strip())]:
        parsed = table.json(GOOD, line, GOOD)
        found[line] = [reject.reason for reject in parsed.rejects] or ["row"]
        expected[line] = [verdict(line)] if line in members or verdict(line) != "row" else ["operation"]
        assert (parsed.rows_read, len(parsed.rejects)) == (3, 3 - parsed.batch.num_rows)

    assert found == expected


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(value=JSON_VALUES, ascii_only=st.booleans(), cut=st.integers(0, 40), is_cut=st.booleans())
def test_a_line_is_json_exactly_where_the_standard_library_says_so(
    table: SimpleNamespace, value: object, ascii_only: bool, cut: int, is_cut: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    line = with_value("unknown", text[: min(cut, len(text))] if is_cut else text)

    assert [reject.reason for reject in table.json(line).rejects] == ([] if verdict(line) == "row" else ["not_json"])
