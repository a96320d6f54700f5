"""DMS's messages: the JSON of a data or control record for a Kinesis target.

They follow these endpoint settings: json-unformatted, IncludeTransactionDetails, IncludePartitionValue, PartitionIncludeSchemaTable,
IncludeTableAlterOperations, IncludeControlDetails, IncludeNullAndEmpty. The task has BeforeImageSettings with pk-only.
https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import orjson

from datamaster.replicator.pgoutput import UNCHANGED, Begin, RowChange, Value, Values
from datamaster.source.pg_catalog import SourceColumn, Table
from lake.errors import TerminalError

POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
PARTITION_KEY_CHARACTERS = 256
LEFT_OUT = "left-out-columns"
"""Metadata that DMS does not have: columns whose values were too large or could not be written."""
OPERATIONS = {"I": "insert", "U": "update", "D": "delete"}


class UnwritableValue(TerminalError):
    """A value has no form in a message."""


class StreamRecord(NamedTuple):
    """A record for the stream; ``partition_key`` decides its shard."""

    partition_key: str
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that count against Kinesis's limits: data and partition key."""
        return len(self.data) + len(self.partition_key.encode())


@dataclass(frozen=True)
class Transaction:
    """The transaction of some changes. ``previous`` names the last record of the transaction before."""

    begin: Begin
    previous: tuple[int, int] | None = None

    @cached_property
    def committed_at(self) -> str:
        """The commit's time in DMS's form."""
        return iso(POSTGRES_EPOCH + timedelta(microseconds=self.begin.committed_at))


def iso(moment: datetime) -> str:
    """A UTC time in DMS's form, with microseconds and Z."""
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def lsn_text(lsn: int) -> str:
    """A log position in DMS's form, for example 00000002/7C007178."""
    return f"{lsn >> 32:08X}/{lsn & 0xFFFFFFFF:08X}"


def load_record(table: Table, values: Sequence[Value], left_out: Sequence[str] = ()) -> StreamRecord:
    """The record of a row that a full load read; ``values`` are texts in the order of the table's columns."""
    data = {name: write(value) if isinstance(value, bytes) else None for (name, write), value in zip(table.writers, values, strict=True)}
    for name in left_out:
        del data[name]
    return _data_record(table, "load", {"data": data}, values, {LEFT_OUT: left_out} if left_out else {})


def change_record(
    table: Table, change: RowChange, transaction: Transaction, number: int, lsn: int, left_out: Sequence[str] = ()
) -> StreamRecord:
    """The record of a change: the ``number``-th of its transaction, from 1, at ``lsn`` of the log.

    A column that an update did not carry is absent. A delete carries its key, even if that is a LOB, and nulls. Under REPLICA IDENTITY FULL
    it also carries other columns except LOBs.
    """
    begin = transaction.begin
    details: dict[str, object] = {
        "transaction-id": begin.transaction_id,
        "transaction-record-id": number,
        "commit-timestamp": transaction.committed_at,
        "stream-position": f"{lsn_text(begin.commit_lsn)}.{number}.{lsn_text(lsn)}",
    }
    if transaction.previous is not None:
        details["prev-transaction-id"], details["prev-transaction-record-id"] = transaction.previous
    if left_out:
        details[LEFT_OUT] = left_out
    if change.new is None:
        old = change.old or []
        body: dict[str, object] = {"data": _deleted(table, old)}
        return _data_record(table, "delete", body, old, details)
    body = {"data": _carried(table, change.new)}
    if change.kind == "U":
        body["before-image"] = _before_image(table, change.old, change.new)
    return _data_record(table, OPERATIONS[change.kind], body, change.new, details)


def control_record(task: str, operation: str, schema: str, table: str, definition: dict[str, object] | None = None) -> StreamRecord:
    """A control record, e.g. ``drop-table``; ``definition`` is the ``table-def`` of those that have one."""
    message = {
        "control": {} if definition is None else {"table-def": definition},
        "metadata": {
            "timestamp": iso(datetime.now(UTC)),
            "record-type": "control",
            "operation": operation,
            "partition-key-type": "task-id",
            "partition-key-value": task,
            "schema-name": schema,
            "table-name": table,
        },
    }
    return StreamRecord(f"{task}.{schema}.{table}"[:PARTITION_KEY_CHARACTERS], orjson.dumps(message))


def key_text(table: Table, values: Sequence[Value]) -> str:
    """A row's key for people, for example ``order_id=7, line=2``. Undecodable bytes appear as ``\\xhh``."""
    pairs = ((name, values[place] if place < len(values) else None) for name, place in zip(table.key, table.key_places, strict=True))
    shown = (
        f"{name}={value.decode(table.codec, 'backslashreplace')}" if isinstance(value, bytes) else f"{name}=?" for name, value in pairs
    )
    return ", ".join(shown)


def largest(table: Table, values: Sequence[Value]) -> SourceColumn | None:
    """The column of the longest value outside of the key, None if there is none."""
    sizes = [
        (len(value), place) for place, value in enumerate(values) if isinstance(value, bytes) and table.columns[place].name not in table.key
    ]
    return table.columns[max(sizes)[1]] if sizes else None


def unwritable(table: Table, values: Sequence[Value], error: Exception) -> tuple[SourceColumn | None, Exception]:
    """The first column whose value cannot be written, and why; without a column if the row as a whole cannot."""
    for column, value in zip(table.columns, values, strict=False):
        if isinstance(value, bytes):
            try:
                orjson.dumps(column.form.write(value))
            except UnicodeDecodeError as failure:
                return column, UnwritableValue(f"bytes that are no {failure.encoding.upper()}: {_shown(failure)}")
            except Exception as failure:  # any error identifies the column
                return column, failure
    return None, error


def _shown(failure: UnicodeDecodeError) -> str:
    return " ".join(f"0x{byte:02x}" for byte in failure.object[failure.start : failure.end])


def _carried(table: Table, values: Values) -> dict[str, object]:
    return {
        column.name: None if value is None else column.form.write(value)
        for column, value in zip(table.columns, values, strict=True)
        if value is not UNCHANGED
    }


def with_key(table: Table, change: RowChange) -> RowChange:
    """The change with its whole key: one that is stored out of line and did not change stands in the old image only."""
    if change.new is None or change.old is None or not any(change.new[place] is UNCHANGED for place in table.key_places):
        return change
    new = list(change.new)
    for place in table.key_places:
        if new[place] is UNCHANGED:
            new[place] = change.old[place]
    return replace(change, new=new)


def _deleted(table: Table, values: Values) -> dict[str, object]:
    return {
        column.name: None
        if value is None or value is UNCHANGED or (column.form.large and column.name not in table.key)
        else column.form.write(value)
        for column, value in zip(table.columns, values, strict=True)
    }


def _before_image(table: Table, old: Values | None, new: Values) -> dict[str, object]:
    """The old key if it changed, else nothing."""
    if old is None:
        return {}
    image, changed = {}, False
    for column, before, after in zip(table.columns, old, new, strict=True):
        if column.name in table.key and isinstance(before, bytes):
            image[column.name] = column.form.write(before)
            changed = changed or before != after
    return image if changed else {}


def _data_record(
    table: Table, operation: str, body: dict[str, object], values: Sequence[Value], details: dict[str, object]
) -> StreamRecord:
    parts = [values[place] for place in table.key_places]
    key = ".".join([table.schema, table.name, *[part.decode(table.codec) for part in parts if isinstance(part, bytes)]])
    body["metadata"] = {
        "timestamp": iso(datetime.now(UTC)),
        "record-type": "data",
        "operation": operation,
        "partition-key-type": "primary-key",
        "partition-key-value": key,
        "schema-name": table.schema,
        "table-name": table.name,
        **details,
    }
    return StreamRecord(key[:PARTITION_KEY_CHARACTERS], orjson.dumps(body))
