"""The kernel's HMAC-SHA-256 of a column is the standard library's, value by value."""

from __future__ import annotations

import hashlib
import hmac

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import require_kernel

require_kernel()
import dm_kernel as kernel  # noqa: E402 - only where it was built


@settings(deadline=None)
@given(values=st.lists(st.none() | st.text() | st.text(min_size=50, max_size=70)), key=st.binary(max_size=80), start=st.integers(0, 3))
def test_every_value_has_its_code_and_null_stays_null(values: list[str | None], key: bytes, start: int) -> None:
    column = pa.array(values, pa.string()).slice(start)

    codes = pa.array(kernel.hmac_sha256_hex(column, key))

    codes.validate(full=True)
    expected = [None if value is None else hmac.new(key, value.encode(), hashlib.sha256).hexdigest() for value in column.to_pylist()]
    assert codes.to_pylist() == expected


def test_a_column_that_is_no_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a string column"):
        kernel.hmac_sha256_hex(pa.array([1]), b"key")
