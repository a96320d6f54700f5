"""A contract may grow: old bronze stays readable, and what would lose data is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest

from jobs.iceberg import tables
from lake.contract import ContractSet, InvalidContract
from lake.contract.store import publish
from tests.integration.jobs.domain import Change, Lake, contract_head, insert, update
from tests.property.road import Road

pytestmark = pytest.mark.integration

HEAD = contract_head("item")
LABEL = "      - {name: label, physicalType: varchar(20), classification: public}\n"
AMOUNT = "      - {name: amount, physicalType: integer}\n"


class Table:
    """The table item under a contract that changes."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder

    def contract(self, *properties: str) -> None:
        (self.folder / "item.yaml").write_text(HEAD + "".join(properties))
        publish(self.folder, self.lake.names["contracts"])
        self.lake.contracts = ContractSet.from_directory(self.folder)

    def merge(self, *changes: Change) -> None:
        self.lake.arrives(*changes)
        self.lake.merge()

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.lake.live_rows("item", "item_id", *columns)]


@pytest.fixture
def item(make_lake: Callable[[Path], Lake], tmp_path: Path) -> Table:
    (tmp_path / "item.yaml").write_text(HEAD + LABEL + AMOUNT)
    return Table(make_lake(tmp_path), tmp_path)


def test_a_new_column_is_null_in_the_rows_before_it(item: Table) -> None:
    item.merge(insert("item", 1, item_id=1, label="a", amount=1))
    item.contract(LABEL, AMOUNT, "      - {name: sold_at, physicalType: timestamptz}\n")

    item.merge(insert("item", 2, item_id=2, label="b", amount=2))

    assert item.rows("label", "sold_at") == [(1, "a", None), (2, "b", None)]


def test_a_file_of_the_old_contract_is_merged_under_the_new_one(item: Table) -> None:
    item.lake.arrives(insert("item", 1, item_id=1, label="a", amount=1))
    item.contract(LABEL, AMOUNT, "      - {name: sold_at, physicalType: timestamptz}\n")

    item.lake.merge()

    assert item.rows("label", "sold_at") == [(1, "a", None)]


def test_a_column_is_renamed_by_contract(item: Table) -> None:
    item.merge(insert("item", 1, item_id=1, label="a", amount=1))
    item.lake.arrives(insert("item", 2, item_id=2, label="b", amount=2))
    item.contract(LABEL.replace("label", "title").replace("}", ", customProperties: [{property: renamedFrom, value: label}]}"), AMOUNT)

    item.merge(insert("item", 3, item_id=3, title="c", amount=3))

    assert item.rows("title") == [(1, "a"), (2, "b"), (3, "c")]


def renamed(column: str, new: str, *formers: str) -> str:
    names = f"[{', '.join(formers)}]"
    return column.replace("label", new).replace("}", f", customProperties: [{{property: renamedFrom, value: {names}}}]}}")


def test_a_column_that_was_renamed_twice_is_found_by_each_of_its_names(item: Table) -> None:
    item.merge(insert("item", 1, item_id=1, label="a", amount=1))
    item.lake.arrives(insert("item", 2, item_id=2, label="b", amount=2))
    item.contract(renamed(LABEL, "title", "label"), AMOUNT)
    item.lake.arrives(insert("item", 3, item_id=3, title="c", amount=3))
    item.contract(renamed(LABEL, "caption", "title", "label"), AMOUNT)

    item.merge(insert("item", 4, item_id=4, caption="d", amount=4))

    assert item.rows("caption") == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


TEXT = LABEL.replace("varchar(20)", "text")


def test_an_unchanged_column_that_is_named_by_its_former_name_keeps_its_value(item: Table) -> None:
    item.contract(TEXT, AMOUNT)
    item.merge(insert("item", 1, item_id=1, label="a", amount=1))
    item.lake.arrives(update("item", 2, unchanged=("label",), item_id=1, amount=2))
    item.contract(renamed(TEXT, "title", "label"), AMOUNT)

    item.merge(update("item", 3, unchanged=("title",), item_id=1, amount=3))

    assert item.rows("title", "amount") == [(1, "a", 3)]
    assert item.lake.row("item", item_id=1).cdc_missing is None


def test_lines_are_converted_under_the_names_that_they_have_and_merged_under_the_new_ones(
    item: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACTS_URI", item.lake.names["contracts"])
    item.contract(TEXT, AMOUNT)
    secret = boto3.client("secretsmanager").create_secret(Name="mask-key-of-names", SecretString="07" * 32)["ARN"]
    road = Road(dict(item.lake.names), secret)
    file = road.arrives("item", road.lines([dms_insert(item_id=1, label="a", amount=1), dms_insert(2, item_id=2, label=None, amount=2)]))
    item.contract(renamed(TEXT, "title", "label"), AMOUNT, "      - {name: sold_at, physicalType: timestamptz}\n")

    road.convert(file)
    item.lake.merge()

    assert item.rows("title", "amount", "sold_at") == [(1, "a", 1, None), (2, None, 2, None)]
    assert item.lake.control.files.get(file).contract_version == item.lake.contracts.version


def dms_insert(place: int = 1, **columns: Any) -> bytes:
    about = {
        "timestamp": "2026-01-01T00:00:00Z",
        "record-type": "data",
        "operation": "insert",
        "schema-name": "app",
        "table-name": "item",
        "transaction-id": place,
        "commit-timestamp": "2026-01-01T00:00:00Z",
        "stream-position": f"00000000/{place:08X}.3.00000000/{place:08X}",
    }
    return orjson.dumps({"data": columns, "metadata": about})


def test_a_former_name_is_not_given_to_a_new_column(item: Table) -> None:
    item.contract(renamed(LABEL, "title", "label"), AMOUNT)

    with pytest.raises(InvalidContract, match=r'"title" is a name of the column that was "label" first.*renamedFrom: \[label\]'):
        item.contract(LABEL.replace("label", "title"), LABEL, AMOUNT)


def test_a_column_is_widened(item: Table) -> None:
    item.merge(insert("item", 1, item_id=1, label="a", amount=1))
    item.lake.arrives(insert("item", 2, item_id=2, label="b", amount=2))
    item.contract(LABEL, AMOUNT.replace("integer", "bigint"))

    item.merge(insert("item", 3, item_id=3, label="c", amount=2**40))

    assert item.rows("amount") == [(1, 1), (2, 2), (3, 2**40)]


def test_a_column_that_the_contract_drops_keeps_what_it_held(item: Table) -> None:
    item.merge(insert("item", 1, item_id=1, label="a", amount=1))
    item.contract(AMOUNT)

    item.merge(insert("item", 2, item_id=2, amount=2))

    assert item.rows("label", "amount") == [(1, "a", 1), (2, None, 2)]


def test_a_narrower_type_is_refused_with_the_reason(item: Table) -> None:
    item.merge(insert("item", 1, item_id=1, label="a", amount=1))
    item.contract(LABEL, AMOUNT.replace("integer", "smallint").replace("smallint", "boolean"))
    item.lake.arrives(insert("item", 2, item_id=2, label="b", amount=True))
    (batch,) = item.lake.plan()

    with pytest.raises(tables.UnsafeEvolution, match='column "amount": the lake holds int and the contract now says'):
        item.lake.run(batch)

    assert [row["item_id"] for row in item.lake.rows("item")] == [1]


def test_a_file_whose_column_does_not_widen_fails_alone(item: Table) -> None:
    item.contract(LABEL, AMOUNT.replace("integer", "bigint"))
    wide = item.lake.arrives(insert("item", 1, item_id=1, label="a", amount=1))
    item.contract(LABEL, AMOUNT)

    item.merge(insert("item", 2, item_id=2, label="b", amount=2))

    assert item.rows("amount") == [(2, 2)]
    assert 'column "amount" is int64; expected int' in str(item.lake.control.files.get(wide).error_message)
