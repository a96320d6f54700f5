"""A contract's rules are checked on every run: they warn, hold rows back, or stop the table."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jobs.iceberg import tables
from jobs.silver import quality
from tests.integration.jobs.domain import MIDNIGHT, Lake, contract_head, insert, load

pytestmark = pytest.mark.integration

RULES = (
    contract_head("item")
    + """\
      - {name: code, physicalType: varchar(20), classification: public, quality: [RULE_CODE]}
      - {name: amount, physicalType: bigint, quality: [RULE_AMOUNT]}
"""
)
NEVER = "{metric: range, mustBeBetween: [0, 1000000], severity: warn}"


@pytest.fixture
def lake_with(make_lake: Callable[[Path], Lake], tmp_path: Path) -> Callable[..., Lake]:
    def build(amount: str = NEVER, code: str = "{metric: invalidValues, arguments: {validValues: [a, b, c]}, severity: warn}") -> Lake:
        (tmp_path / "item.yaml").write_text(RULES.replace("RULE_CODE", code).replace("RULE_AMOUNT", amount))
        return make_lake(tmp_path)

    return build


def item(position: float, number: int, amount: int | None = 1, code: str | None = "a") -> Any:
    return insert("item", position, item_id=number, amount=amount, code=code)


def ids(lake: Lake) -> list[int]:
    return [row["item_id"] for row in lake.live_rows("item")]


def failed(lake: Lake) -> dict[str, int]:
    return {f"{row['column_name']} {row['kind']}": row["rows_failed"] for row in lake.rows("quality_results") if row["rows_failed"]}


def test_a_warning_leaves_the_row_and_a_result(lake_with: Callable[..., Lake]) -> None:
    lake = lake_with("{metric: range, mustBeBetween: [0, 5], severity: warn}")
    lake.arrives(item(1, 1, 3), item(2, 2, 9), item(3, 3, None))

    lake.merge()

    assert ids(lake) == [1, 2, 3]
    assert failed(lake) == {"amount range": 1}
    assert {row["rows_checked"] for row in lake.rows("quality_results")} == {3}


def test_a_quarantined_row_is_held_back_with_the_rule_that_it_breaks(lake_with: Callable[..., Lake]) -> None:
    lake = lake_with("{metric: nullValues, name: amount is known, severity: quarantine}")
    lake.arrives(item(1, 1, 3), item(2, 2, None))

    (answer,) = lake.merge()

    assert ids(lake) == [1]
    held = lake.spark.read.parquet(f"s3://{lake.names['lake']}/quarantine/item/silver/{answer['batch_id']}/").collect()
    assert [(row["item_id"], row["cdc_broken_rules"]) for row in held] == [(2, "amount is known")]


def test_a_value_outside_the_accepted_ones_is_found(lake_with: Callable[..., Lake]) -> None:
    lake = lake_with()
    lake.arrives(item(1, 1, code="a"), item(2, 2, code="it's"), item(3, 3, code=None))

    lake.merge()

    assert failed(lake) == {"code accepted_values": 1}


def test_a_value_that_another_row_holds_is_a_duplicate(lake_with: Callable[..., Lake]) -> None:
    lake = lake_with("{metric: duplicateValues, severity: warn}")
    lake.arrives(item(1, 1, 7))
    lake.merge()
    lake.arrives(item(2, 2, 7), item(3, 3, 8))

    lake.merge()

    assert failed(lake) == {"amount unique": 1}


def test_a_reference_to_no_live_row_is_found(lake_with: Callable[..., Lake]) -> None:
    lake = lake_with("{metric: reference, arguments: {to: item.item_id}, severity: warn}")
    lake.arrives(item(1, 1, None))
    lake.merge()
    lake.arrives(item(2, 2, 1), item(3, 3, 99))

    lake.merge()

    assert failed(lake) == {"amount reference": 1}


def test_a_stopped_table_keeps_its_rows_until_the_contract_allows_the_new_ones(lake_with: Callable[..., Lake], tmp_path: Path) -> None:
    from lake.contract.store import publish

    lake = lake_with("{metric: range, mustBeBetween: [0, 5], severity: stop}")
    lake.arrives(item(1, 1, 3))
    lake.merge()
    lake.arrives(item(2, 1, 4), item(3, 2, 9))
    (batch,) = lake.plan()
    with pytest.raises(quality.TableStopped, match=r'"item" was not merged: .* 1 of 2 rows'):
        lake.run(batch)
    assert [row["amount"] for row in lake.live_rows("item")] == [3]
    lake.settler().silver(batch | {"error": {"Error": "TableStopped"}})
    path = tmp_path / "item.yaml"
    path.write_text(path.read_text().replace("[0, 5]", "[0, 10]"))
    publish(tmp_path, lake.names["contracts"])

    lake.merge()

    assert [row["amount"] for row in lake.live_rows("item")] == [4, 9]


def test_a_batch_that_runs_twice_is_judged_once(lake_with: Callable[..., Lake]) -> None:
    lake = lake_with("{metric: range, mustBeBetween: [0, 5], severity: warn}")
    lake.arrives(item(1, 1, 9))
    (batch,) = lake.plan()

    lake.run(batch)
    lake.run(batch)

    assert failed(lake) == {"amount range": 1}
    assert len(lake.rows("quality_results")) == 2  # one a rule


def loaded(number: int, amount: int) -> Any:
    return load("item", 11, item_id=number, amount=amount, code="a")


def test_a_loaded_row_that_is_held_back_has_come_all_the_same_so_that_its_load_is_complete(lake_with: Callable[..., Lake]) -> None:
    lake = lake_with("{metric: range, mustBeBetween: [0, 5], severity: quarantine}")
    lake.arrives(item(1, 1), item(2, 2), item(3, 3))
    lake.merge()
    lake.fence("item", 10)
    lake.arrives(loaded(1, 1))
    lake.arrives(loaded(2, 9))
    lake.arrives(loaded(2, 9))
    lake.source_says_loaded("item", 3)
    lake.merge()
    lake.merge()
    assert ids(lake) == [1, 2, 3]  # two keys of three: the load is not here yet
    lake.arrives(loaded(4, 1), loaded(2, 9))
    lake.merge()

    lake.merge()

    assert ids(lake) == [1, 4]


def test_the_rows_that_break_a_rule_are_counted_in_a_metric(lake_with: Callable[..., Lake], capsys: pytest.CaptureFixture[str]) -> None:
    lake = lake_with("{metric: range, name: amount is small, mustBeBetween: [0, 5], severity: warn}")
    lake.arrives(item(1, 1, 9), item(2, 2, 8), item(3, 3, 1))

    lake.merge()

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "QualityRowsFailed" in line]
    assert [(line["table"], line["rule"], line["QualityRowsFailed"]) for line in lines] == [("item", "amount is small", [2.0])]


def test_results_that_tables_write_at_once_are_all_kept(lake_with: Callable[..., Lake], monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_with()
    contract = lake.contracts.table("item")
    result = quality.Result(contract.quality_rules[0], 1, 0)
    ensure, all_have_read = tables.ensure, threading.Barrier(4)

    def read_together(*arguments: Any) -> Any:
        table = ensure(*arguments)
        with contextlib.suppress(threading.BrokenBarrierError):  # those that try again do so alone
            all_have_read.wait(2)
        return table

    def write(batch: str) -> None:
        quality.keep(contract, lake.names["lake"], batch, MIDNIGHT, (result,))

    batches = [f"batch-{n}" for n in range(5)]
    write(batches[0])
    monkeypatch.setattr(quality, "ensure", read_together)
    with ThreadPoolExecutor(len(batches)) as pool:
        list(pool.map(write, batches[1:]))

    assert sorted(row["batch_id"] for row in lake.rows("quality_results")) == batches
