"""Records are estimated from the beginning of an object, exactly where that is all of it."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.estimate import TruncatedGzip, estimate_records
from lake.errors import CorruptGzip, NotGzip

HEAD = 256 * 1024


@pytest.fixture
def estimate():
    return lambda body, **given: estimate_records(body[:HEAD], len(body), **given)


@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20), max_size=30), closed=st.booleans())
def test_a_small_object_is_counted_exactly(lines, closed):
    text = "\n".join(lines) + ("\n" if closed and lines else "")
    body = gzip.compress(text.encode())
    expected = len(text.split("\n")) - (1 if text.endswith("\n") or not text else 0)

    assert estimate_records(body, len(body)) == expected


def test_members_one_after_another_are_all_counted(estimate):
    assert estimate(gzip.compress(b"a\nb\n") + gzip.compress(b"c\nd\ne\n")) == 5


def test_the_header_of_a_csv_is_no_record(estimate):
    assert estimate(gzip.compress(b"id,name\n1,a\n2,b\n"), has_header=True) == 2
    assert estimate(gzip.compress(b"id,name\n"), has_header=True) == 0


@pytest.mark.parametrize("width", [20, 400])
def test_a_large_object_is_estimated_within_five_percent(estimate, width):
    source = random.Random(7)
    lines = [source.randbytes(source.randint(width // 2, width)).hex().encode() for _ in range(3_000_000 // width)]
    body = gzip.compress(b"\n".join(lines) + b"\n")
    assert len(body) > 4 * HEAD

    assert estimate(body) == pytest.approx(len(lines), rel=0.05)


def test_a_head_that_inflates_a_thousandfold_is_counted_without_keeping_it(estimate):
    body = gzip.compress(b"x" * 63 + b"\n") + gzip.compress((b"x" * 63 + b"\n") * 1_000_000)

    assert estimate(body) == 1_000_001


def test_one_endless_line_is_one_record_at_least(estimate):
    body = gzip.compress(random.Random(1).randbytes(2 * HEAD).hex().encode(), 1)

    assert estimate(body) >= 1


@pytest.mark.parametrize("body", [b"id,name\n1,a\n", b"PK\x03\x04", b"\x1f"])
def test_what_is_no_gzip_is_refused(estimate, body):
    with pytest.raises(NotGzip, match="a gzip member begins with 0x1f8b08"):
        estimate(body)


def test_a_small_truncated_object_is_refused(estimate):
    body = gzip.compress(b"".join(b"%d\n" % n for n in range(10_000)))

    with pytest.raises(TruncatedGzip, match="whole lines"):
        estimate(body[:-100])


def test_an_object_that_does_not_inflate_is_refused(estimate):
    body = bytearray(gzip.compress(b"".join(b"%d\n" % n for n in range(10_000))))
    body[12:40] = b"\xff" * 28

    with pytest.raises(CorruptGzip):
        estimate(bytes(body))


def test_a_wrong_checksum_is_refused(estimate):
    body = gzip.compress(b"a\n")
    wrong = zlib.crc32(b"b\n").to_bytes(4, "little")

    with pytest.raises(CorruptGzip):
        estimate(body[:-8] + wrong + body[-4:])
