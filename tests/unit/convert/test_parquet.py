"""The same rows give the same bytes, however they were cut into batches."""

from __future__ import annotations

import gc
import io
import sys
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convert import parquet as parquet_module

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("score", pa.float64()),
        ("cdc_position", pa.string()),
        ("cdc_built_at", pa.timestamp("us", "UTC")),
        ("cdc_unchanged", pa.list_(pa.string())),
    ]
)


@pytest.fixture
def parquet(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(parquet_module, "SLICE_ROWS", 64)
    monkeypatch.setattr(parquet_module, "GROUP_BYTES", 40_000)
    monkeypatch.setattr(parquet_module, "GROUP_TEXT_BYTES", 40_000)
    monkeypatch.setattr(parquet_module, "SLICE_TEXT_BYTES", 45_000)
    monkeypatch.setattr(parquet_module, "PART_GROUPS", 2)
    return parquet_module


def rows(count: int, text: str = "name") -> pa.RecordBatch:
    return pa.record_batch(
        [
            pa.array(range(count), pa.int64()),
            pa.array([None if n % 5 == 0 else f"{text} {n}" for n in range(count)], pa.string()),
            pa.array([n % 7 / 2 for n in range(count)], pa.float64()),
            pa.array([f"{n:016x}-0000000000-0" for n in range(count)], pa.string()),
            pa.array([None if n < 100 else n for n in range(count)], pa.timestamp("us", "UTC")),
            pa.array([["name"] if n % 3 == 0 else None for n in range(count)], pa.list_(pa.string())),
        ],
        schema=SCHEMA,
    )


def written(parquet: Any, batches: list[pa.RecordBatch]) -> list[bytes]:
    parts: list[io.BytesIO] = []

    def open_part(_: int) -> io.BytesIO:
        parts.append(io.BytesIO())
        return parts[-1]

    writer = parquet.PartWriter(SCHEMA, {"file_id": "f"}, frozenset({"id"}), open_part)
    for batch in batches:
        writer.write(batch)
    writer.close()
    return [part.getvalue() for part in parts]


ALL = rows(1500)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 1500), max_size=12))
def test_bytes_do_not_depend_on_the_cuts_between_batches(parquet: Any, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), 1500]
    copies = [pa.concat_batches([ALL.slice(a, b - a), rows(0)]) for a, b in pairwise(places)]

    assert written(parquet, copies) == written(parquet, [ALL])


def test_every_row_is_written_once_and_in_order(parquet: Any) -> None:
    parts = written(parquet, [ALL])

    assert len(parts) > 1
    assert pa.concat_tables(pq.read_table(io.BytesIO(part)) for part in parts).to_pylist() == ALL.to_pylist()


def test_parts_but_the_last_hold_the_same_number_of_rows(parquet: Any) -> None:
    counts = [pq.read_metadata(io.BytesIO(part)).num_rows for part in written(parquet, [ALL])]

    assert len({*counts[:-1]}) == 1
    assert counts[-1] <= counts[0]


def test_long_texts_make_smaller_row_groups(parquet: Any) -> None:
    (part, *_) = written(parquet, [rows(300, "x" * 800)])

    groups = pq.read_metadata(io.BytesIO(part))
    assert groups.row_group(0).num_rows == parquet.SLICE_ROWS


@pytest.mark.parametrize("step", [1, 7, 300])
def test_texts_of_any_length_hold_no_more_than_a_slice_of_them_and_one_row_in_memory(parquet: Any, step: int) -> None:
    every = rows(300, "x" * 9_000)
    batches = [pa.concat_batches([every.slice(start, step), rows(0)]) for start in range(0, 300, step)]
    parts = written(parquet, batches)

    counts = [
        metadata.row_group(n).num_rows
        for metadata in (pq.read_metadata(io.BytesIO(part)) for part in parts)
        for n in range(metadata.num_row_groups)
    ]
    assert set(counts[:-1]) <= {6, 7}  # five texts reach 45,000 bytes, and every fifth row has none
    assert sum(counts) == 300
    assert parts == written(parquet, [every])


def test_the_footer_names_the_file_and_columns_carry_statistics(parquet: Any) -> None:
    file = pq.ParquetFile(io.BytesIO(written(parquet, [ALL])[0]))

    assert file.schema_arrow.metadata[b"file_id"] == b"f"
    assert file.metadata.row_group(0).column(0).statistics.min == 0


def test_ids_and_times_are_deltas_and_repeated_values_a_dictionary(parquet: Any) -> None:
    group = pq.read_metadata(io.BytesIO(written(parquet, [ALL])[0])).row_group(0)
    encodings = {group.column(n).path_in_schema: group.column(n).encodings for n in range(group.num_columns)}

    assert "DELTA_BINARY_PACKED" in encodings["id"]
    assert "DELTA_BINARY_PACKED" in encodings["cdc_built_at"]
    assert "RLE_DICTIONARY" in encodings["score"]


def test_positions_share_prefixes_in_a_file_of_changes_and_are_a_dictionary_in_an_export(parquet: Any) -> None:
    of_changes = parquet.writer_options(SCHEMA, frozenset({"cdc_position"}))
    of_exports = parquet.writer_options(SCHEMA, frozenset())

    assert of_changes["column_encoding"]["cdc_position"] == "DELTA_BYTE_ARRAY"
    assert "cdc_position" not in of_exports["column_encoding"]
    assert "cdc_position" in of_exports["use_dictionary"]


def test_a_source_without_rows_gives_one_part_without_rows(parquet: Any) -> None:
    (part,) = written(parquet, [])

    assert pq.read_metadata(io.BytesIO(part)).num_rows == 0


class Full(io.BytesIO):
    """A file on a disk without space."""

    def write(self, _data: object) -> int:
        raise OSError("no space left")


def test_what_fails_while_a_group_is_encoded_is_raised_to_the_caller(parquet: Any) -> None:
    writer = parquet.PartWriter(SCHEMA, {}, frozenset(), lambda _: Full())

    with pytest.raises(OSError, match="no space left"):
        writer.write(ALL)
    writer.stop()
    writer.stop()


def test_a_writer_that_was_stopped_writes_no_more(parquet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    unraised: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)
    part = io.BytesIO()
    writer = parquet.PartWriter(SCHEMA, {}, frozenset(), lambda _: part)
    writer.write(ALL.slice(0, 500))

    writer.stop()
    part.close()
    del writer
    gc.collect()

    assert unraised == []
