"""Every table and column of a source gets one lake name: unique, stable, of letters that every engine takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamaster.source.naming import SourceName, column_names, folded, table_names


def named(*tables: str, known: dict[str, str] | None = None) -> dict[str, str]:
    split = lambda name: SourceName(*name.split(".", 1))  # noqa: E731
    names = table_names(map(split, tables), {split(source): name for source, name in (known or {}).items()})
    return {str(source): name for source, name in names.items()}


@pytest.mark.parametrize(
    ("source", "lake"),
    [("Order Lines", "order_lines"), ("2024_sales", "t_2024_sales"), ("v1.prices", "v1_prices"), ("größe", "grosse"), ("Café", "cafe")],
)
def test_a_table_s_name_is_of_plain_letters(source, lake):
    assert folded(source) == lake


def test_names_of_another_script_are_told_apart():
    assert folded("订单") != folded("客户")
    assert all(re.fullmatch(r"t_[0-9a-f]{8}", folded(name)) for name in ("订单", "客户", "$"))


def test_two_schemas_with_a_table_of_one_name_both_show_their_schema():
    assert named("shop.orders", "crm.orders") == {"crm.orders": "crm_orders", "shop.orders": "shop_orders"}


def test_a_name_that_a_contract_has_given_stays():
    assert named("shop.orders", "crm.orders", known={"shop.orders": "orders"}) == {"shop.orders": "orders", "crm.orders": "crm_orders"}


def test_the_table_that_is_called_so_keeps_its_name():
    assert named("shop.Orders", "shop.orders") == {"shop.orders": "orders", "shop.Orders": "shop_orders"}


def test_no_table_takes_the_name_of_one_that_the_lake_keeps_beside_another():
    names = named("shop.orders", "shop.orders_history", "shop.quality_results")
    assert names == {
        "shop.orders": "orders",
        "shop.orders_history": "shop_orders_history",
        "shop.quality_results": "shop_quality_results",
    }
    assert named("shop.orders", known={"shop.orders_keys": "orders_keys"})["shop.orders"] == "shop_orders"


def test_columns_that_fold_together_are_numbered_and_the_one_of_that_name_keeps_it():
    assert column_names(["id", "User Id", "user_id", "userId"]) == {
        "id": "id",
        "User Id": "user_id_2",
        "user_id": "user_id",
        "userId": "userid",
    }
    assert column_names(["_id", "id"]) == {"_id": "id_2", "id": "id"}
    assert column_names(["created_at", "source_created_at"]) == {
        "created_at": "source_created_at_2",
        "source_created_at": "source_created_at",
    }
    assert column_names(["$", "%"]) == {"$": "column", "%": "column_2"}


NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=20)


@given(st.sets(st.tuples(st.sampled_from(["shop", "crm"]), NAMES), max_size=8))
def test_any_tables_get_different_names_and_the_same_ones_every_time(tables):
    sources = [SourceName(*table) for table in tables]
    names = table_names(sources, {})
    assert len(set(names.values())) == len(sources)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names.values())
    assert table_names(reversed(sources), {}) == names
    assert table_names(sources, names) == names


@given(st.lists(NAMES, unique=True, max_size=8))
def test_any_columns_get_different_names(columns):
    names = column_names(columns)
    assert list(names) == columns
    assert len({name.lower() for name in names.values()}) == len(columns)
