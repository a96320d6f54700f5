"""The four masks, and which columns they cover."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.contract import Contract, parse_contract
from lake.privacy import CLEAR, PERSONAL, Evidence, decide, mask_value, masks_of, undecided
from lake.privacy.masks import UnknownMask

KEY = bytes(range(32))


def contract(*properties: str) -> Contract:
    columns = "".join(f"\n      - {{{text}}}" for text in ("name: id, physicalType: bigint, primaryKey: true", *properties))
    return parse_contract(
        "apiVersion: v3.0.2\nkind: DataContract\nversion: 1.0.0\nschema:\n  - name: t\n    physicalName: s.t\n    properties:" + columns,
        "t.yaml",
    )


@given(st.text())
def test_hash_is_hmac_sha_256_in_hexadecimal(text: str) -> None:
    expected = hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()
    assert mask_value("hash", text, KEY) == expected


@pytest.mark.parametrize(
    ("text", "masked"),
    [("ana.maria@example.com", "a***@example.com"), ("Ana Maria", "A***"), ("Ana", "***"), ("", "***"), ("@example.com", "@***")],
)
def test_partial_shows_the_first_character_and_a_mail_s_domain(text: str, masked: str) -> None:
    assert mask_value("partial", text, KEY) == masked


def test_redact_and_null_show_nothing() -> None:
    assert mask_value("redact", "Ana", KEY) == "[redacted]"
    assert mask_value("null", "Ana", KEY) is None


@pytest.mark.parametrize("kind", ["hash", "partial", "redact", "null"])
def test_null_stays_null_under_every_mask(kind: str) -> None:
    assert mask_value(kind, None, KEY) is None


def test_an_unknown_mask_is_named_with_the_valid_ones() -> None:
    with pytest.raises(UnknownMask, match='"blur"; one of hash, partial'):
        mask_value("blur", "x", KEY)


def test_a_text_column_without_classification_is_masked_until_it_is_decided_clear() -> None:
    table = contract("name: note, physicalType: text")

    assert masks_of(table, {}) == {"note": "hash"}
    assert masks_of(table, {"note": PERSONAL}) == {"note": "hash"}
    assert masks_of(table, {"note": CLEAR}) == {}


def test_the_contract_s_classification_overrides_every_decision() -> None:
    table = contract("name: a, physicalType: text, classification: personal", "name: b, physicalType: text, classification: public")

    assert masks_of(table, {"a": CLEAR, "b": PERSONAL}) == {"a": "hash"}
    assert undecided(table, {}) == ()


def test_numbers_and_keys_are_not_decided_by_detection() -> None:
    table = contract("name: amount, physicalType: double", "name: note, physicalType: text")

    assert undecided(table, {}) == ("note",)


def test_a_column_is_decided_at_two_hundred_values_and_not_before() -> None:
    assert decide(Evidence(seen=199, flagged=199)) is None
    assert decide(Evidence(seen=200, flagged=10)) == PERSONAL
    assert decide(Evidence(seen=200, flagged=9)) == CLEAR


evidence = st.builds(
    Evidence,
    st.integers(0, 500),
    st.integers(0, 500),
    st.dictionaries(st.sampled_from(["EMAIL", "NAME"]), st.integers(0, 9)),
    st.dictionaries(st.sampled_from(["EMAIL", "NAME"]), st.integers(0, 9)),
)


@given(evidence, evidence)
def test_evidence_adds_up_in_any_order(one: Evidence, other: Evidence) -> None:
    assert one + other == other + one
    assert (one + other).seen == one.seen + other.seen
