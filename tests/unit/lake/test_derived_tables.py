"""A derived table is one SQL file; its front matter says what it reads, what it joins and how it is cut."""

from __future__ import annotations

import pytest

from beer import CONTRACTS
from lake.contract import ContractSet, InvalidContract

ORDER = """
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: purchase
    physicalName: shop.purchase
    customProperties:
      - {property: partition, value: {column: bought_on, year: bought_year, month: bought_month}}
    properties:
      - {name: id, physicalType: bigint, primaryKey: true}
      - {name: customer_id, physicalType: bigint}
      - {name: bought_on, physicalType: date}
"""
CUSTOMER = """
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: customer
    physicalName: shop.customer
    customProperties: [{property: history, value: true}]
    properties:
      - {name: id, physicalType: bigint, primaryKey: true}
      - {name: region, physicalType: varchar(20)}
"""
HEAD = """-- description: Purchases by month and region.
-- layer: gold
-- fact: purchase
-- join: customer on customer_id = id
-- partition: bought_year, bought_month
"""
SQL = "SELECT bought_year, bought_month, count(*) AS purchases FROM purchase GROUP BY 1, 2"


def contracts(head: str = HEAD, name: str = "by_month", **more: str) -> ContractSet:
    files = {"purchase.yaml": ORDER, "customer.yaml": CUSTOMER, f"derived/{name}.sql": head + SQL}
    return ContractSet.of(files | {f"derived/{other}.sql": text for other, text in more.items()})


def test_every_file_of_the_demo_is_a_table_of_its_layer() -> None:
    derived = ContractSet.from_directory(CONTRACTS).derived

    assert set(derived) == {path.stem for path in CONTRACTS.glob("derived/*.sql")}
    assert [table.name for table in derived.values() if table.layer == "silver"] == ["review_flat"]
    assert {table.fact for table in derived.values() if table.layer == "gold"} == {"review_flat"}


def test_a_file_says_what_it_reads_and_whom_a_change_concerns() -> None:
    [table] = contracts().derived.values()

    assert (table.target, table.sources, table.partition) == ("gold/by_month", ("purchase", "customer"), ("bought_year", "bought_month"))
    assert [found.name for found in contracts().built_from("customer")] == ["by_month"]


def test_a_changed_file_is_another_definition_and_another_version_of_the_contracts() -> None:
    one, other = contracts(), contracts(HEAD + "-- by the way\n")

    assert one.derived["by_month"].definition != other.derived["by_month"].definition
    assert one.version != other.version


def test_a_gold_table_may_be_built_from_a_derived_table_of_silver() -> None:
    flat = HEAD.replace("gold", "silver") + SQL
    of_flat = "-- description: d\n-- layer: gold\n-- fact: flat\n-- partition: bought_year, bought_month\n" + SQL

    found = contracts(flat=flat, of_flat=of_flat)

    assert found.months_of("flat") == ("bought_year", "bought_month")
    assert [table.name for table in found.built_from("flat")] == ["of_flat"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-- description: Purchases by month and region.\n", "", 'derived/by_month.sql: description: no "-- description: …"'),
        ("-- fact: purchase\n", "", 'fact: no "-- fact: …"'),
        ("-- layer: gold", "-- layer: bronze", 'layer: got "bronze"; one of silver, gold'),
        ("-- layer: gold", "-- layers: gold", '"-- layers:": given twice or unknown; one each of description, layer, fact, partition'),
        ("bought_year, bought_month", "bought_month", 'partition: got "bought_month"; two columns, year and month'),
        ("fact: purchase", "fact: order", 'fact: got "order"; for a table of layer gold one of customer, purchase'),
        ("fact: purchase", "fact: customer", '"customer" has no partition in its contract'),
        ("customer on customer_id = id", "customer", 'join: got "customer"; <table> on <column of the fact>'),
        (
            "customer on customer_id = id",
            "client on customer_id = id",
            'join "client": no contract describes it; one of customer, purchase',
        ),
        ("customer on customer_id = id", "customer on customer_id = region", "on region; it is joined by its whole key alone: id"),
        ("customer on customer_id = id", "customer on client = id", 'join "customer": "purchase" has no column "client"'),
    ],
)
def test_a_wrong_front_matter_is_named_with_what_would_be_valid(old: str, new: str, message: str) -> None:
    with pytest.raises(InvalidContract) as refused:
        contracts(HEAD.replace(old, new))

    assert message in str(refused.value)


@pytest.mark.parametrize("name", ["purchase", "customer_history", "quality_results", "ByMonth"])
def test_a_name_that_the_lake_gives_already_is_refused(name: str) -> None:
    with pytest.raises(InvalidContract, match=rf"derived/{name}\.sql: file name"):
        contracts(name=name)
