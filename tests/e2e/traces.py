"""Finds a text in bytes however they are wrapped: gzip, zlib, base64, hexadecimal, zip, Parquet, Avro.

Used to search a whole platform for planted values. Wrappings may lie in one another, e.g. base64 of gzip in JSON of a ZIP.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

MAX_DEPTH = 5
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){12,}")
_GZIP, _ZIP, _PARQUET, _AVRO = b"\x1f\x8b\x08", b"PK\x03\x04", b"PAR1", b"Obj\x01"


def holds(document: bytes, word: str) -> bool:
    """Whether ``word`` (ASCII, any case) stands in the document, or in anything that can be unwrapped from it."""
    wanted = word.lower().encode()
    return any(wanted in piece.lower() for piece in unwrapped(document))


def unwrapped(document: bytes, depth: int = 0) -> Iterator[bytes]:
    """The document and everything found inside it."""
    yield document
    if depth == MAX_DEPTH:
        return
    for inner in _inside(document):
        yield from unwrapped(inner, depth + 1)


def _inside(document: bytes) -> Iterator[bytes]:
    if document.startswith(_GZIP):
        yield from _gunzipped(document)
    elif document.startswith(_ZIP):
        yield from _members(document)
    elif document.startswith(_PARQUET):
        yield from _parquet(document)
    elif document.startswith(_AVRO):
        yield from _avro_blocks(document)
    else:
        for wrapped in _BASE64.findall(document):
            yield from _from_base64(wrapped)
        for digits in _HEX.findall(document):
            yield binascii.unhexlify(digits)


def _gunzipped(document: bytes) -> Iterator[bytes]:
    try:
        yield gzip.decompress(document)
    except (OSError, EOFError, zlib.error):
        # A damaged end does not hide what comes before it.
        yield zlib.decompressobj(31).decompress(document, 1 << 26)


def _members(document: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(document)) as archive:
        for name in archive.namelist():
            yield name.encode()
            yield archive.read(name)


def _parquet(document: bytes) -> Iterator[bytes]:
    """Every value as text, column by column; bounds in the footer stand in the plain bytes."""
    for batch in pq.ParquetFile(io.BytesIO(document)).iter_batches():
        for column in batch.columns:
            if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
                yield from (value for value in column.to_pylist() if value is not None)
            else:
                yield "\n".join(map(str, column.to_pylist())).encode()


def _from_base64(wrapped: bytes) -> Iterator[bytes]:
    body = wrapped.rstrip(b"=")
    # A word that merely looks like it may begin anywhere: every phase is tried, the alphabets of files and addresses alike.
    text = body.replace(b"-", b"+").replace(b"_", b"/")
    for start in range(4):
        piece = text[start:]
        piece = piece[: len(piece) // 4 * 4]
        if piece:
            yield base64.b64decode(piece)
    padded = text + b"=" * (-len(text) % 4)
    if len(text) % 4 != 1:
        yield base64.b64decode(padded)


def _avro_blocks(document: bytes) -> Iterator[bytes]:
    """The blocks of an Avro object container: https://avro.apache.org/docs/1.11.1/specification/#object-container-files."""
    source = io.BytesIO(document[len(_AVRO) :])
    codec = b"null"
    while (entries := _long(source)) != 0:
        if entries < 0:  # a negative count is followed by the block's size in bytes
            entries = -entries
            _long(source)
        for _ in range(entries):
            key, value = source.read(_long(source)), source.read(_long(source))
            codec = value if key == b"avro.codec" else codec
    source.read(16)
    while source.tell() < len(document) - len(_AVRO):
        _long(source)
        data = source.read(_long(source))
        source.read(16)
        yield zlib.decompress(data, -15) if codec == b"deflate" else data


def _long(source: io.BytesIO) -> int:
    """A variable-length zig-zag integer."""
    number = shift = 0
    while True:
        byte = source.read(1)
        if not byte:
            raise EOFError("an Avro file ends within a number")
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (number >> 1) ^ -(number & 1)
        shift += 7
