"""The fallback's shortcut through pyarrow changes its speed and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from convert.parse import arrow_columns, arrow_json, csv_records, json_lines
from tests.conftest import ROOT

FULL = (
    b'{"id":1,"small":-32768,"whole":2147483647,"ratio":0.1,"score":-1.5e3,"price":"-12.50","flag":false,"name":"a\\"\\n\\\\ \xc3\xa9",'
    b'"code":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","born":"2024-02-28","seen":"2024-02-28T23:59:59.123456Z","blob":"\\\\x00fF","wild":null,'
    b'"must":"x","operation":"insert","cdc_position":"0000000000000001-0000000002-0","cdc_built_at":null,"cdc_unchanged":["name"]}'
)
DOUBTFUL = [
    FULL.replace(b"-32768", b"-32769"),
    FULL.replace(b"0.1,", b"3.5e38,"),
    FULL.replace(b"-1.5e3", b"NaN"),
    FULL.replace(b"2024-02-28T", b"2023-02-29T"),
    FULL.replace(b"2024-02-28T", b"2024-02-29T"),
    FULL.replace(b".123456Z", b"+05:30"),
    FULL.replace(b'"must":"x"', b'"must":null'),
    FULL.replace(b"insert", b"delete").replace(b'"must":"x"', b'"must":null'),
    FULL.replace(b"insert", b"update").replace(b'"must":"x"', b'"must":null').replace(b'["name"]', b'["must"]'),
    FULL.replace(b'["name"]', b"[null]"),
    FULL.replace(b'"x"', b'"\\u0041"'),
    FULL.replace(b"\xc3\xa9", b"\xff"),
    FULL[:-1] + b',"new":1}',
    FULL + FULL,
    b"null",
    b"",
    b'{"id":2}',
]
RECORD = b"1,x,-5,4.5,12.50,t,2024-02-28,2024-02-28 23:59:59+01"
HEADER = ("id", "must", "small", "score", "price", "flag", "born", "seen")
DOUBTFUL_RECORDS = [
    RECORD.replace(b"x", b'"a""\nb"'),
    RECORD.replace(b"x", b'"a\n1,y,,,,,,\n"'),
    RECORD.replace(b"-5", b" 5"),
    RECORD.replace(b"-5", b"0x5"),
    RECORD.replace(b"4.5", b"inf"),
    RECORD.replace(b"12.50", b"12.505"),
    RECORD + b",",
    RECORD.replace(b"x", b"a\rb"),
    RECORD.replace(b"x", b"\xff"),
    b'1,"open',
]


def outcome(parsed: Any) -> tuple[Any, ...]:
    return repr(parsed.batch.to_pylist()), parsed.rows_read, parsed.lines, parsed.rejects, parsed.extra


@pytest.mark.parametrize("doubtful", [[], *([line] for line in DOUBTFUL), DOUBTFUL], ids=range(len(DOUBTFUL) + 2))
def test_json_lines_are_read_alike_with_and_without_it(parse: ModuleType, every_type: Callable[..., Any], doubtful: list[bytes]) -> None:
    reader, schema = json_lines.JsonRecords, parse.RowSchema.of(every_type())
    data = b"\n".join([FULL, *doubtful, FULL, FULL])

    assert outcome(reader(schema).parse(data)) == outcome(reader(schema, shortcut=False).parse(data))


@pytest.mark.parametrize(
    "doubtful", [[], *([record] for record in DOUBTFUL_RECORDS), DOUBTFUL_RECORDS], ids=range(len(DOUBTFUL_RECORDS) + 2)
)
def test_csv_records_are_read_alike_with_and_without_it(parse: ModuleType, every_type: Callable[..., Any], doubtful: list[bytes]) -> None:
    reader, schema = csv_records.CsvRecords, parse.RowSchema.of(every_type())
    data = b"\n".join([RECORD, *doubtful, RECORD, RECORD])

    assert outcome(reader(schema, HEADER).parse(data)) == outcome(reader(schema, HEADER, shortcut=False).parse(data))


def test_good_lines_take_it_even_beside_a_bad_one(parse: ModuleType, every_type: Callable[..., Any]) -> None:
    columns = arrow_columns
    lines = arrow_json.ArrowLines(parse.RowSchema.of(every_type()))
    data = b"\n".join([FULL, FULL.replace(b"false", b"0"), FULL])

    _, certain = lines.read(data, *columns.bounds_of_lines(data))

    assert np.array_equal(certain, [True, False, True])


def test_good_records_import_no_pandas() -> None:
    program = f"""
import sys
from convert import parse
from tests.unit.parse.conftest import contract, line
schema = parse.RowSchema.of(contract())
lines = b"\\n".join([line(small=1, score=4.5, flag=True, born="2024-02-28", price=None), line(operation="delete", must=None)])
for data, header in ((lines, None), ({RECORD!r}, {HEADER!r})):
    parsed = parse.parser(schema, "csv" if header else "json", header, "fallback").parse(data)
    assert parsed.batch.num_rows == parsed.rows_read > 0
print("pandas" in sys.modules)
"""

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("False\n", "")
