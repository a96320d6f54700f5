"""An export's objects: each holds the header and whole records, wherever the driver's pieces end."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from export.objects import BUFFER_BYTES, ObjectWriter

HEADER = b"id,text\n"
ROWS = st.lists(st.lists(st.text(st.sampled_from('a,"\né'), max_size=6), min_size=2, max_size=2), max_size=40)


def written(data: bytes, pieces: int, object_bytes: int) -> tuple[list[list[list[str]]], list[int], int]:
    """The records of each object, the rows that it was stored with, and the rows that were counted on the way."""
    stored: list[tuple[bytes, int]] = []
    counted: list[int] = []
    writer = ObjectWriter(lambda body, rows: stored.append((bytes(body), rows)), HEADER, object_bytes, counted.append)
    for start in range(0, len(data), pieces):
        assert writer.write(memoryview(data)[start : start + pieces]) == min(pieces, len(data) - start)
    writer.finish()
    texts = [gzip.decompress(body).decode() for body, _ in stored]
    assert all(text.startswith(HEADER.decode()) for text in texts)
    records = [list(csv.reader(io.StringIO(text.removeprefix(HEADER.decode()), newline=""))) for text in texts]
    return records, [rows for _, rows in stored], sum(counted)


@pytest.fixture
def long_fields() -> Iterator[None]:
    before = csv.field_size_limit(1 << 30)
    yield
    csv.field_size_limit(before)


@settings(max_examples=200)
@given(rows=ROWS, pieces=st.integers(1, 60), object_bytes=st.integers(1, 60))
@example(rows=[['"\n', '\n"'], ["", '"']], pieces=3, object_bytes=1)
def test_objects_end_between_records_and_hold_every_row_once_in_order(rows: list[list[str]], pieces: int, object_bytes: int) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)

    objects, stored_rows, counted = written(text.getvalue().encode(), pieces, object_bytes)

    assert [record for records in objects for record in records] == rows
    assert stored_rows == [len(records) for records in objects]
    assert counted == len(rows)


def test_a_value_longer_than_a_piece_is_never_cut(long_fields: None) -> None:
    long = "".join(f"{n * 7_919 % 1_000_003}\n" for n in range(BUFFER_BYTES // 2))

    objects, stored_rows, _ = written(f'1,"{long}"\n2,"{long}"\n3,b\n'.encode(), 3 * BUFFER_BYTES, 1)

    assert [row for records in objects for row in records] == [["1", long], ["2", long], ["3", "b"]]
    assert len(stored_rows) > 1


def test_the_size_of_an_object_stays_near_its_limit() -> None:
    sizes: list[int] = []
    limit = 2 * BUFFER_BYTES
    writer = ObjectWriter(lambda body, _: sizes.append(len(body)), HEADER, limit, lambda _: None)
    for number in range(300):
        writer.write(b"".join(b"%d,%d\n" % (n * 7_919 % 1_000_003, n * n % 999_983) for n in range(number * 1_000, number * 1_000 + 1_000)))

    assert len(sizes) > 2
    assert all(limit <= size < limit + BUFFER_BYTES for size in sizes)
