"""No value becomes another on its way through a merge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import pytest

from tests.integration.jobs.domain import Lake, contract_head, insert, load, update

pytestmark = pytest.mark.integration

CONTRACT = (
    contract_head("number")
    + """\
      - {name: wide, physicalType: double, customProperties: [{property: allowNaN, value: true}]}
      - {name: narrow, physicalType: real, customProperties: [{property: allowNaN, value: true}]}
      - {name: left_out, physicalType: double, customProperties: [{property: allowNaN, value: true}, {property: unchanged, value: true}]}
      - {name: amount, physicalType: "numeric(38,10)", customProperties: [{property: unchanged, value: true}]}
      - {name: moment, physicalType: timestamptz, customProperties: [{property: unchanged, value: true}]}
      - {name: day, physicalType: date, customProperties: [{property: unchanged, value: true}]}
      - {name: flag, physicalType: boolean, customProperties: [{property: unchanged, value: true}]}
    customProperties:
      - {property: history, value: true}
"""
)
FLOATS = (-inf, inf, nan, -0.0, 5e-324, -1.7976931348623157e308, 0.1, None)
REST: dict[str, Any] = {
    "amount": Decimal("-1234567890123456789012345678.0123456789"),
    "moment": datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    "day": date(9999, 12, 31),
    "flag": False,
}


@pytest.fixture
def lake(make_lake: Callable[[Path], Lake], tmp_path: Path) -> Lake:
    (tmp_path / "number.yaml").write_text(CONTRACT)
    return make_lake(tmp_path)


def row(number: int, value: float | None) -> dict[str, Any]:
    narrow = value if value is None or value in (inf, -inf) or isnan(value) or value == 0 else 0.5
    return {"number_id": number, "wide": value, "narrow": narrow, "left_out": value, **REST}


def texts(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Rows with their values as text, so that NaN equals itself and -0.0 is not 0.0."""
    return [
        {name: str(value.replace(tzinfo=None) if isinstance(value, datetime) else value) for name, value in row.items()} for row in rows
    ]


def test_floats_and_columns_of_any_type_that_updates_leave_out_stay_what_they_were(lake: Lake) -> None:
    rows = [row(number, value) for number, value in enumerate(FLOATS)]
    lake.arrives(*(load("number", **values) for values in rows), *(load("number", **values) for values in rows))
    lake.merge()
    partial = ("left_out", "amount", "moment", "day", "flag")
    written = [{name: value for name, value in values.items() if name not in partial} for values in rows]
    lake.arrives(*(update("number", 10 + n, unchanged=partial, **values) for n, values in enumerate(written)))
    lake.arrives(*(insert("number", 30 + n, **values | {"number_id": 100 + n}) for n, values in enumerate(rows)))
    lake.merge()

    expected = texts([*rows, *(values | {"number_id": 100 + n} for n, values in enumerate(rows))])
    assert texts(lake.live_rows("number")) == expected
    versions = [values for values in lake.rows("number_history") if values["is_current"]]
    versions.sort(key=lambda values: int(values["number_id"]))
    assert texts([{name: values[name] for name in rows[0]} for values in versions]) == expected
