"""Kernel and fallback give the same rows and the same rejects, for whatever bytes stand in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import require_kernel

require_kernel()

NAMES = ["id", "small", "whole", "ratio", "score", "price", "flag", "name", "code", "born", "seen", "blob", "wild", "must"]
CHANGE = ["operation", "cdc_position", "cdc_built_at", "cdc_committed_at", "cdc_transaction_id", "cdc_unchanged", "cdc_fence"]
_TOKENS = """
0 -0 1 -1 007 +5 32767 32768 -32768 -32769 2147483647 2147483648 9223372036854775807 9223372036854775808 -9223372036854775808
-9223372036854775809 99999999999999999999999 3.5 1e2 1E+2 1e-2 1.50 1.505 0.10 12345678901.25 9999999999.99 10000000000 1e400 -1e400
1e-400 3.5e38 1e99999999999 0e99999999999 1.7976931348623157e308 0.1 .5 5. - 1. 9007199254740993 0.30000000000000004 1e23
123456789012345678901234567890.5 NaN Infinity -Infinity nan true false t f null TRUE [] {} [1] x
"""
TOKENS = st.sampled_from(_TOKENS.split())
TEXTS = st.sampled_from(
    [
        "",
        "x",
        "3",
        "12.50",
        "-0.00",
        "1e2",
        "12.505",
        "NaN",
        "Infinity",
        "-Infinity",
        "load",
        "insert",
        "update",
        "delete",
        "fence",
        "0000000000000001-0000000002-0",
        "000000000000000G-0000000002-0",
        "2024-02-29",
        "2023-02-29",
        "0000-01-01",
        "2024-13-01",
        "2024-02-29T23:59:59.123456Z",
        "2024-02-29T23:59:59",
        "2024-02-29 23:59:59+02",
        "2024-02-29T23:59:59.1234560-05:30",
        "2024-02-29T23:59:59.1234561Z",
        "2024-02-29T24:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59.999999-00:01",
        "2024-02-29T23:59:59.Z",
        "2024-02-29T23:59:59+0200",
        "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "\\x00fF",
        "00ff",
        "0",
        "zz",
        "é😀",
        "\0",
        'a"b\\c\n\r\t\x08\x0c\x01\x7f',
        '["must"]',
        '["must","\\u0000"]',
        '["\\ud800"]',
        "[1]",
        "[",
    ]
)
ESCAPES = st.sampled_from(
    [r"\u0041", r"\ud83d\ude00", r"\ud800", r"\ude00", r"\ud800\u0041", r"\u0000", r"\/", r"\x", r"\u12", "\\", "\x01"]
)
SPACE = st.sampled_from(["", "", "", " ", "\t", " \r "])


def json_text(text: str, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)


VALUES = st.one_of(
    TOKENS,
    st.builds(json_text, TEXTS, st.booleans()),
    st.builds(json_text, st.text(max_size=8), st.booleans()),
    st.lists(ESCAPES, min_size=1, max_size=3).map(lambda parts: '"a' + "".join(parts) + '"'),
    st.floats().map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.recursive(TOKENS, lambda inner: st.lists(inner, max_size=3).map(lambda items: "[" + " ,".join(items) + "]"), max_leaves=4),
    st.integers(1, 70).map(lambda depth: "[" * depth + "]" * depth),
)
KEYS = st.one_of(
    st.sampled_from([*NAMES, *CHANGE]).map(json.dumps),
    st.sampled_from(['"new"', '"n\\u0065w"', '"\\u006dust"', '"_extra"', '""', '"é"', '"\\ud800"', "new", '"a\\u0000"']),
)
GOOD = {"id": "1", "must": '"x"', "operation": '"insert"'}


@st.composite
def objects(draw: st.DrawFn) -> str:
    """A line, mostly an object, mostly with the members that a row needs."""
    members = [(json.dumps(name), draw(st.sampled_from([value, value, value, draw(VALUES)]))) for name, value in GOOD.items()]
    members += draw(st.lists(st.tuples(KEYS, VALUES), max_size=5))
    parts = [f"{key}{draw(SPACE)}:{draw(SPACE)}{value}" for key, value in draw(st.permutations(members))]
    return draw(SPACE) + "{" + ("," + draw(SPACE)).join(parts) + draw(SPACE) + "}" + draw(SPACE)


@st.composite
def typed_objects(draw: st.DrawFn) -> str:
    """A line whose one interesting member is a value that might fit its column."""
    name = draw(st.sampled_from([*NAMES, *CHANGE]))
    members = {**GOOD, name: draw(st.one_of(VALUES, TEXTS.map(json.dumps)))}
    return "{" + ",".join(f'"{key}":{value}' for key, value in members.items()) + "}"


@st.composite
def corrupted(draw: st.DrawFn, text: st.SearchStrategy[str]) -> bytes:
    """The text's bytes, now and then with some cut out, put in or replaced."""
    data = draw(text).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0 and data:
        at = draw(st.integers(0, len(data) - 1))
        noise = draw(
            st.one_of(
                st.binary(max_size=3), st.sampled_from([b'"', b"\\", b"{", b"}", b",", b"\0", b"\n", b"\r", b"\xff", b"\xed\xa0\x80"])
            )
        )
        data = data[:at] + noise + data[at + draw(st.integers(0, 3)) :]
    return data


JSON_BLOCKS = st.lists(
    corrupted(st.one_of(objects(), typed_objects(), st.sampled_from(["", " ", "null", "1", "[]", '{"a":1}{"b":2}']))), max_size=5
)

CELLS = st.one_of(
    TOKENS,
    TEXTS.map(lambda text: '"' + text.replace('"', '""') + '"'),
    TEXTS.filter(lambda text: not set(text) & set('",\n\r')),
    st.sampled_from(["", '""', '"a,b"', '"a\nb"', '"a""b"', 'a"b', '"a"b', '"', "\r", "1", "x"]),
    st.text(max_size=5),
)
HEADERS = st.lists(st.sampled_from([*NAMES, *CHANGE, "new", 'ne"w']), max_size=5, unique=True).map(
    lambda names: tuple(dict.fromkeys(["id", "must", *names]))
)


@st.composite
def csv_blocks(draw: st.DrawFn) -> tuple[tuple[str, ...], bytes]:
    """A header and a block under it."""
    header = tuple(draw(st.permutations(draw(HEADERS))))
    good = {"id": "1", "must": "x", "operation": "insert"}
    records = []
    for _ in range(draw(st.integers(0, 5))):
        cells = [draw(st.one_of(st.just(good.get(name, "")), CELLS)) for name in header]
        cells += draw(st.sampled_from([[]] * 8 + [["extra"]]))
        records.append(draw(corrupted(st.just(",".join(cells)))) + draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b"\r\r\n"])))
    return header, b"".join(records)[: draw(st.sampled_from([None, None, -1]))]


EVOLUTIONS = st.sampled_from(["evolve", "freeze", "discard_row", "discard_value"])
slow_is_fine = settings(max_examples=200, suppress_health_check=list(HealthCheck))


def outcome(parsed: Any) -> tuple[Any, ...]:
    assert parsed.rows_read == parsed.batch.num_rows + len(parsed.rejects)
    parsed.batch.validate(full=True)
    rows = [
        [
            repr(value.as_py())
            if value.type == "double" or value.type == "float"
            else (value.value if hasattr(value, "value") else value.as_py())
            for value in column
        ]
        for column in parsed.batch
    ]
    records = parsed.rows_read, parsed.lines, parsed.rejects, list(parsed.long_records)
    return rows, records, dict(parsed.extra), dict(parsed.operations), parsed.built_at


@pytest.fixture
def both(parse: ModuleType, every_type: Callable[..., Any]) -> Iterator[Callable[..., None]]:
    """Parses a block by both engines and holds the outcomes equal."""

    def check(file_format: str, header: tuple[str, ...] | None, data: bytes, evolution: str) -> None:
        schema = parse.RowSchema.of(every_type(evolution))
        kernel, fallback = (parse.parser(schema, file_format, header, engine).parse(data) for engine in ("kernel", "fallback"))
        assert kernel.batch.schema.equals(schema.arrow_schema)
        assert fallback.batch.schema.equals(schema.arrow_schema)
        assert outcome(kernel) == outcome(fallback)

    return check


@slow_is_fine
@given(lines=JSON_BLOCKS, ending=st.sampled_from([b"\n", b"\r\n", b"\r\r\n"]), evolution=EVOLUTIONS)
@example(lines=[b'{"id":1,"must":"x","operation":"insert","new":' + b"[" * 63 + b"]" * 63 + b"}"], ending=b"\n", evolution="evolve")
@example(lines=[b'{"id":1,"must":"x","operation":"insert","new":' + b"[" * 64 + b"]" * 64 + b"}"], ending=b"\n", evolution="evolve")
@example(lines=[b'{"id":1,"operation":"update","cdc_unchanged":["must"]}'], ending=b"", evolution="evolve")
def test_engines_agree_on_json_lines(both: Callable[..., None], lines: list[bytes], ending: bytes, evolution: str) -> None:
    both("json", None, ending.join(lines), evolution)


@slow_is_fine
@given(block=csv_blocks(), evolution=EVOLUTIONS)
def test_engines_agree_on_csv_records(both: Callable[..., None], block: tuple[tuple[str, ...], bytes], evolution: str) -> None:
    both("csv", *block, evolution)


@slow_is_fine
@given(data=st.binary(max_size=200))
def test_engines_agree_on_any_bytes(both: Callable[..., None], data: bytes) -> None:
    both("json", None, data, "evolve")
    both("csv", ("id", "must", "name"), data, "evolve")


@slow_is_fine
@given(line=st.one_of(typed_objects(), objects()), bad=corrupted(typed_objects()), evolution=EVOLUTIONS)
def test_engines_agree_on_a_bad_line_among_many_good_ones(both: Callable[..., None], line: str, bad: bytes, evolution: str) -> None:
    good = b'{"id":1,"must":"x","operation":"insert"}\n'
    both("json", None, good * 5 + line.encode("utf-8", "surrogatepass") + b"\n" + good * 3 + bad + b"\n" + good, evolution)
