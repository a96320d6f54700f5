"""No value ends a conversion or changes on its way: what the contract does not know is hashed and shown as it was written."""

from __future__ import annotations

import hmac
import json

import pyarrow as pa
import pytest

from convert.masking import Masker
from lake.privacy import CLEAR
from tests.unit.convert.conftest import NOTE, SECRET, Converted, line

KEY = bytes.fromhex(f"{7:064x}")
VALUES = [
    *("1e400", "-1e400", "1E+9999999999", "9" * 5_000, "12345678901234567890123", "1.10", "0.1000000000000000055511", "1E5", "-0", "-0.0"),
    *('{"a":1,"a":2}', '{ "a" : [ 1.10 , null ] }', "[]", "true", '"\\u00e9\\ud83d\\ude00"', '"a\\u0000b"', '"\u2028"', '"\\/"', '""'),
    "[" * 63 + "]" * 63,
]


def code(text: str) -> str:
    return hmac.new(KEY, text.encode(), "sha256").hexdigest()


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:12])
def test_an_unknown_value_is_hashed_as_it_was_written(converted: Converted, value: str) -> None:
    found = converted(line(1) * 99 + line(2, x=value), "rows.gz")

    extra = json.loads(found["rows"][-1]["_extra"])
    assert (found["records_written"], extra) == (100, {"x": code(json.loads(value) if value.startswith('"') else value)})


@pytest.mark.parametrize("value", [*VALUES, "null"], ids=lambda value: value[:12])
def test_a_cleared_value_is_kept_as_it_was_written(engine: str, value: str) -> None:
    names = f'"n\\u0065w": {value}'.replace(": ", ":")
    column = pa.array(["{" + names + ',"y":1}', None])
    batch = pa.record_batch([column], names=["_extra"])

    (kept, none) = Masker({}, {"new": CLEAR}, KEY).batch(batch).column("_extra").to_pylist()

    assert (kept, none) == ("{" + names + f',"y":"{code("1")}"}}', None)


@pytest.mark.parametrize("depth", [64, 254, 255, 256, 300, 500, 1_023, 1_024, 50_000])
@pytest.mark.parametrize("contract", [NOTE, SECRET], ids=["open", "hidden"])
def test_a_rejected_line_of_any_depth_costs_itself_alone(converted: Converted, depth: int, contract: str) -> None:
    deep = "[" * depth + "]" * depth
    text = line(1) * 99 + line('"bad"', x=deep) + line('"bad"', body=deep)

    found = converted(text, "rows.gz", contract)

    assert [row["reason"] for row in found["rejected"]] == ["not_json"] * 2
    assert {row["line"] for row in found["rejected"]} == {None}
    assert {row["detail"] for row in found["rejected"]} == {"nested deeper than 64 levels"}


@pytest.mark.parametrize("value", ["1e400", "9" * 5_000, '{"a":1,"a":2}', "[" * 60 + "]" * 60], ids=lambda value: value[:12])
def test_a_rejected_line_shows_no_unknown_value_whatever_stands_beside_it(converted: Converted, value: str) -> None:
    found = converted(line(1) * 99 + line('"bad"', ssn='"123-45-6789"', x=value), "rows.gz")

    shown = json.loads(found["rejected"][0]["line"])
    assert (shown["id"], shown["ssn"], shown["x"]) == ("bad", code("123-45-6789"), code(value))


@pytest.mark.parametrize(
    "text",
    ['{"id":1,"operation":"load","ssn":"123-45-6789"', '{"id":1,"operation":"load","ssn":"123-45-6789","x":NaN}', '["123-45-6789"]'],
    ids=["cut", "no JSON", "array"],
)
def test_a_line_that_cannot_be_read_is_not_shown(converted: Converted, text: str) -> None:
    found = converted(line(1) * 99 + text + "\n", "rows.gz")

    assert [(row["line"], row["line_bytes"]) for row in found["rejected"]] == [(None, len(text))]


def test_a_long_field_of_a_rejected_csv_record_is_masked_like_a_short_one(converted: Converted) -> None:
    rows = "".join(f"{n},x,y\n" for n in range(99))
    found = converted("id,body,note\n" + rows + f"bad,{'x' * 200_000},secret\n")

    assert '"note":"' + code("secret") not in found["rejected"][0]["line"]  # cut before it
    assert found["rejected"][0]["line"].startswith('{"id":"bad","body":"xxx')


def test_a_hidden_table_shows_a_rejected_line_masked_and_otherwise_as_it_was_written(converted: Converted) -> None:
    text = line(1, **{"\\u0061b": "[1 , 2]", "c": "null"}) * 99 + line('"bad"', amount="1.10", body='"free"', d='{"e": 1e400}')
    found = converted(text, "rows.gz", SECRET)

    deep = code('{"e": 1e400}')
    members = f'"id":"bad","operation":"load","body":"{code("free")}","amount":1.10,"d":"{deep}"'
    assert found["rejected"][0]["line"] == "{" + members + "}"
    assert found["rows"][0]["_extra"] == '{"\\u0061b":"' + code("[1 , 2]") + '","c":null}'
