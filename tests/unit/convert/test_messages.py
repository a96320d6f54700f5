"""The message of a failed file, whole: the place, what stands there, what would be valid, and the next step."""

from __future__ import annotations

import pytest

from lake.contract import InvalidContract
from lake.errors import TerminalError
from tests.unit.convert.conftest import HEADER, NOTE, Converted, line, record

ROWS = "".join(map(record, range(1, 100)))
CLOSE = "close it at the end of the field, or double a quote that is part of the text"
FROZEN = NOTE + "    customProperties: [{property: evolution, value: freeze}]\n"


@pytest.mark.parametrize(
    ("text", "name", "contract", "message"),
    [
        (
            HEADER + ROWS + record(100, '"half') + ROWS,
            "rows.csv.gz",
            NOTE,
            f"in the record at line 101 (byte 3,581) a quote opens a field and nothing closes it; "
            f"the 99 lines behind it would be lost; {CLOSE}",
        ),
        (
            HEADER + ROWS + record(100, '"half') + ROWS + record(3_000, 'ok"') + ROWS,
            "rows.csv.gz",
            NOTE,
            "99 of 299 lines are rows by themselves and lie within a quoted text: a stray quote opens in the record at line 101; " + CLOSE,
        ),
        (
            HEADER + ROWS + "x,,,,\n" * 10,
            "rows.csv.gz",
            NOTE,
            '10 of 109 records rejected, above the 5.0% that the contract\'s rejectRatio allows: 10 x type in column "id", '
            "first at line 101 (bigint: expected a whole number of 64 bits: digits with an optional sign)",
        ),
        (
            line(1).replace("{", '{"colour":"red",'),
            "rows.gz",
            FROZEN,
            'table "note": column "colour" is not in the contract, whose evolution is freeze; '
            "add the column or choose evolve, then dm contract publish and dm files retry",
        ),
        (
            ROWS,
            "rows.csv.gz",
            NOTE,
            "the first record names no column of table note; write a header before it: id, amount, ratio, seen, body",
        ),
    ],
    ids=["open quote", "swallowed rows", "too many rejects", "frozen", "no header"],
)
def test_a_failed_file_says_where_what_and_what_to_do(converted: Converted, text: str, name: str, contract: str, message: str) -> None:
    with pytest.raises(TerminalError) as raised:
        converted(text, name, contract=contract)

    assert str(raised.value) == message


def test_a_misspelt_property_is_refused_before_a_value_is_read(converted: Converted) -> None:
    with pytest.raises(InvalidContract) as raised:
        converted(HEADER + ROWS, contract=NOTE.replace("classification: internal", "clasification: personal"))

    assert str(raised.value) == (
        'contract.yaml: column "body" clasification: neither the lake nor the standard has such a property; did you mean classification?'
    )
