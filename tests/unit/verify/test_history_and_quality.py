"""What verify says of a table's history and of the quality rules' results, fault by fault, on rows as Athena hands them out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from datamaster.verify.history_versions import compare_history
from datamaster.verify.quality_results import compare_quality
from datamaster.verify.report import ROW, Difference, TableReport
from datamaster.verify.workbench import Workbench
from lake.contract import ContractSet

CONTRACT = """
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: item
    physicalName: app.item
    customProperties: [{property: history, value: true}]
    properties:
      - {name: item_id, physicalType: bigint, primaryKey: true, required: true}
      - name: amount
        physicalType: bigint
        quality: [{metric: range, mustBeBetween: [0, 10], severity: warn}]
      - name: code
        physicalType: varchar(5)
        classification: public
        quality:
          - {metric: invalidValues, arguments: {validValues: [a, "b'"]}, severity: warn}
          - {metric: duplicateValues, severity: warn}
          - {metric: nullValues, severity: warn}
"""
JAN, FEB, MAR = (f"2024-0{month}-01 00:00:00.000000 UTC" for month in (1, 2, 3))
PAST, PRESENT = (1, 5, "a", JAN, FEB, False), (1, 20, "a", FEB, None, True)


class Answer:
    """Athena, when it has one thing to say."""

    def __init__(self, header: str, rows: list[tuple[object, ...]]) -> None:
        self.lines = [header, *(",".join("" if value is None else f'"{value}"' for value in row) for row in rows)]

    def download(self, _statement: str, path: Path) -> None:
        path.write_text("\n".join(self.lines) + "\n")


@pytest.fixture
def contracts() -> ContractSet:
    return ContractSet.of({"item.yaml": CONTRACT})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """A bench with one row of the source: it breaks the range."""
    with Workbench(tmp_path) as bench:
        bench.run("CREATE TABLE source_item AS SELECT 1::BIGINT AS item_id, 20::BIGINT AS amount, 'a' AS code, TRUE AS present")
        yield bench


def history(bench: Workbench, contracts: ContractSet, *versions: tuple[object, ...]) -> TableReport:
    header = "item_id,amount,code,valid_from,valid_to,is_current,cdc_generation,cdc_position"
    answer = Answer(header, [(*version, 0, n) for n, version in enumerate(versions)])
    return compare_history(bench, answer, contracts.table("item"), {})


def quality(bench: Workbench, contracts: ContractSet, **failed: int) -> TableReport:
    answer = Answer("table_name,rule,rows_failed", [("item", rule, count) for rule, count in failed.items()])
    return compare_quality(bench, answer, contracts, {"item": {}})


def test_versions_that_follow_one_another_up_to_the_sources_row_are_right(bench: Workbench, contracts: ContractSet) -> None:
    report = history(bench, contracts, PAST, PRESENT)

    assert (report.differences, report.expected_rows, report.got_rows) == (0, 1, 1)


def test_a_gap_between_versions_is_a_time_without_the_row(bench: Workbench, contracts: ContractSet) -> None:
    assert history(bench, contracts, PAST, (1, 20, "a", MAR, None, True)).differences == 0


@pytest.mark.parametrize(
    ("versions", "column"),
    [
        ([PAST, (1, 7, "a", FEB, None, True)], "amount"),
        ([PAST], ROW),
        ([PAST, PRESENT, (2, 1, "a", JAN, None, True)], ROW),
        ([(1, 5, "a", JAN, MAR, False), PRESENT], "valid_to"),
        ([(1, 5, "a", FEB, JAN, False), (1, 20, "a", MAR, None, True)], "valid_to"),
        ([PAST, (1, 20, "a", FEB, MAR, True)], "valid_to"),
        ([(1, 5, "a", JAN, None, False), PRESENT], "valid_to"),
    ],
    ids=[
        "the current version has another value",
        "the row has no current version",
        "a row that the source has not is current",
        "a version ends after the next begins",
        "a version ends before it begins",
        "the current version has ended",
        "a version that has not ended is not current",
    ],
)
def test_a_fault_of_history_is_named(bench: Workbench, contracts: ContractSet, versions: list[tuple[object, ...]], column: str) -> None:
    report = history(bench, contracts, *versions)

    assert dict(report.counts) == {column: 1}
    assert report.first[0].key.startswith("item_id ")


def test_a_broken_rule_that_the_lake_counted_at_least_as_often_is_right(bench: Workbench, contracts: ContractSet) -> None:
    assert quality(bench, contracts, amount_range_1=1).differences == 0
    assert quality(bench, contracts, amount_range_1=3).differences == 0


@pytest.mark.parametrize("counted", [{}, {"amount_range_1": 0}], ids=["never checked", "checked and not seen"])
def test_a_broken_rule_that_the_lake_did_not_count_is_named(bench: Workbench, contracts: ContractSet, counted: dict[str, int]) -> None:
    report = quality(bench, contracts, **counted)

    assert report.first == (Difference("dm_silver.quality_results", "item, amount_range_1", "rows_failed", "1 or more", "0"),)


def test_every_kind_of_rule_is_asked_of_the_source(bench: Workbench, contracts: ContractSet) -> None:
    bench.run("INSERT INTO source_item VALUES (2, 1, 'c', TRUE), (3, 1, NULL, TRUE), (4, 1, 'b''', TRUE), (5, 1, 'b''', TRUE)")

    report = quality(bench, contracts, amount_range_1=1)

    kinds = {rule.name: rule.kind for rule in contracts.table("item").quality_rules}
    assert {kinds[difference.key.removeprefix("item, ")] for difference in report.first} == {"accepted_values", "unique", "not_null"}
