"""A damaged file fails by name or loses no more than its contract allows; never does it end as if nothing was lost."""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from convert import engine as conversion
from convert import parse
from convert.conversion_errors import NothingAccepted, NotJsonLines
from convert.engine import ConversionPlan
from convert.parse import csv_records
from convert.parse.csv_fields import cells
from convert.parse.outcome import Problem
from convert.sink import DirectorySink
from convert.swallowed import NOTHING, SwallowedRowDetector
from convert.verdict import judge as real_verdict
from lake.control import Outcome
from lake.errors import TerminalError
from tests.conftest import require_kernel
from tests.unit.convert.damaged_files import Case, columns_left, lines_left, made, records_of

require_kernel()

FILES = int(os.environ.get("DM_DAMAGED_FILES", "1000"))
WITHIN = 200
"""A planted fault must show within so many files."""


class Found(AssertionError):
    """A file that lost something without a word."""


def converted(case: Case, folder: Path) -> tuple[Outcome, list[dict[str, Any]]] | TerminalError:
    """The outcome with the rows, or the error that failed the file. Any other error is one of the program."""
    plan = ConversionPlan(
        "f", case.contract, "1", "csv" if case.is_csv else "json", case.name, {}, "part-{}".format, "quarantine", bytes(32)
    )
    sink = DirectorySink(folder)
    try:
        outcome = conversion.convert(plan, _Source(case.packed), sink, 1, lambda: None)
        sink.commit()
    except TerminalError as error:
        return error
    finally:
        sink.abort()
    return outcome, [row for name in outcome.bronze_keys for row in pq.read_table(folder / name).to_pylist()]


class _Source:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), len(self._data))
        buffer[:count], self._data = self._data[:count], self._data[count:]
        return count


def judge(case: Case, found: tuple[Outcome, list[dict[str, Any]]] | TerminalError) -> None:
    """Raises ``Found`` if the outcome hides a loss."""
    if isinstance(found, TerminalError):
        if not str(found):
            raise Found("an error without a message")
        return
    outcome, rows = found
    if case.spoilt and not rows:
        raise Found("a spoilt file was published as an empty one")
    if outcome.records_read and not outcome.records_written:
        raise Found("no record was accepted, and the file was published")
    if not case.spoilt and outcome.records_written + outcome.records_rejected != records_of(case):
        raise Found(f"{outcome.records_written} + {outcome.records_rejected} records; a naive reader counts {records_of(case)}")
    if any(all(str(row[column.name]).strip("\ufeff") == column.name for column in case.contract.columns) for row in rows):
        raise Found("the header is a row")
    lost = lines_left(case) - Counter(_texts(case, row) for row in rows)
    lines = case.plain.count(b"\n")
    allowed = case.contract.reject_ratio if case.is_csv else 0
    if lost.total() > lines * allowed:
        raise Found(f"{lost.total()} of {lines} lines that are whole are no rows, and {outcome.records_rejected} records were rejected")


def _texts(case: Case, row: dict[str, Any]) -> tuple[str | None, ...]:
    """The row's values as the file wrote them."""
    written = {name: row[name] for name in columns_left(case)}
    for name, value in written.items():
        kind = next(column.type.name for column in case.contract.columns if column.name == name)
        if kind == "timestamptz" and value is not None:
            written[name] = value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return tuple(None if value is None else str(value) for value in written.values())


def hunt(seeds: range, folder: Path, monkeypatch: pytest.MonkeyPatch, engines: tuple[str, ...] = ("kernel", "fallback")) -> None:
    """Convert the file of each seed by each engine. Raises ``Found`` with the seed."""
    for seed in seeds:
        case, outcomes = made(seed), []
        for engine in engines:
            monkeypatch.setattr(conversion, "parser", partial(parse.parser, engine=engine))
            found = converted(case, folder)
            try:
                judge(case, found)
            except Found as fault:
                raise Found(f"seed {seed}, {engine}, {case.damage}: {fault}") from None
            outcomes.append((type(found), str(found)) if isinstance(found, TerminalError) else found)
        assert outcomes[0] == outcomes[-1], f"seed {seed}: the engines differ"


@pytest.mark.slow
@pytest.mark.timeout(600 + FILES // 10)
def test_no_damage_hides_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = int(os.environ.get("DM_SEED", random.randrange(2**32)))

    hunt(range(start, start + FILES), tmp_path, monkeypatch)


def test_a_few_damages_of_each_kind_hide_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hunt(range(100), tmp_path, monkeypatch)


def test_a_quoted_name_of_the_header_takes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quote_before_the_last_name = 1_011_244

    hunt(range(quote_before_the_last_name, quote_before_the_last_name + 1), tmp_path, monkeypatch)


def whatever_was_accepted(tally: Any, contract: Any, file_format: str) -> None:
    """The verdict without the question whether anything was accepted."""
    with suppress(NothingAccepted, NotJsonLines):
        real_verdict(tally, contract, file_format)


def lines_without_weight(tally: Any, contract: Any, file_format: str) -> None:
    """The verdict with the lines left out that rejected records take."""
    tally.lost_lines = tally.swallowed = 0
    real_verdict(tally, contract, file_format)


def cells_of_any_record(reader: Any, record: bytes) -> list[str | None]:
    """The cells of a record as they were read before the header was looked for among the rows."""
    found = cells(record)
    if len(found) != len(reader._header):
        raise Problem(parse.Reason.RAGGED)
    return found


def required_columns_alone(header: tuple[str, ...], schema: Any) -> None:
    """The check of headers as it was."""
    missing = [schema.fields[place].name for place in schema.required if schema.fields[place].name not in header]
    if missing:
        raise parse.WrongHeader(f"lacks {missing}")


def test_an_open_quote_that_is_one_reject_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "Reason", SimpleNamespace(OPEN_QUOTE=None))
    monkeypatch.setattr(conversion, "judge", lines_without_weight)

    with pytest.raises(Found, match=r"lines that are whole are no rows"):
        hunt(range(WITHIN), tmp_path, monkeypatch, ("kernel",))


def test_lines_that_two_quotes_swallow_and_nobody_weighs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "judge", lines_without_weight)

    with pytest.raises(Found, match=r"lines that are whole are no rows"):
        hunt(range(WITHIN), tmp_path, monkeypatch, ("kernel",))


def test_rows_within_a_text_that_nobody_looks_for_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SwallowedRowDetector, "look", lambda _self, _data, _parsed: NOTHING)

    with pytest.raises(Found, match=r"lines that are whole are no rows"):
        hunt(range(WITHIN), tmp_path, monkeypatch, ("kernel",))


def test_a_file_published_without_a_row_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "judge", whatever_was_accepted)

    with pytest.raises(Found, match="no record was accepted"):
        hunt(range(WITHIN), tmp_path, monkeypatch, ("kernel",))


def test_a_column_that_a_header_nulls_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "check_header", required_columns_alone)

    with pytest.raises(Found, match=r"other_header: .* lines that are whole are no rows, and 0 records were rejected"):
        hunt(range(WITHIN), tmp_path, monkeypatch, ("kernel",))


def test_a_header_that_is_taken_for_a_row_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records.CsvRecords, "_cells", cells_of_any_record)

    with pytest.raises(Found, match="the header is a row"):
        hunt(range(WITHIN), tmp_path, monkeypatch, ("fallback",))
