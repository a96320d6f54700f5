"""Without the mask key a derived table is left out if it reads a hashed column, itself or through another."""

from __future__ import annotations

from dataclasses import replace

from beer import CONTRACTS
from datamaster.verify import _read_of
from datamaster.verify.silver import unknown
from lake.contract import ContractSet

BEER = ContractSet.from_directory(CONTRACTS)
HASHED = {"profile": frozenset({"email"})}


def test_only_hashed_columns_are_unknown():
    masks = {"email": "hash", "name": "partial", "note": "null"}
    assert unknown(masks, None) == {"email"}
    assert unknown(masks, bytes(32)) == frozenset()


def test_a_table_that_reads_none_is_compared():
    assert {name: _read_of(table, BEER, HASHED) for name, table in BEER.derived.items()} == dict.fromkeys(BEER.derived)


def test_a_table_that_reads_one_is_named_by_it_also_through_another():
    flat = BEER.derived["review_flat"]
    reading = replace(flat, sql=flat.sql.replace("profile_name", "email", 1))
    contracts = replace(BEER, derived=BEER.derived | {"review_flat": reading})

    assert _read_of(reading, contracts, HASHED) == "email"
    assert _read_of(BEER.derived["top_drinkers"], contracts, HASHED) == "email"
    assert _read_of(reading, contracts, {}) is None
