"""Results as Athena leaves them: one CSV object in S3, every value quoted, nulls as nothing, read back in pages.

https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
import pyarrow.csv

from datamaster.athena.result_values import nested_text

Row = list[str | None]

_FIELD = re.compile(rb'(?:"([^"]*(?:""[^"]*)*)")?([,\n])')
_CHUNK_BYTES = 1 << 18


class InvalidToken(ValueError):
    """A page's token that this service did not give."""


@dataclass(frozen=True)
class ResultPage:
    """Some rows of a result and the token of the next page, None at the end."""

    rows: list[Row]
    token: str | None


def write_csv(batches: Iterable[pyarrow.RecordBatch], names: list[str], path: Path) -> int:
    """Write a result with its header row. Returns the number of rows."""
    rows = 0
    with path.open("wb") as sink:
        sink.write(",".join(_quoted(name) for name in names).encode() + b"\n")
        schema = pyarrow.schema([(f"c{index}", pyarrow.string()) for index in range(len(names))])
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
        with pyarrow.csv.CSVWriter(sink, schema, write_options=options) as writer:
            for batch in batches:
                writer.write_batch(pyarrow.record_batch([_texts(column) for column in batch.columns], schema=schema))
                rows += batch.num_rows
    return rows


def write_lines(lines: Iterable[str], path: Path) -> None:
    """Write the answer of a SHOW or DESCRIBE: plain lines, no header."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def page(s3: Any, bucket: str, key: str, token: str | None, limit: int) -> ResultPage:
    """Read at most ``limit`` rows (the header is one) of a CSV result. Raises ``InvalidToken``.

    The token is the byte offset of the next page, so no state is kept and no row is read twice.
    """
    start = _offset(token)
    size = s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
    if start >= size:
        return ResultPage([], None)
    body = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-")["Body"]
    rows: list[Row] = []
    end = start
    for row, consumed in _records(body):
        rows.append(row)
        end = start + consumed
        if len(rows) == limit:
            break
    body.close()
    return ResultPage(rows, base64.urlsafe_b64encode(str(end).encode()).decode() if end < size else None)


def line_page(s3: Any, bucket: str, key: str, token: str | None, limit: int) -> ResultPage:
    """The same for the plain lines of SHOW and DESCRIBE; the token counts lines."""
    lines = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
    start = _offset(token)
    end = start + limit
    return ResultPage(
        [[line] for line in lines[start:end]], base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(lines) else None
    )


def _records(body: BinaryIO) -> Iterator[tuple[Row, int]]:
    buffer, place, consumed = b"", 0, 0
    row: Row = []
    while True:
        match = _FIELD.match(buffer, place)
        if match is None:
            more = body.read(_CHUNK_BYTES)
            if not more:
                return
            buffer, place = buffer[place:] + more, 0
            continue
        row.append(None if match[1] is None else match[1].replace(b'""', b'"').decode())
        consumed += match.end() - place
        place = match.end()
        if match[2] == b"\n":
            yield row, consumed
            row = []


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error) as error:
        raise InvalidToken(token) from error


def _texts(column: pyarrow.Array) -> pyarrow.Array:
    if pyarrow.types.is_string(column.type):
        return column
    if not pyarrow.types.is_nested(column.type):
        return column.cast(pyarrow.string())
    return pyarrow.array([None if value is None else nested_text(value, column.type) for value in column.to_pylist()], pyarrow.string())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
