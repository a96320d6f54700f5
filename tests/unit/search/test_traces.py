"""A planted word is found however it is wrapped, and nothing else is."""

import base64
import gzip
import io
import json
import zipfile
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.traces import holds

WORD = "canary7f31"
LINE = f'{{"email": "{WORD}-1@example.com"}}'.encode()


def zipped(document):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.json", document)
    return sink.getvalue()


def parquet(document, kind):
    sink = io.BytesIO()
    column = pa.array([document if kind == pa.binary() else document.decode(), None], kind)
    pq.write_table(pa.table({"line": column}), sink, compression="zstd", write_statistics=False)
    return sink.getvalue()


def avro(document):
    def number(value):
        value, found = value << 1, b""
        while value > 0x7F:
            found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
        return found + bytes([value])

    def text(value):
        return number(len(value)) + value

    packer = zlib.compressobj(wbits=-15)
    data = packer.compress(document) + packer.flush()
    head = b"Obj\x01" + number(1) + text(b"avro.codec") + text(b"deflate") + number(0) + b"s" * 16
    return head + number(1) + text(data) + b"s" * 16


@pytest.mark.parametrize(
    "document",
    [
        LINE,
        LINE.upper(),
        gzip.compress(LINE),
        gzip.compress(LINE * 50)[:-6],
        base64.b64encode(LINE),
        b"data=" + base64.urlsafe_b64encode(LINE).rstrip(b"="),
        json.dumps({"rawData": base64.b64encode(gzip.compress(LINE)).decode()}).encode(),
        LINE.hex().encode(),
        zipped(LINE),
        parquet(LINE, pa.string()),
        parquet(LINE, pa.binary()),
        parquet(gzip.compress(LINE), pa.binary()),
        avro(LINE),
        gzip.compress(zipped(base64.b64encode(LINE))),
    ],
    ids=range(14),
)
def test_a_word_is_found_in_every_wrapping(document):
    assert holds(document, WORD)
    assert not holds(document, WORD.replace("7", "8"))
