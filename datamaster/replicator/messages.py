"""DMS's messages: the JSON that a data or control record of a Kinesis target holds.

Settings of the endpoint that they follow: json-unformatted, IncludeTransactionDetails, IncludePartitionValue,
PartitionIncludeSchemaTable, IncludeTableAlterOperations, IncludeControlDetails, IncludeNullAndEmpty; of the task:
BeforeImageSettings with pk-only. https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import orjson

from datamaster.replicator.pgoutput import UNCHANGED, Begin, Change, Value, Values
from datamaster.source.pg_catalog import Table

POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
PARTITION_KEY_CHARACTERS = 256
OPERATIONS = {"I": "insert", "U": "update", "D": "delete"}


class Record(NamedTuple):
    """A record for the stream; ``partition_key`` decides its shard."""

    partition_key: str
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that count against Kinesis's limits: data and partition key."""
        return len(self.data) + len(self.partition_key.encode())


@dataclass(frozen=True)
class Transaction:
    """The transaction that changes belong to; ``previous`` names the last record of the one before."""

    begin: Begin
    previous: tuple[int, int] | None = None

    @cached_property
    def committed_at(self) -> str:
        """The commit's time in DMS's form."""
        return iso(POSTGRES_EPOCH + timedelta(microseconds=self.begin.committed_at))


def iso(moment: datetime) -> str:
    """A time of UTC as DMS writes it: microseconds and Z."""
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def lsn_text(lsn: int) -> str:
    """A log position as DMS writes it, e.g. 00000002/7C007178."""
    return f"{lsn >> 32:08X}/{lsn & 0xFFFFFFFF:08X}"


def load_record(table: Table, values: Sequence[bytes | None]) -> Record:
    """The record of a row that a full load read; ``values`` are texts in the order of the table's columns."""
    data = {name: None if value is None else write(value) for (name, write), value in zip(table.writers, values, strict=True)}
    return _data_record(table, "load", {"data": data}, values, {})


def change_record(table: Table, change: Change, transaction: Transaction, number: int, lsn: int) -> Record:
    """The record of a change: the ``number``-th of its transaction, from 1, at ``lsn`` of the log.

    A column that an update did not carry is absent. A delete carries the key and nulls; under REPLICA IDENTITY FULL
    also what is no LOB.
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
    if change.new is None:
        old = change.old or []
        body: dict[str, object] = {"data": _deleted(table, old)}
        return _data_record(table, "delete", body, old, details)
    body = {"data": _carried(table, change.new)}
    if change.kind == "U":
        body["before-image"] = _before_image(table, change.old, change.new)
    return _data_record(table, OPERATIONS[change.kind], body, change.new, details)


def control_record(task: str, operation: str, schema: str, table: str, definition: dict[str, object] | None = None) -> Record:
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
    return Record(f"{task}.{schema}.{table}"[:PARTITION_KEY_CHARACTERS], orjson.dumps(message))


def _carried(table: Table, values: Values) -> dict[str, object]:
    return {
        column.name: None if value is None else column.form.write(value)
        for column, value in zip(table.columns, values, strict=True)
        if value is not UNCHANGED
    }


def _deleted(table: Table, values: Values) -> dict[str, object]:
    return {
        column.name: None if value is None or value is UNCHANGED or column.form.large else column.form.write(value)
        for column, value in zip(table.columns, values, strict=True)
    }


def _before_image(table: Table, old: Values | None, new: Values) -> dict[str, object]:
    """The old key where it changed, else nothing."""
    if old is None:
        return {}
    image, changed = {}, False
    for column, before, after in zip(table.columns, old, new, strict=True):
        if column.name in table.key and isinstance(before, bytes):
            image[column.name] = column.form.write(before)
            changed = changed or before != after
    return image if changed else {}


def _data_record(table: Table, operation: str, body: dict[str, object], values: Sequence[Value], details: dict[str, object]) -> Record:
    parts = [values[place] for place in table.key_places]
    key = ".".join([table.schema, table.name, *[part.decode() for part in parts if isinstance(part, bytes)]])
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
    return Record(key[:PARTITION_KEY_CHARACTERS], orjson.dumps(body))
