"""The reader of contracts, docs/contract.md and the editors' schema know the same properties with the same values."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_data_contract_standard.model as standard
import pytest
import yaml
from jsonschema import Draft7Validator

from beer import CONTRACTS
from datamaster.aws.pages.contract_page import EXAMPLE, render, schema
from lake.contract import ContractSet, InvalidContract, parse_contract, reader
from lake.contract.properties import COLUMN, FILE, RELATION, RULE, SECTIONS, TABLE
from lake.contract.valid import Section

DOCS = Path(__file__).resolve().parents[3] / "docs"
FULL = yaml.safe_load("""
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: orders
    physicalName: shop.orders
    description: Orders.
    properties:
      - name: order_id
        physicalName: id
        physicalType: bigint
        logicalType: integer
        description: Its number.
        required: true
        primaryKey: true
        primaryKeyPosition: 1
      - name: buyer
        physicalType: text
        classification: personal
        relationships: [{to: orders.buyer}]
        quality:
          - {metric: nullValues, name: buyer_is_there, severity: stop}
        customProperties:
          - {property: mask, value: hash}
          - {property: unchanged, value: false}
          - {property: renamedFrom, value: [customer]}
      - name: weight
        physicalType: double
        quality:
          - {metric: range, mustBeBetween: [0, 10]}
        customProperties:
          - {property: allowNaN, value: true}
    quality:
      - {metric: range, arguments: {column: weight, minimum: 0, maximum: 10}}
      - {metric: invalidValues, arguments: {column: weight, validValues: [1, 2]}}
      - {metric: reference, arguments: {column: buyer, to: orders.buyer}}
    customProperties:
      - {property: partition, value: {column: order_id, unit: epoch_seconds, year: order_year, month: order_month}}
      - {property: evolution, value: evolve}
      - {property: rejectRatio, value: 0.1}
      - {property: cdc, value: true}
      - {property: history, value: false}
      - {property: exportWatermark, value: order_id}
      - {property: exportLateness, value: 60}
""")
PROBES: tuple[Any, ...] = (None, True, 0, -1, 0.5, "", "x", "X y", "order_id", "a.b", "null", "INT8[]", "timestamp(3) with time zone")
PROBES += ("cdc_at", "it's", [], ["x"], [2, 1], [{}], {})
CHECKED_ONLY = {("contract", "apiVersion"), ("contract", "kind")}
"""Properties whose value is checked, and then has no further meaning."""

BETWEEN = {"arguments", "column", "month", "mustBeBetween", 1, "name", "physicalType", "primaryKey", "to", "validValues", "value", "year"}
"""Where a value may be wrong because of another one. No schema says that."""


def refusal(document: Any, strict: bool = True) -> str:
    try:
        parse_contract(json.dumps(document), "orders.yaml", strict)
    except InvalidContract as error:
        return str(error)
    return ""


def test_the_page_and_the_schema_are_what_the_properties_give() -> None:
    assert (DOCS / "contract.md").read_text() == render(), "python -m datamaster.aws.pages.contract_page > docs/contract.md"
    assert json.loads((DOCS / "contract.schema.json").read_text()) == schema(), "dm contract schema > docs/contract.schema.json"


def test_the_page_s_example_and_the_project_s_contracts_are_valid_by_reader_and_schema() -> None:
    Draft7Validator.check_schema(schema())

    parse_contract(EXAMPLE, "example.yaml", strict=True)
    for text in (EXAMPLE, *(path.read_text() for path in CONTRACTS.glob("*.yaml"))):
        Draft7Validator(schema()).validate(yaml.safe_load(text))


def test_editors_find_the_schema_by_the_first_line_of_each_of_the_project_s_contracts() -> None:
    for path in CONTRACTS.glob("*.yaml"):
        first = path.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema="), path
        assert (path.parent / first.partition("=")[2]).resolve() == DOCS / "contract.schema.json"


def test_the_reader_reads_each_property_of_the_model_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[str, set[str]] = defaultdict(set)
    values = reader._Reader.values

    class Recorded(dict[str, Any]):
        section: str

        def __getitem__(self, name: str) -> Any:
            read[self.section].add(name)
            return super().__getitem__(name)

    def recorded(self: Any, section: Section, given: Any, subject: str) -> Recorded:
        found = Recorded(values(self, section, given, subject))
        found.section = section.name
        return found

    monkeypatch.setattr(reader._Reader, "values", recorded)
    assert refusal(FULL) == ""

    known = {(section.name, prop.name) for section in SECTIONS for prop in section.properties}
    assert {(section, name) for section, names in read.items() for name in names} == known - CHECKED_ONLY


@pytest.mark.parametrize(
    ("section", "model"),
    [
        (FILE, standard.OpenDataContractStandard),
        (TABLE, standard.SchemaObject),
        (COLUMN, standard.SchemaProperty),
        (RULE, standard.DataQuality),
        (RELATION, standard.Relationship),
    ],
    ids=lambda part: getattr(part, "name", ""),
)
def test_each_name_of_the_standard_is_read_or_known_to_be_unread(section: Section, model: Any) -> None:
    names = [field.alias or name for name, field in model.model_fields.items()]

    assert sorted([*section.plain, *section.unread]) == sorted(names)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value of a document, of whatever depth."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def test_the_schema_allows_every_value_that_the_reader_takes_and_refuses_the_others_but_for_rules_between_properties() -> None:
    validator, loose = Draft7Validator(schema()), set()

    for *path, last in places(FULL):
        for probe in PROBES:
            document = copy.deepcopy(FULL)
            node = document
            for key in path:
                node = node[key]
            node[last] = probe
            problem, allowed = refusal(document), validator.is_valid(document)
            assert allowed or problem, (path, last, probe)
            if problem and allowed:
                loose.add(last)

    assert loose == BETWEEN


TEXT = (CONTRACTS / "profile.yaml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "classification: public",
            "clasification: public",
            'column "profile_name" clasification: neither the lake nor the standard has such a property; did you mean classification?',
        ),
        (
            "classification: public",
            "mask: redact",
            'column "profile_name" mask: stands in customProperties, as {property: mask, value: "redact"}',
        ),
        (
            "version: 1.0.0",
            "version: 1.0.0\nshema: []",
            "shema: neither the lake nor the standard has such a property; did you mean schema?",
        ),
        (
            "classification: public",
            "quality: [{metric: nullValues, mustBe: 0, arguments: {colum: x}}]",
            'column "profile_name" quality 1 arguments.colum: neither the lake nor the standard has such a property; did you mean column?',
        ),
        (
            "classification: public",
            "relationships: [{to: beer.beer_id}, {to: brewery.brewery_id}]",
            'column "profile_name" relationships: got 2; a column holds the key of one table',
        ),
        (
            "classification: public",
            "customProperties: [{property: mask, value: null}]",
            'column "profile_name" customProperties mask: no value, or null; one of hash, partial, redact, null. '
            "The text null stands in quotes",
        ),
    ],
)
def test_a_name_without_a_meaning_is_refused_before_it_is_published(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = TEXT.replace(old, new, 1)
    (tmp_path / "profile.yaml").write_text(text)

    with pytest.raises(InvalidContract) as raised:
        ContractSet.from_directory(tmp_path)

    assert str(raised.value) == f"profile.yaml: {message}"


def test_a_published_contract_with_a_name_of_another_release_stays_readable() -> None:
    assert ContractSet.of({"profile.yaml": TEXT.replace("logicalType", "type_of_later", 1)}).table("profile").key


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "quality: [{metric: reference, arguments: {column: email, to: beer.nothing}}]",
            'quality rule "email_reference_1": refers to "beer.nothing"; known: beer_id, brewery_id, beer_name, beer_style, beer_abv',
        ),
        (
            "quality: [{metric: reference, arguments: {column: email, to: nowhere.id}}]",
            'quality rule "email_reference_1": refers to "nowhere.id"; known: beer, brewery, profile, review',
        ),
        (
            "quality: [{metric: nullValues, arguments: {column: mail}}]",
            'quality 1 arguments.column: got "mail"; one of profile_id, profile_name, email, state',
        ),
    ],
)
def test_a_rule_of_a_column_that_is_not_there_is_refused(rule: str, message: str, tmp_path: Path) -> None:
    for path in CONTRACTS.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "profile.yaml").write_text(f"{TEXT}    {rule}\n")

    with pytest.raises(InvalidContract) as raised:
        ContractSet.from_directory(tmp_path)

    assert str(raised.value) == f"profile.yaml: {message}"
