"""Half a minute of damaged files through both engines: no crash, no hang, the same outcome, every record counted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import require_kernel

require_kernel()

BUDGET_SECONDS = 30
LINES = [
    b'{"id":%d,"small":-5,"ratio":1.5,"score":4.25,"price":"12.50","flag":true,"name":"a\\"b","born":"2024-02-29","must":"x","operation":"insert"}',
    b'{"id":%d,"must":"\\u00e9\\ud83d\\ude00","seen":"2024-02-29T12:00:00.000001Z","blob":"00ff","operation":"load","cdc_unchanged":null}',
    b'{"id":%d,"operation":"update","cdc_unchanged":["must","name"],"cdc_position":"0000000000000001-0000000002-0","cdc_transaction_id":7}',
    b'{"operation":"delete","new":{"deep":[[1,2,{"a":null}]]},"id":%d}',
]
HEADER = ("id", "must", "name", "score", "price", "seen", "operation")
RECORDS = [b'%d,x,"a,""b""\nc",4.5,12.50,2024-02-29 12:00:00+01,insert', b"%d,x,,.5,1,2024-02-29T12:00:00Z,update", b'%d,"x","",,,,load\r']
NOISE = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b",",
    b":",
    b"\0",
    b"\n",
    b"\r",
    b"\r\n",
    b"\xff",
    b"\xc3",
    b"9" * 30,
    b"e9",
    b"NaN",
    b"null",
    b"\\ud800",
    b" ",
    b"-",
    b".",
]


def damaged(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randrange(4)):
        at, width = rng.randrange(len(data) + 1), rng.choice([0, 0, 1, 2, 20])
        patch = rng.choice([rng.choice(NOISE), rng.randbytes(2), data[rng.randrange(len(data) + 1) :][:40], b""])
        data = data[:at] + patch + data[at + width :]
    return data


@pytest.mark.slow
def test_damaged_files_are_read_alike_and_counted_exactly(parse: ModuleType, every_type: Callable[..., Any]) -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    parsers = [
        (good, [parse.parser(parse.RowSchema.of(every_type(evolution)), file_format, header, engine) for engine in ("kernel", "fallback")])
        for evolution in ("evolve", "freeze", "discard_value")
        for file_format, header, good in (("json", None, LINES), ("csv", HEADER, RECORDS))
    ]
    ends, rounds = time.monotonic() + BUDGET_SECONDS, 0
    while time.monotonic() < ends:
        good, engines = rng.choice(parsers)
        data = damaged(b"\n".join(rng.choice(good) % rng.randrange(2**63) for _ in range(rng.randrange(1, 12))), rng)
        kernel, fallback = (engine.parse(data) for engine in engines)
        rounds += 1
        assert kernel.rows_read == kernel.batch.num_rows + len(kernel.rejects), (seed, data)
        assert (kernel.rejects, kernel.lines, kernel.extra) == (fallback.rejects, fallback.lines, fallback.extra), (seed, data)
        assert repr(kernel.batch.to_pylist()) == repr(fallback.batch.to_pylist()), (seed, data)
    assert rounds > 100
