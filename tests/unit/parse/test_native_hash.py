"""The kernel's HMAC-SHA-256 of a column is the standard library's, value by value."""

from __future__ import annotations

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import require_kernel

require_kernel()
import dm_kernel as kernel  # noqa: E402 - only where it was built

KEY = bytes(range(32))
LENGTHS = st.sampled_from([0, 30, 31, 32, 54, 55, 56, 63, 64, 119, 120])
"""About the longest text that is kept, the longest that is hashed with others, and the ends of blocks."""


def code(value: str | None, key: bytes = KEY) -> str | None:
    return None if value is None else hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


@given(
    blocks=st.lists(st.lists(st.none() | st.text() | st.builds(str.__mul__, st.sampled_from("ab"), LENGTHS), max_size=20), max_size=4),
    key=st.binary(max_size=80),
    start=st.integers(0, 3),
    places=st.sampled_from([1, 8, 1024]),
)
def test_every_value_has_its_code_and_null_stays_null(blocks: list[list[str | None]], key: bytes, start: int, places: int) -> None:
    shared = kernel.HmacSha256(key, places)

    for values in blocks:
        column = pa.array(values, pa.string()).slice(start)
        codes = pa.array(shared.hex(column))
        codes.validate(full=True)
        assert codes.to_pylist() == [code(value, key) for value in column.to_pylist()]


def test_values_of_earlier_blocks_are_answered_by_what_was_kept() -> None:
    shared, values = kernel.HmacSha256(KEY, 1024), [f"{n}@example.com" for n in range(50)]
    first, again = pa.array(shared.hex(pa.array(values))), pa.array(shared.hex(pa.array(values)))

    assert first.to_pylist() == again.to_pylist() == [code(value) for value in values]
    held, answered = shared.kept
    assert 40 < held <= 50
    assert answered >= 2 * held - 50


def test_no_more_codes_are_kept_than_there_are_places() -> None:
    shared = kernel.HmacSha256(KEY, 16)
    for block in range(20):
        shared.hex(pa.array([f"{block}-{n}" for n in range(100)]))

    assert 0 < shared.kept[0] <= 16


def test_a_column_whose_values_never_repeat_passes_what_is_kept_by_and_one_that_repeats_later_is_seen() -> None:
    shared = kernel.HmacSha256(KEY, 64)
    shared.hex(pa.array([f"once {n}" for n in range(64)]))
    held = shared.kept
    shared.hex(pa.array([f"rest {n}" for n in range(8 * 64)]))
    assert shared.kept == held

    codes = pa.array(shared.hex(pa.array(["often"] * 64)))
    assert codes.to_pylist() == [code("often")] * 64
    assert shared.kept[1] > held[1]


def test_threads_that_share_what_is_kept_get_the_same_codes() -> None:
    shared = kernel.HmacSha256(KEY, 64)
    blocks = [[f"writer {(7 * block + n) % 90}" for n in range(2_000)] for block in range(40)]
    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(lambda values: pa.array(shared.hex(pa.array(values))).to_pylist(), blocks))

    expected = {value: code(value) for value in {value for values in blocks for value in values}}
    assert codes == [[expected[value] for value in values] for values in blocks]
    assert shared.kept[0] <= 64


@pytest.mark.parametrize("places", [0, 3, 1 << 21])
def test_places_that_are_no_power_of_two_or_too_many_are_an_error(places: int) -> None:
    with pytest.raises(ValueError, match=f"{places} places; a power of two up to 1048576 is expected"):
        kernel.HmacSha256(KEY, places)


def test_a_column_that_is_no_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a string column"):
        kernel.HmacSha256(KEY, 1).hex(pa.array([1]))
