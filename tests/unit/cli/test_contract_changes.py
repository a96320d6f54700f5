"""What other contracts do to the rows that are there is said column by column."""

from __future__ import annotations

import pytest

from datamaster.platform.contract_changes import changes
from lake.contract import ContractSet

CONTRACT = """
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: item
    physicalName: shop.item
    properties:
      - {name: id, physicalType: integer, primaryKey: true}
      - {name: price, physicalType: "numeric(8,2)"}
      - {name: note, physicalType: varchar(20), classification: public}
"""


def between(old: str, new: str) -> list[tuple[str, str, str]]:
    found = changes(ContractSet.of({"item.yaml": old}), ContractSet.of({"item.yaml": new}))
    assert all(change.table == "item" for change in found)
    return [(change.column, change.change, change.effect) for change in found]


def test_equal_contracts_differ_in_nothing():
    assert between(CONTRACT, CONTRACT) == []


@pytest.mark.parametrize(
    ("old", "new", "column", "change", "effect"),
    [
        ("numeric(8,2)", "numeric(12,2)", "price", "numeric(8,2) becomes numeric(12,2)", "every row keeps its value"),
        ("numeric(8,2)", "numeric(8,3)", "price", "numeric(8,2) becomes numeric(8,3)", "silver's column cannot become that"),
        ("id, physicalType: integer", "id, physicalType: bigint", "id", "integer becomes bigint", "every row keeps its value"),
        ("name: note,", "name: note, required: true,", "note", "required", "are refused from now on"),
        (
            "classification: public",
            "classification: personal",
            "note",
            "personal, mask hash",
            "keep their form until dm export item --whole",
        ),
        ("name: note,", "name: remark,", "remark", "new column", "null in rows that are there until dm export item --whole"),
        ("name: note,", "name: remark,", "note", "left out", "new values go to _extra"),
        ("name: note,", "name: note, physicalName: remark,", "note", 'is the source\'s "remark"', "by dm export item --whole"),
        ("shop.item", "shop.items", "", "source is shop.items", "until dm reload item"),
        (
            "    properties:",
            "    customProperties: [{property: history, value: true}]\n    properties:",
            "",
            "history",
            "versions are kept",
        ),
    ],
)
def test_each_change_has_its_effect(old, new, column, change, effect):
    assert old in CONTRACT
    found = between(CONTRACT, CONTRACT.replace(old, new, 1))
    assert any((c, w) == (column, change) and effect in e for c, w, e in found), found


def test_a_rename_keeps_the_values():
    renamed = CONTRACT.replace(
        "{name: note, physicalType: varchar(20), classification: public}",
        "{name: remark, physicalType: varchar(20), classification: public, customProperties: [{property: renamedFrom, value: note}]}",
    )
    assert [found[:2] for found in between(CONTRACT, renamed)] == [("remark", "renamed from note"), ("remark", 'is the source\'s "remark"')]
    assert all("every row keeps its value" in effect for _, _, effect in between(CONTRACT, renamed))


def test_a_name_of_the_source_that_passes_to_another_column_is_shown_with_the_load_it_needs():
    before = CONTRACT.replace("name: price,", "name: price, physicalName: p,").replace("name: note,", "name: note, physicalName: n,")
    after = before.replace("physicalName: p,", "physicalName: x,").replace("physicalName: n,", "physicalName: p,")
    after = after.replace("physicalName: x,", "physicalName: n,")

    assert [(column, "refused without dm contract publish --reload item" in effect) for column, _, effect in between(before, after)] == [
        ("price", True),
        ("note", True),
    ]


def test_tables_that_come_and_go_name_the_command():
    one = ContractSet.of({"item.yaml": CONTRACT})
    two = ContractSet.of({"item.yaml": CONTRACT, "other.yaml": CONTRACT.replace("item", "other")})
    (added,), (left,) = changes(one, two), changes(two, one)
    assert (added.change, "dm tables add shop.other" in added.effect) == ("new table", True)
    assert (left.change, "dm tables drop other" in left.effect) == ("left out", True)
