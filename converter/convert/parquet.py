"""Bronze Parquet: the same rows give the same bytes, regardless of the blocks they came in and the number of cores.

Rows are regrouped into slices of a fixed number of rows before anything is written. Row groups and parts are cut
between slices, by rows and by a limit in bytes that depends on the rows alone.

https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lake.cdc import POSITION, TRANSACTION_ID

SLICE_ROWS = 16_384
GROUP_BYTES = 32 << 20
"""Arrow bytes of a row group. Twice as many held 38 MB more of 1.5 million CSV rows and took up to 5 % longer, for 0.1 % of the file."""
GROUP_TEXT_BYTES = 40 << 20
"""Bytes of text that end a row group earlier. Two groups are in memory, and longer ones would take a conversion beyond 256 MB."""
SLICE_TEXT_BYTES = 16 << 20
"""Bytes of text that end a slice earlier, after the row that reaches them. Its rows are in memory twice for a moment."""
PART_GROUPS = 16
TEXT_BYTES = 32
"""The assumed size of a text in bytes, for the number of rows per group."""
COMPRESSION_LEVEL = 1
PAGE_BATCH_ROWS = 4_096


def rows_per_group(schema: pa.Schema) -> int:
    """The number of rows in a row group of about 32 MB of Arrow memory. It is a whole number of slices and follows from the schema."""
    row_bytes = sum(_width(field.type) for field in schema)
    return max(1, round(GROUP_BYTES / row_bytes / SLICE_ROWS)) * SLICE_ROWS


def _width(kind: pa.DataType) -> int:
    return TEXT_BYTES if not pa.types.is_primitive(kind) and not pa.types.is_decimal(kind) else max(1, kind.bit_width // 8)


def writer_options(schema: pa.Schema, spread: frozenset[str]) -> dict[str, object]:
    """The writer's options: deltas for integers with many values, shared prefixes for positions, dictionaries for all else.

    ``spread`` names the columns whose values repeat too little for a dictionary: ids, times, positions of changes.
    All columns have statistics.
    Encodings: https://parquet.apache.org/docs/file-format/data-pages/encodings/
    """
    encodings = {POSITION: "DELTA_BYTE_ARRAY"} if POSITION in spread else {}
    for field in schema:
        is_spread = pa.types.is_integer(field.type) and (field.name in spread or field.name == TRANSACTION_ID)
        if is_spread or pa.types.is_timestamp(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
    return {
        "compression": "zstd",
        "compression_level": COMPRESSION_LEVEL,
        "use_dictionary": [field.name for field in schema if field.name not in encodings and not pa.types.is_nested(field.type)],
        "column_encoding": encodings,
        "write_statistics": True,
        "write_batch_size": PAGE_BATCH_ROWS,
        "version": "2.6",
    }


class PartWriter:
    """Writes one file's rows into parts. It is not thread-safe, since rows come in the order of the source.

    Its own thread encodes a full row group while the next one fills, so at most two are in memory. In that thread,
    ``open_part`` opens the file object of part n, which is not closed here. ``metadata`` goes into every part's footer.
    A failure in the thread is raised by a later ``write`` or by ``close``. After any other failure call ``stop``.
    """

    def __init__(
        self, schema: pa.Schema, metadata: Mapping[str, str], spread: frozenset[str], open_part: Callable[[int], BinaryIO]
    ) -> None:
        self._schema = schema.with_metadata(dict(metadata))
        self._open_part = open_part
        self._options = writer_options(schema, spread)
        self._group_rows = rows_per_group(schema)
        self._part_rows = self._group_rows * PART_GROUPS
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._pending_text = 0
        self._group: list[pa.RecordBatch] = []
        self._group_fill = 0
        self._group_text = 0
        self._rows_in_part = 0
        self._part: pq.ParquetWriter | None = None
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._encoding: Future[None] | None = None
        self.parts = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add the next rows."""
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, min(SLICE_ROWS - self._pending_rows, batch.num_rows - start))
            piece, text = _until(piece, SLICE_TEXT_BYTES - self._pending_text)
            start += piece.num_rows
            self._pending.append(piece)
            self._pending_rows += piece.num_rows
            self._pending_text += text
            if self._pending_rows == SLICE_ROWS or self._pending_text >= SLICE_TEXT_BYTES:
                self._end_slice()

    def close(self) -> None:
        """Write the remaining rows. A source without rows gets one part without rows."""
        if self._pending_rows:
            self._end_slice()
        self._end_group()
        self.flush()
        if self.parts == 0:
            self._begin_part()
        self._end_part()
        self.stop()

    def stop(self) -> None:
        """Wait until nothing is being written, and release an unfinished part. Safe after any failure, and safe to repeat."""
        self._encoder.shutdown(wait=True, cancel_futures=True)
        with suppress(Exception):
            self._end_part()

    def _end_slice(self) -> None:
        whole = pa.concat_batches(self._pending)
        self._group.append(whole)
        self._group_fill += whole.num_rows
        self._group_text += self._pending_text
        self._pending, self._pending_rows, self._pending_text = [], 0, 0
        if self._group_fill >= self._group_rows or self._group_text >= GROUP_TEXT_BYTES:
            self._end_group()

    def _end_group(self) -> None:
        if self._group:
            self.flush()
            self._encoding = self._encoder.submit(self._encode, pa.Table.from_batches(self._group, schema=self._schema))
            self._group, self._group_fill, self._group_text = [], 0, 0

    def flush(self) -> None:
        """Wait until every full row group is encoded."""
        if self._encoding is not None:
            self._encoding.result()
            self._encoding = None

    def _encode(self, group: pa.Table) -> None:
        part = self._part or self._begin_part()
        part.write_table(group, row_group_size=group.num_rows)
        self._rows_in_part += group.num_rows
        if self._rows_in_part >= self._part_rows:
            self._end_part()

    def _begin_part(self) -> pq.ParquetWriter:
        self._part = pq.ParquetWriter(self._open_part(self.parts), self._schema, **self._options)
        self.parts += 1
        return self._part

    def _end_part(self) -> None:
        if self._part is not None:
            self._part.close()
        self._part, self._rows_in_part = None, 0


def _until(batch: pa.RecordBatch, text_bytes: int) -> tuple[pa.RecordBatch, int]:
    """The rows up to the one at which their texts reach ``text_bytes``, or all rows, and the bytes of their texts."""
    ends = [_ends(column) for column in batch.columns if pa.types.is_string(column.type) or pa.types.is_binary(column.type)]

    def text_of(rows: int) -> int:
        return sum(column[rows] - column[0] for column in ends)

    if (whole := text_of(batch.num_rows)) < text_bytes:
        return batch, whole
    rows = 1 + bisect_left(range(1, batch.num_rows), text_bytes, key=text_of)
    return batch.slice(0, rows), text_of(rows)


def _ends(column: pa.Array) -> memoryview:
    """The end of each value in UTF-8 bytes, after the start of the first. The numbers depend on the rows alone.

    A null takes no bytes in an array that was just built.
    """
    return memoryview(column.buffers()[1]).cast("i")[column.offset : column.offset + len(column) + 1]
