"""Streams become blocks of whole records: every byte once, nothing cut, memory bounded."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake import errors
from lake.contract import Contract

any_input = settings(max_examples=200, suppress_health_check=list(HealthCheck))


def blocks(parse: ModuleType, data: bytes, file_format: str = "json", **sizes: int) -> list[bytes]:
    return [bytes(block.data) for block in parse.BlockReader(io.BytesIO(data), file_format, **sizes)]


@any_input
@given(lines=st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=20), size=st.integers(1, 30))
def test_blocks_of_lines_are_the_stream_cut_behind_line_feeds(parse: ModuleType, lines: list[bytes], size: int) -> None:
    data = b"".join(line + b"\n" for line in lines) + b"rest"
    cut = blocks(parse, b"{}\n" + data, block_bytes=size)

    assert b"".join(cut) == b"{}\n" + data
    assert all(block.endswith(b"\n") for block in cut[:-1])


CELLS = st.sampled_from(["", "a", '"a\nb"', '"a""\n"', '""', 'x"y', '"a"b"\nc', '"\n,"'])


@any_input
@given(records=st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=12), size=st.integers(1, 40))
def test_no_csv_record_is_cut_in_two(parse: ModuleType, records: list[list[str]], size: int) -> None:
    data = ("h\n" + "\n".join(",".join(record) for record in records)).encode()
    whole = parse.csv_fields.record_spans(data)
    ends = {span.after for span in whole}
    reader = parse.BlockReader(io.BytesIO(data), "csv", block_bytes=size)
    found = list(reader)

    assert b"".join(bytes(block.data) for block in found) == data[2:]
    assert all(block.offset + len(block.data) in ends for block in found)


def test_memory_that_is_given_back_serves_the_blocks_to_come(parse: ModuleType) -> None:
    data = b"".join(b'{"n":%d}\n' % n for n in range(1000))
    reader = parse.BlockReader(io.BytesIO(data), "json", block_bytes=100)
    found, buffers = [], set()

    for block in reader:
        found.append(bytes(block.data))
        buffers.add(id(block.buffer))
        reader.give_back(block)

    assert b"".join(found) == data
    assert len(found) > 50
    assert len(buffers) <= 3


def test_a_block_that_was_given_back_is_not_to_be_read(parse: ModuleType) -> None:
    reader = parse.BlockReader(io.BytesIO(b"{}\n"), "json")
    (block,) = reader
    reader.give_back(block)

    with pytest.raises(ValueError, match="released"):
        bytes(block.data)


def test_a_byte_order_mark_is_left_out_and_offsets_count_it(parse: ModuleType) -> None:
    reader = parse.BlockReader(io.BytesIO(b"\xef\xbb\xbf{}\n{}"), "json", block_bytes=8)

    assert [(block.number, block.offset, bytes(block.data)) for block in reader] == [(0, 3, b"{}\n"), (1, 6, b"{}")]


def test_an_empty_stream_has_no_blocks(parse: ModuleType) -> None:
    assert blocks(parse, b"") == []


class Endless(io.RawIOBase):
    """A stream without a line feed."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.left = length
        self.largest = 0

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self.left)
        self.largest = max(self.largest, len(buffer))
        self.left -= count
        return count


@pytest.mark.parametrize("file_format", ["json", "csv"])
def test_a_record_of_ten_gigabytes_ends_the_file_before_memory_follows(parse: ModuleType, file_format: str) -> None:
    source = Endless(10 << 30)

    with pytest.raises(parse.RecordTooLong, match="longer than 16,777,216 bytes"):
        list(parse.BlockReader(source, file_format))
    assert (10 << 30) - source.left <= 64 << 20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no header"),
        (b"\r\n\r\n", "no header"),
        (b"a;b;c\n1;2;3\n", "semicolons"),
        (b"a\tb\tc\n1\t2\t3\n", "is one field that holds tabs; fields are separated by commas"),
        (b"a|b\n", "bars"),
        (b"a,b,a\n", "columns 1 and 3 of the header have the same name; give each its own"),
        (b"a,,c\n", "no name for column 2 of 3; write one between its commas"),
        (b"\xff\n", "not valid UTF-8"),
        (b'a"b\n', "field 1: a quote inside a field"),
        (b"a,b\r1,2\r", "field 2: a carriage return"),
        (b'"a,b\n1,2\n', "a quote that nothing closes"),
        (b'id,"c\n1,2\n3,"\n4,5\n', "the name of column 2 in the header runs on into the next line"),
        (b"a" * 300 + b"\n", "the name of column 1 in the header has 300 characters; at most 128"),
    ],
)
def test_a_wrong_header_fails_the_file_with_what_is_wrong(parse: ModuleType, data: bytes, message: str) -> None:
    with pytest.raises(parse.WrongHeader, match=message):
        parse.BlockReader(io.BytesIO(data), "csv")


@pytest.mark.parametrize("first", ["7,Ann,Ann", "7;Ann", "7,,Ann", f"7,{'Ann' * 99}", '7,"Ann\n8,Bob\n9"', "7,Ann"])
def test_no_message_shows_the_first_row_of_a_file_without_a_header(
    parse: ModuleType, every_type: Callable[..., Contract], first: str
) -> None:
    with pytest.raises(parse.WrongHeader) as raised:
        parse.parser(parse.RowSchema.of(every_type()), "csv", parse.BlockReader(io.BytesIO(f"{first}\n".encode()), "csv").header)

    assert "Ann" not in str(raised.value)


def test_a_header_alone_has_no_rows_and_says_where_records_begin(parse: ModuleType) -> None:
    reader = parse.BlockReader(io.BytesIO(b'\xef\xbb\xbf\r\nid,"na,me"\r\n'), "csv")

    assert (reader.header, reader.first_line, list(reader)) == (("id", "na,me"), 2, [])


def inflate(parse: ModuleType, data: bytes, step: int = 7, size: int = 1000) -> bytes:
    stream, buffer, found = parse.GzipStream(Dripping(data, size)), bytearray(step), b""
    while count := stream.readinto(buffer):
        found += buffer[:count]
    return found


ONE, TWO = gzip.compress(b"one\n" * 50, mtime=0), gzip.compress(b"two\n", mtime=0)


def test_members_follow_each_other_and_zeros_may_stand_behind_each(parse: ModuleType) -> None:
    assert inflate(parse, ONE + gzip.compress(b"", mtime=0) + TWO + b"\0" * 9) == b"one\n" * 50 + b"two\n"
    assert inflate(parse, ONE + b"\0" * 20 + TWO) == b"one\n" * 50 + b"two\n"


class Dripping(io.BytesIO):
    """A stream that gives at most so many bytes at once."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self.size = size

    def readinto(self, buffer: Any) -> int:
        return super().readinto(buffer[: self.size])


@any_input
@given(
    texts=st.lists(st.one_of(st.binary(max_size=300), st.integers(0, 5000).map(lambda n: b"ab" * n)), min_size=1, max_size=3),
    level=st.integers(0, 9),
    size=st.integers(1, 40),
    step=st.integers(1, 5000),
)
def test_any_members_read_in_any_portions_inflate_to_what_was_compressed(
    parse: ModuleType, texts: list[bytes], level: int, size: int, step: int
) -> None:
    data = b"".join(gzip.compress(text, level, mtime=0) for text in texts)

    assert inflate(parse, data, step, size) == b"".join(texts)


def test_an_empty_member_is_an_empty_stream(parse: ModuleType) -> None:
    assert inflate(parse, gzip.compress(b"", mtime=0)) == b""


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", "NotGzip", "is empty"),
        (b"id,name\n1,x\n", "NotGzip", "69 64 2c 6e, as plain text: compress it by gzip"),
        (b"PK\3\4" + bytes(40), "NotGzip", "50 4b 03 04, as a ZIP archive"),
        (b"\x28\xb5\x2f\xfd" + bytes(40), "NotGzip", "as Zstandard"),
        (b"\x1f", "NotGzip", "begins with 1f;"),
        (ONE[:-1], "CorruptGzip", "amid a gzip member: it is cut off"),
        (ONE[:12], "CorruptGzip", "ends at byte 12 of the object amid a gzip member"),
        (ONE + TWO[:5], "CorruptGzip", "amid a gzip member"),
        (ONE + b"garbage", "CorruptGzip", "or a few bytes too many follow its last member"),
        (ONE + b"\0\0x", "CorruptGzip", "or a few bytes too many follow its last member"),
        (ONE + b"\0\0" + b"much garbage", "CorruptGzip", "bytes that are no gzip member follow the last one"),
        (ONE[:-8] + b"\1\2\3\4" + ONE[-4:], "CorruptGzip", "a gzip member is damaged before byte"),
        (ONE[:-4] + b"\1\2\3\4", "CorruptGzip", "a gzip member is damaged before byte"),
        (ONE[:10] + b"\xff" * 20, "CorruptGzip", "a gzip member is damaged before byte"),
        (ONE[:3] + b"\x08" + ONE[4:10] + b"n" * (300 << 10), "CorruptGzip", "header exceeds"),
    ],
)
def test_what_is_no_whole_gzip_fails_the_file(parse: ModuleType, data: bytes, error: str, message: str) -> None:
    with pytest.raises(getattr(errors, error), match=message):
        inflate(parse, data)
