"""A contract that could put one column's values under another is refused, with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.contract import Contract, ContractSet, InvalidContract, parse_contract
from lake.contract.renames import refuse_lost_names

HEAD = """
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: thing
    physicalName: shop.thing
    properties:
      - {name: id, physicalType: bigint, primaryKey: true}
"""


def contract(*columns: str) -> str:
    """Columns as ``name``, ``name<former``, ``name<former,older`` and ``name@source``."""
    text = HEAD
    for column in columns:
        name, _, formers = column.partition("<")
        name, _, source = name.partition("@")
        custom = f", customProperties: [{{property: renamedFrom, value: [{formers}]}}]" if formers else ""
        text += f"      - {{name: {name}, physicalType: integer{f', physicalName: {source}' if source else ''}{custom}}}\n"
    return text


def parsed(*columns: str) -> dict[str, Contract]:
    return ContractSet.of({"thing.yaml": contract(*columns)}).tables


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("a<b", "b<a"), ['column "a"', 'from "b"', "physicalName instead", "dm reload thing"]),
        (("a", "b<a"), ['column "b"', 'from "a"', 'the column "a" has now', "Publish the rename alone first"]),
        (("b<a", "a"), ['column "b"', 'from "a"', 'the column "a" has now']),
        (("a", "b", "c<b"), ['column "c"', 'the column "b" has now']),
        (("c<b", "b_2@b"), ['column "c"', 'the column "b_2" has now']),
        (("b<a", "c<a"), ['column "c"', 'as does "b"']),
    ],
)
def test_a_former_name_that_another_column_has_is_refused_with_the_way_out(
    columns: tuple[str, ...], words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "thing.yaml").write_text(contract(*columns))

    with pytest.raises(InvalidContract) as raised:
        ContractSet.from_directory(tmp_path)

    assert all(word in str(raised.value) for word in ("thing.yaml", *words)), raised.value


def test_one_that_was_published_before_is_read_still_and_never_by_the_ambiguous_name() -> None:
    swapped = parsed("a<b", "b<a")["thing"]
    reused = parsed("c<b", "b_2@b")["thing"]

    assert [swapped.formers(column) for column in swapped.columns] == [(), (), ()]
    assert [reused.formers(column, of_source=True) for column in reused.columns] == [(), (), ()]
    assert reused.formers(reused.by_name["c"]) == ("b",)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (("b<a",), ("b<a", "c"), None),
        (("a",), ("b<a",), None),
        (("b<a",), ("c<b,a",), None),
        (("b<a",), ("c<b",), ['column "c"', "renamedFrom: [b, a]"]),
        (("b<a",), ("b", "a"), ['column "a"', 'the name of "b" before', "physicalName: a"]),
        (("b<a",), ("b", "a_2@a"), None),
    ],
)
def test_contracts_that_follow_others_keep_what_names_meant(old: tuple[str, ...], new: tuple[str, ...], words: list[str] | None) -> None:
    if words is None:
        refuse_lost_names(parsed(*old), parsed(*new))
        return
    with pytest.raises(InvalidContract) as raised:
        refuse_lost_names(parsed(*old), parsed(*new))
    assert all(word in str(raised.value) for word in ("thing.yaml", *words)), raised.value


def test_a_former_name_is_a_text() -> None:
    with pytest.raises(InvalidContract, match=r'column "b" renamedFrom: got .*5.*former name in the lake'):
        parse_contract(contract("b<5"), "thing.yaml")
