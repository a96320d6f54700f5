"""Masked columns equal the mask of each value, whatever was cached before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convert import masking as masking_module
from lake.privacy import CLEAR, mask_value
from tests.conftest import require_kernel

KEY = bytes(32)
SCHEMA = pa.schema([("email", pa.string()), ("state", pa.string()), ("_extra", pa.string())])


@pytest.fixture(params=["kernel", "without kernel"])
def masking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "kernel":
        require_kernel()
    else:
        monkeypatch.setattr(masking_module, "HmacSha256", None)
    monkeypatch.setattr(masking_module, "CACHED_VALUES", 5)
    monkeypatch.setattr(masking_module, "CACHED_CODES", 4)
    return masking_module


def batch(emails: list[str | None], extra: str | None = None) -> pa.RecordBatch:
    count = len(emails)
    return pa.record_batch([pa.array(emails, pa.string()), pa.array(["SP"] * count), pa.array([extra] * count, pa.string())], schema=SCHEMA)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.none() | st.text(max_size=3), max_size=20), max_size=4), st.sampled_from(["hash", "partial", "redact", "null"]))
def test_a_masked_column_is_the_mask_of_each_value_across_batches(masking: Any, batches: list[list[str | None]], kind: str) -> None:
    masker = masking.Masker({"email": kind}, {}, KEY)

    for emails in batches:
        masked = masker.batch(batch(emails))
        assert masked.column("email").to_pylist() == [mask_value(kind, email, KEY) for email in emails]
        assert masked.column("state").to_pylist() == ["SP"] * len(emails)


@pytest.mark.parametrize("kind", ["hash", "partial"])
def test_threads_that_share_a_masker_get_the_mask_of_each_value(masking: Any, kind: str) -> None:
    masker = masking.Masker({"email": kind}, {}, KEY)
    blocks = [[f"{(3 * block + n) % 9}@example.com" for n in range(200)] for block in range(50)]
    with ThreadPoolExecutor(4) as threads:
        masked = list(threads.map(lambda emails: masker.batch(batch(emails)).column("email").to_pylist(), blocks))

    assert masked == [[mask_value(kind, email, KEY) for email in emails] for emails in blocks]


@pytest.mark.parametrize("kind", ["hash", "partial"])
def test_what_a_masker_remembers_of_a_column_is_bounded(masking: Any, kind: str) -> None:
    masker = masking.Masker({"email": kind}, {}, KEY)
    for block in range(5):
        masker.batch(batch([f"{block}.{n}@example.com" for n in range(100)]))
        assert len(masker._cache["email"]) <= 5
        assert all(0 < codes.kept[0] <= 4 for codes in masker._codes.values())
        assert masker._cache["email"] or masker._codes


def test_unknown_columns_are_hashed_unless_they_were_decided_clear(masking: Any) -> None:
    masker = masking.Masker({}, {"note": CLEAR}, KEY)

    masked = masker.batch(batch(["a"], '{"note":"free","phone":{"home":1},"fax":null}'))

    hashed = mask_value("hash", '{"home":1}', KEY)
    assert masked.column("_extra").to_pylist() == [f'{{"note":"free","phone":"{hashed}","fax":null}}']


def test_hashing_without_a_key_is_refused(masking: Any) -> None:
    with pytest.raises(masking.MissingMaskKey, match="--mask-key-file"):
        masking.Masker({"email": "hash"}, {}, None).batch(batch(["a"]))


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31, "0" * 63])
def test_a_key_that_is_not_thirty_two_bytes_is_refused(masking: Any, text: str) -> None:
    with pytest.raises(masking.WrongMaskKey, match=r"key\.txt: the mask key must be 64 hexadecimal digits"):
        masking.mask_key(text, "key.txt")
