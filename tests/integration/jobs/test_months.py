"""A row lies in the UTC month of its partition column, whatever that counts in; without one of the years 1 to 9999 in none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.jobs.domain import Lake, contract_head, delete, insert, update

pytestmark = pytest.mark.integration
FIRST, LAST = -62_135_596_800, 253_402_300_799  # seconds of the years 1 to 9999
SECONDS: dict[int | None, tuple[int, int]] = {
    0: (1970, 1),
    -1: (1969, 12),
    -2_678_401: (1969, 11),
    1_709_251_199: (2024, 2),
    FIRST: (1, 1),
    LAST: (9999, 12),
}
NO_MONTH: tuple[int | None, ...] = (None, 2**63 - 1, -(2**63))
MOMENTS: dict[Any, tuple[int, int]] = {
    datetime(1, 1, 1, tzinfo=UTC): (1, 1),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC): (1969, 12),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC): (9999, 12),
    None: (0, 0),
}


def epochs(share: int) -> dict[Any, tuple[int, int]]:
    """Values of a column of which ``share`` make a second."""
    known = {value * share: month for value, month in SECONDS.items() if value is not None}
    outside = {(FIRST - 1) * share, FIRST * share - 1, (LAST + 1) * share, *NO_MONTH}
    return known | {LAST * share + share - 1: (9999, 12)} | dict.fromkeys(outside, (0, 0))


CASES: dict[str, tuple[str, dict[Any, tuple[int, int]]]] = {
    "epoch_seconds": ("bigint", epochs(1)),
    "epoch_millis": ("bigint", epochs(1_000)),
    "epoch_micros": ("bigint", epochs(1_000_000)),
    "date": ("date", {moment and moment.date(): month for moment, month in MOMENTS.items()}),
    "timestamp": ("timestamptz", MOMENTS),
}


def contract(unit: str, kind: str) -> str:
    columns = f"      - {{name: at, physicalType: {kind}}}\n      - {{name: title, physicalType: varchar(9), classification: public}}\n"
    partition = f"{{column: at, unit: {unit}, year: at_year, month: at_month}}"
    return f"{contract_head(unit)}{columns}    customProperties:\n      - {{property: partition, value: {partition}}}\n"


@pytest.fixture
def lake(make_lake: Callable[[Path], Lake], tmp_path: Path) -> Lake:
    for unit, (kind, _) in CASES.items():
        (tmp_path / f"{unit}.yaml").write_text(contract(unit, kind))
    return make_lake(tmp_path)


def test_rows_lie_in_their_months_and_later_changes_find_them_there(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    for unit, (_, values) in CASES.items():
        lake.arrives(*(insert(unit, 10 + n, **{f"{unit}_id": n, "at": value}) for n, value in enumerate(values)))
    lake.merge()
    for unit, (_, values) in CASES.items():
        lake.arrives(*(update(unit, 100 + n, **{f"{unit}_id": n, "at": value, "title": "new"}) for n, value in enumerate(values)))
    lake.merge()

    metrics = capsys.readouterr().out
    for unit, (_, values) in CASES.items():
        found = lake.live_rows(unit, "at_year", "at_month", "title")
        assert [(row["at_year"], row["at_month"]) for row in found] == list(values.values()), unit
        assert {row["title"] for row in found} == {"new"}
        outside = sum(month == (0, 0) for month in values.values())
        assert f'"table":"{unit}","RowsWithoutMonth":[{outside:.1f}]' in metrics

    for unit, (_, values) in CASES.items():
        lake.arrives(*(delete(unit, 200 + n, **{f"{unit}_id": n}) for n in range(len(values))))
    lake.merge()
    assert [lake.live_rows(unit) for unit in CASES] == [[]] * len(CASES)
