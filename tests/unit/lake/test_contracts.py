from pathlib import Path

import pytest

from beer import CONTRACTS
from lake.contract import ContractSet, InvalidContract, UnknownTable, parse_contract

MINIMAL = """
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: thing
    physicalName: shop.thing
    properties:
      - {name: id, physicalType: bigint, primaryKey: true}
      - {name: note, physicalType: text}
      - {name: title, physicalType: varchar(20)}
"""
PARTITIONED = MINIMAL + "    customProperties: [{property: partition, value: {column: id, year: y, month: m}}]\n"


def changed(old: str, new: str) -> str:
    assert old in MINIMAL
    return MINIMAL.replace(old, new)


def test_the_projects_contracts_are_valid_and_of_one_version() -> None:
    first, second = (ContractSet.from_directory(CONTRACTS) for _ in range(2))

    assert sorted(first.tables) == ["beer", "brewery", "profile", "review"]
    assert first.version == second.version


def test_only_email_waits_for_detection() -> None:
    tables = ContractSet.from_directory(CONTRACTS).tables

    assert {(t, c.name) for t in tables for c in tables[t].detected_columns} == {("profile", "email")}


def test_another_text_is_another_version() -> None:
    assert ContractSet.of({"thing.yaml": MINIMAL}).version != ContractSet.of({"thing.yaml": changed("varchar(20)", "varchar(21)")}).version


def test_unbounded_text_may_be_unchanged_and_bounded_text_may_not() -> None:
    contract = parse_contract(MINIMAL, "thing.yaml")

    assert [c.name for c in contract.partial_columns] == ["note"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("bigint", "datetime"), ["thing.yaml", 'column "id"', '"datetime"', "bigint", "timestamptz"]),
        (changed("bigint", "numeric"), ["numeric", "(precision, scale)"]),
        (changed("primaryKey: true", "required: true"), ["no column with primaryKey"]),
        (changed("shop.thing", "thing"), ["physicalName", "schema.table"]),
        (changed("name: note", "name: no"), ["no text", "quote"]),
        (changed("name: note", "name: title"), ['column "title"', "twice"]),
        (changed("name: note", "name: cdc_position"), ["cdc_position", "lake keeps for itself"]),
        (changed("name: note", "name: CDC_At"), ["CDC_At", "lake keeps for itself"]),
        (changed("name: note", "name: Title"), ['column "title"', 'the same as "Title" but for case', "physicalName"]),
        (changed("name: note", "name: it`s"), ["'`'", "physicalName"]),
        (changed("name: thing", "name: quality_results"), ["quality_results", "lake keeps itself"]),
        (changed("name: thing", "name: a__dm_staged"), ["a__dm_staged", "lake keeps itself"]),
        (PARTITIONED.replace("year: y", "year: Title"), ["partition", '"Title" is a column']),
        (PARTITIONED.replace("year: y", "year: cdc_year"), ["partition", '"cdc_year"', "lake does not keep"]),
        (PARTITIONED.replace("column: id", "column: title"), ["partition.column", '"title" is varchar', "date"]),
        (PARTITIONED.replace("year: y", "unit: day, year: y"), ["partition.unit for bigint", '"day"', "epoch_millis"]),
        (PARTITIONED.replace("year: y", "year: M"), ["partition", "two names"]),
        (changed("kind: DataContract", "kind: Table"), ["kind", '"Table"', "DataContract"]),
        (changed("v3.0.2", "v2.2.2"), ["apiVersion", "v2.2.2", "v3."]),
        (changed("text}", "text, classification: secret}"), ["classification", "secret", "public"]),
        (changed("text}", "text, customProperties: [{property: maskk, value: hash}]}"), ["maskk", "mask", "renamedFrom"]),
        (changed("bigint, ", "bigint, customProperties: [{property: mask, value: redact}], "), ["redact", "only be hashed"]),
        (changed("text}", "text, quality: [{metric: sideways}]}"), ["metric", "sideways", "range"]),
        (changed("text}", "text, relationships: [{to: nowhere}]}"), ["nowhere", "table.column"]),
        (MINIMAL + "    customProperties: [{property: rejectRatio, value: 7}]\n", ["rejectRatio", "7", "0 to 1"]),
        (
            MINIMAL + "    customProperties: [{property: partition, value: {column: title, year: y, month: m}}]\n",
            ["title", "varchar", "timestamptz"],
        ),
        (MINIMAL + "    customProperties: [{property: exportWatermark, value: nope}]\n", ["exportWatermark", "nope"]),
        ("a: [", ["thing.yaml", "YAML"]),
        ("- 1", ["mapping"]),
    ],
)
def test_a_wrong_contract_names_file_property_value_and_what_is_valid(text: str, words: list[str]) -> None:
    with pytest.raises(InvalidContract) as caught:
        parse_contract(text, "thing.yaml")

    assert [word for word in words if word not in str(caught.value)] == []


def test_two_contracts_of_one_table_are_refused() -> None:
    with pytest.raises(InvalidContract, match=r"b\.yaml.*unique"):
        ContractSet.of({"a.yaml": MINIMAL, "b.yaml": MINIMAL})


def test_a_reference_to_an_unknown_table_is_refused() -> None:
    with pytest.raises(InvalidContract, match="elsewhere"):
        ContractSet.of({"a.yaml": changed("text}", "text, relationships: [{to: elsewhere.id}]}")})


def test_an_unknown_table_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownTable, match='"wine" has no contract; known: thing'):
        ContractSet.of({"thing.yaml": MINIMAL}).table("wine")


HISTORY = "    customProperties: [{property: history, value: true}]\n"


@pytest.mark.parametrize(
    ("text", "own"),
    [(MINIMAL + HISTORY, "thing_history"), (MINIMAL + HISTORY, "thing_changes"), (PARTITIONED, "thing_keys")],
)
def test_a_table_that_the_jobs_keep_beside_another_is_refused_by_name(text: str, own: str, tmp_path: Path) -> None:
    other = MINIMAL.replace("name: thing", f"name: {own}").replace("shop.thing", f"shop.{own}")

    (tmp_path / "thing.yaml").write_text(text)
    (tmp_path / "other.yaml").write_text(other)

    with pytest.raises(InvalidContract, match=f'{own}.yaml: table "{own}".*beside "thing".*schema.name'):
        ContractSet.from_directory(tmp_path)


def test_a_table_named_like_a_history_is_one_like_any_other_where_none_is_kept(tmp_path: Path) -> None:
    for name in ("orders", "orders_history", "orders_changes", "orders_keys"):
        (tmp_path / f"{name}.yaml").write_text(MINIMAL.replace("thing", name))

    assert len(ContractSet.from_directory(tmp_path).tables) == 4


@pytest.mark.parametrize(
    ("column", "unit", "kept"),
    [
        ("bigint", None, "epoch_seconds"),
        ("bigint", "epoch_millis", "epoch_milliseconds"),
        ("bigint", "epoch_microseconds", "epoch_microseconds"),
        ("integer", None, "epoch_seconds"),
        ("date", "date", "date"),
        ("timestamptz", None, "timestamp"),
    ],
)
def test_a_partition_counts_in_the_unit_that_its_column_allows(column: str, unit: str | None, kept: str) -> None:
    text = PARTITIONED.replace("bigint", column).replace("column: id", f"column: id, unit: {unit}" if unit else "column: id")

    partition = parse_contract(text, "thing.yaml").partition

    assert partition is not None
    assert partition.unit == kept


def test_a_partition_column_that_updates_may_leave_out_is_refused() -> None:
    loose = "{name: at, physicalType: date, customProperties: [{property: unchanged, value: true}]}"
    text = PARTITIONED.replace("{name: note, physicalType: text}", loose).replace("column: id", "column: at")

    with pytest.raises(InvalidContract, match=r'partition\.column: "at" may be left out by updates'):
        parse_contract(text, "thing.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            changed("bigint", "datetime"),
            'column "id" physicalType: unknown type "datetime"; one of smallint, integer, bigint, real, double, numeric, ',
        ),
        (
            changed("name: thing", "name: Thing"),
            'schema.name: got "Thing"; a lower-case identifier, e.g. order_lines; physicalName names the source',
        ),
        (
            changed("shop.thing", "thing"),
            'schema.physicalName: got "thing"; schema.table of the source, a part with a dot in double quotes',
        ),
        (
            changed("name: note", "name: no"),
            "column 2 name: got false; a name; YAML reads yes, no, on, off and numbers as no text, so quote it",
        ),
        (changed("name: note, ", ""), "column 2 name: missing; a name; YAML reads yes, no, on, off and numbers as no text, so quote it"),
        (changed("text}", "text, required: sure}"), 'column "note" required: got "sure"; true or false'),
        (changed("text}", "text, logicalType: number}"), 'column "note" logicalType: got "number"; text is string'),
        (
            changed("text}", "text, quality: [{metric: range, mustBeBetween: [5]}]}"),
            'column "note" quality 1 mustBeBetween: got [5]; [lowest, highest]',
        ),
        (
            changed("text}", "text, quality: [{metric: range, mustBeBetween: [5, 1]}]}"),
            'column "note" quality 1 mustBeBetween: got [5, 1]; the lower bound first',
        ),
        (
            changed("text}", "text, quality: [{metric: range, arguments: [1]}]}"),
            'column "note" quality 1 arguments: got [1]; a mapping of column, minimum, maximum, validValues, to',
        ),
        (
            changed("text}", "text, customProperties: {mask: hash}}"),
            'column "note" customProperties: got {"mask": "hash"}; a list of mappings with property and value',
        ),
        (MINIMAL + "    customProperties: [{property: partition, value: {}}]\n", "partition.column: missing; a name of the lake"),
        (MINIMAL + "    customProperties: [{property: rejectRatio, value: .nan}]\n", "schema.rejectRatio: got NaN; a number from 0 to 1"),
        (
            MINIMAL.replace("  - name: thing", "  - thing"),
            "file: no valid YAML at line 7, column 17: mapping values are not allowed in this context",
        ),
        ("- 1", "file: got [1]; a mapping with apiVersion, kind, version, schema"),
        (MINIMAL.replace("schema:", "schemas:"), "schema: missing; a list of one table"),
    ],
)
def test_a_refusal_says_the_place_the_value_and_the_valid_ones(text: str, message: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        parse_contract(text, "thing.yaml")

    assert str(caught.value).startswith(f"thing.yaml: {message}")


@pytest.mark.parametrize("position", [0, 1, 7])
def test_a_column_of_the_key_is_one_at_whatever_position(position: int) -> None:
    text = changed("primaryKey: true", f"primaryKey: true, primaryKeyPosition: {position}")

    assert [column.name for column in parse_contract(text, "thing.yaml").key] == ["id"]
