"""Recognises content that is neither JSON lines nor CSV in UTF-8, by its first bytes."""

from __future__ import annotations

import codecs

from lake.errors import TerminalError

HEAD_BYTES = 512
_TO_UTF8 = "convert it to UTF-8, e.g. by iconv -f {} -t UTF-8".format
_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_FORMS = (
    (b"\x1f\x8b", "gzip once more: unpack it once"),
    (b"PK\x03\x04", "a ZIP archive (or a spreadsheet, .xlsx): export each sheet or file as CSV and compress that by gzip"),
    (b"BZh", "bzip2: compress the plain file by gzip"),
    (b"\x28\xb5\x2f\xfd", "Zstandard: compress the plain file by gzip"),
    (b"\xfd7zXZ\x00", "xz: compress the plain file by gzip"),
    (b"PAR1", "Parquet: write its rows as CSV or JSON lines"),
    (b"Obj\x01", "Avro: write its records as JSON lines"),
    (b"ORC", "ORC: write its rows as CSV or JSON lines"),
    (b"%PDF", "a PDF document"),
    (b"PGDMP", "a dump of pg_dump: use COPY … TO … WITH (FORMAT csv, HEADER)"),
)
_TAR_MAGIC, _TAR_AT = b"ustar", 257
_LETTERS = 8
_FIRST_OF_TEXT, _LAST_OF_ASCII = 9, 127


class WrongContent(TerminalError):
    """The file's encoding or format does not match its name."""


def check_content(head: bytes) -> None:
    """Check the first bytes. Raises ``WrongContent`` if they belong to another encoding or to a container."""
    if (found := wrong_content(head)) is not None:
        raise WrongContent(f"the file is {found}; expected JSON lines or CSV in UTF-8, compressed once by gzip")


def wrong_content(head: bytes) -> str | None:
    """The kind of content and the advice to convert it. None if the bytes may be text in UTF-8."""
    if head[_TAR_AT:].startswith(_TAR_MAGIC):
        return "a tar archive: unpack it and compress each file by gzip"
    for mark, encoding in _ENCODINGS:
        if head.startswith(mark):
            return f"{encoding} text: {_TO_UTF8(encoding)}"
    is_binary = any(byte < _FIRST_OF_TEXT or byte > _LAST_OF_ASCII for byte in head)
    for start, form in _FORMS:
        if is_binary and head.startswith(start):
            return form
    letters = head[: 2 * _LETTERS]
    if len(letters) == 2 * _LETTERS:
        low, high = letters[::2], letters[1::2]
        if not any(high) and all(low):
            return f"UTF-16 text: {_TO_UTF8('UTF-16LE')}"
        if not any(low) and all(high):
            return f"UTF-16 text: {_TO_UTF8('UTF-16BE')}"
    return None
