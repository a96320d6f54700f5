"""A contract that could put one column's values under another is refused, with the way out."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from lake.contract import Contract, ContractSet, InvalidContract, parse_contract
from lake.contract.renames import KnownNames, known_names

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
    """Columns as ``name``, ``name<former``, ``name<former,older``, ``name@source`` and ``name@source~former``."""
    text = HEAD
    for column in columns:
        name, _, formers = column.partition("<")
        name, _, source = name.partition("@")
        source, _, sources = source.partition("~")
        given = [("renamedFrom", formers), ("physicalRenamedFrom", sources)]
        custom = ", ".join(f"{{property: {prop}, value: [{names}]}}" for prop, names in given if names)
        custom = f", customProperties: [{custom}]" if custom else ""
        text += f"      - {{name: {name}, physicalType: integer{f', physicalName: {source}' if source else ''}{custom}}}\n"
    return text


def parsed(*columns: str) -> dict[str, Contract]:
    return ContractSet.of({"thing.yaml": contract(*columns)}).tables


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("a<b", "b<a"), ['column "a"', 'from "b"', "exchange their physicalName"]),
        (("a", "b<a"), ['column "b"', 'from "a"', 'the column "a" has now', "physicalName: a"]),
        (("b<a", "a"), ['column "b"', 'from "a"', 'the column "a" has now']),
        (("a", "b", "c<b"), ['column "c"', 'the column "b" has now']),
        (("a@x", "b@x"), ['column "b"', 'the source\'s "x" is column "a" already']),
        (("a@y~x", "b@z~x"), ['column "b" physicalRenamedFrom', 'comes from "x", as does "a"']),
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
    assert [reused.former_sources(column) for column in reused.columns] == [(), (), ()]
    assert reused.formers(reused.by_name["c"]) == ("b",)


def in_turn(*versions: tuple[str, ...], reloaded: tuple[str, ...] = ()) -> dict[str, KnownNames]:
    """The names after contracts that are published one after the other, the last one with ``reloaded``."""
    known: dict[str, KnownNames] = {}
    for columns in versions[:-1]:
        known = known_names(known, parsed(*columns))
    return known_names(known, parsed(*versions[-1]), reloaded)


@pytest.mark.parametrize(
    "versions",
    [
        [("b<a",), ("b<a", "c")],
        [("a",), ("b<a",)],
        [("a",), ("b<a",), ("c<b,a",), ("a<c,b,a",)],
        [("b<a",), ("b<a", "a_2@x")],
        [("a",), (), ("a",)],
        [("a@x",), ("b@x<a",)],
        [("a@x",), ("a@y~x",)],
        [("a", "b"), ("c<a", "b")],
    ],
)
def test_a_name_that_stays_one_columns_is_taken(versions: list[tuple[str, ...]]) -> None:
    in_turn(*versions)


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ([("a",), ("b<a",), ("c<b",)], ['column "c"', "renamedFrom: [b, a]"]),
        ([("a",), ("b<a",), ("b",)], ['column "b"', "renamedFrom: [a]"]),
        ([("a",), ("b<a",), (), ("a",)], ['column "a"', "had the name b before", "renamedFrom: [b, a]", "physicalName: a"]),
        ([("a",), ("b<a",), (), ("b",)], ['column "b"', 'the column that was "a" first', "renamedFrom: [a]", "physicalName: b"]),
        ([("a", "b"), ("a",), ("c<a,b",)], ['column "c"', '"a" is a name of the column that was "a" first']),
        ([("a@x",), ("a@y~z",)], ['column "a" physicalRenamedFrom', "was x in the source", "physicalRenamedFrom: [z, x]"]),
        ([("a@Old Name",), ("b@New Name<a",)], ['column "b" physicalRenamedFrom', "was Old Name in the source"]),
    ],
)
def test_a_name_of_another_column_and_a_lost_name_are_refused_with_the_way_out(versions: list[tuple[str, ...]], words: list[str]) -> None:
    in_turn(*versions[:-1])

    with pytest.raises(InvalidContract) as raised:
        in_turn(*versions)

    assert all(word in str(raised.value) for word in ("thing.yaml", *words)), raised.value


@pytest.mark.parametrize(
    "versions",
    [
        [("a", "b"), ("a@b", "b@a")],
        [("a",), ("b<a",), ("b<a", "a_2@a")],
        [("a",), ("b<a", "a_2@a")],
        [("a", "b"), ("b_2@b",)],
    ],
)
def test_a_name_of_the_source_passes_to_another_column_behind_a_load_alone(versions: list[tuple[str, ...]]) -> None:
    with pytest.raises(InvalidContract, match=r'is the source\'s "[ab]" now.*publish --reload thing'):
        in_turn(*versions)

    after = in_turn(*versions, reloaded=("thing",))

    assert known_names(after, parsed(*versions[-1])) == after


def test_names_outlive_the_column_and_not_the_table() -> None:
    known = in_turn(("a",), ("b<a",), ())

    assert known["thing"].lake == {"id": "id", "a": "a", "b": "a"}
    assert known_names(known, {}) == {}
    assert KnownNames.of(orjson.loads(orjson.dumps(known["thing"]))) == known["thing"]


def test_a_former_name_is_a_text() -> None:
    with pytest.raises(InvalidContract, match=r'column "b" renamedFrom: got .*5.*its former name'):
        parse_contract(contract("b<5"), "thing.yaml")
