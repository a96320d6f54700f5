"""A table with history: its log of changes, its versions, its present rows, and batches of changes to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.lake.lake_tables import SEEN, STAMP, write_bronze
from jobs.iceberg.catalog import SILVER
from jobs.iceberg.tables import applied_at, ensure, ensure_silver
from jobs.silver.history import History
from lake import cdc
from lake.contract import Contract
from lake.keys import silver_location

VERSIONS = 4
COMMITS = 10


def make_past(contract: Contract, bucket: str, keys: int) -> None:
    """Notes that were written once and changed three times. Every tenth change leaves the text out."""
    keeper = History(None, contract, bucket, 0)
    log = ensure(SILVER, keeper.log, keeper._log_fields(), (), silver_location(bucket, keeper.log))
    versions = ensure(SILVER, keeper.table, keeper._fields(), (), silver_location(bucket, keeper.table))
    silver = ensure_silver(contract, bucket)
    step = -(-keys * VERSIONS // COMMITS)
    for first in range(0, keys * VERSIONS, step):
        numbers = np.arange(first, min(first + step, keys * VERSIONS))
        columns = note_columns(numbers, keys)
        log.append(_as(log, columns))
        versions.append(_as(versions, columns))
    numbers = np.arange(keys * (VERSIONS - 1), keys * VERSIONS)
    silver.append(_as(silver, note_columns(numbers, keys)))


def note_columns(numbers: np.ndarray, keys: int) -> dict[str, pa.Array]:
    """The changes with these numbers, in the log's order: key, values, place, time, and the end of each version."""
    turn = numbers // keys
    places = [str(cdc.Position(1_000 + int(number), 1, 0)) for number in numbers]
    moments = [SEEN + timedelta(milliseconds=int(number)) for number in numbers]
    last = turn == VERSIONS - 1
    ends = [None if is_last else moment + timedelta(milliseconds=keys) for moment, is_last in zip(moments, last, strict=True)]
    left_out = (turn > 0) & (numbers % 10 == 0)
    body = [f"{number:0200d}" for number in numbers]
    return {
        "note_id": pa.array(numbers % keys),
        "label": pa.array([f"label {number}" for number in numbers]),
        "body": pa.array(body),
        cdc.OPERATION: pa.array(np.where(turn == 0, cdc.INSERT, cdc.UPDATE)),
        cdc.POSITION: pa.array(places),
        cdc.BUILT_AT: pa.array(moments, STAMP),
        cdc.COMMITTED_AT: pa.array(moments, STAMP),
        cdc.UNCHANGED: pa.array([["body"] if out else None for out in left_out], pa.list_(pa.string())),
        "cdc_generation": pa.array([0] * len(numbers)),
        "cdc_valid_at": pa.array(moments, STAMP),
        "valid_from": pa.array(moments, STAMP),
        "valid_to": pa.array(ends, STAMP),
        "is_current": pa.array(last),
        "created_at": pa.array([SEEN] * len(numbers), STAMP),
        "updated_at": pa.array([SEEN] * len(numbers), STAMP),
        applied_at("body"): pa.array([f"{0:017d}/{place}" for place in places]),
    }


def write_batch(bucket: str, name: str, numbers: np.ndarray, keys: int) -> list[str]:
    """Write one bronze file of changes. Returns its URI."""
    names = ("note_id", "label", "body", cdc.OPERATION, cdc.POSITION, cdc.BUILT_AT, cdc.COMMITTED_AT, cdc.UNCHANGED)
    columns = note_columns(numbers, keys)
    return write_bronze(bucket, name, pa.table({name: columns[name] for name in names}))


def _as(table: Any, columns: dict[str, pa.Array]) -> pa.Table:
    """The table's own columns of these. The log has its list of columns as text."""
    schema, count = table.schema().as_arrow(), len(columns["note_id"])
    own = columns | {cdc.UNCHANGED: pa.array([",".join(names or []) for names in columns[cdc.UNCHANGED].to_pylist()])}
    arrays = [own[field.name].cast(field.type) if field.name in own else pa.nulls(count, field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)
