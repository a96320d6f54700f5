"""Access to the control table: keys, reads, and the conditional update behind every change.

Expressions: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from lake import clients
from lake.control.records import RUNNING, ControlRecord, now, timestamp
from lake.errors import TerminalError
from lake.keys import is_file_id


class UnknownFile(TerminalError):
    """The control table has no record of this file id."""

    def __init__(self, file_id: str) -> None:
        shown = file_id if len(file_id) <= 80 else f"{file_id[:80]}… ({len(file_id):,} characters)"
        super().__init__(f'no file "{shown}"; list them with dm files ls')


class WrongStatus(TerminalError):
    """The file's status does not allow this change."""

    def __init__(self, record: ControlRecord, wanted: str) -> None:
        super().__init__(f"file {record.file_id} is {record.status}; {wanted}")
        self.status = record.status


class AlreadyTaken(TerminalError):
    """Another execution holds the file's lease."""


class LeaseLost(TerminalError):
    """The lease expired and another execution took the file. This attempt must not publish anything."""


class ControlStore:
    """One DynamoDB table by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def table(self) -> Any:
        """The boto3 table resource, made on first use."""
        return clients.dynamodb().Table(self.name)

    def get(self, file_id: str) -> ControlRecord:
        """One file's record. Raises ``UnknownFile``."""
        # DynamoDB refuses a key beyond 2,048 bytes
        item = self.table.get_item(Key=file_key(file_id), ConsistentRead=True).get("Item") if is_file_id(file_id) else None
        if item is None:
            raise UnknownFile(file_id)
        return ControlRecord.of_item(item)

    def items_of(self, table: str, prefix: str) -> Iterable[dict[str, Any]]:
        """A table's items whose sort key begins with ``prefix``, in the order of that key."""
        return self.items_under(f"table#{table}", prefix)

    def items_under(self, partition: str, prefix: str) -> Iterator[dict[str, Any]]:
        """A partition's items whose sort key begins with ``prefix``, in its order."""
        from boto3.dynamodb.conditions import Key

        condition = Key("pk").eq(partition) & Key("sk").begins_with(prefix)
        for page in self.query_pages(KeyConditionExpression=condition, ConsistentRead=True):
            yield from page["Items"]

    def query_pages(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Every page of a query. The resource's own client takes conditions and Python values, and so does its paginator."""
        yield from self.table.meta.client.get_paginator("query").paginate(TableName=self.name, **query)

    @property
    def condition_failed(self) -> type[Exception]:
        """The exception that DynamoDB raises if a write's condition does not hold."""
        failed: type[Exception] = self.table.meta.client.exceptions.ConditionalCheckFailedException
        return failed

    def change_held(self, file_id: str, token: str, status: str | None, changes: Mapping[str, Any]) -> ControlRecord:
        """Change a running file whose lease is held. Raises ``LeaseLost``."""
        try:
            return self.change(
                file_id, status, changes, "#status = :running AND lease_token = :token", {":running": RUNNING, ":token": token}
            )
        except self.condition_failed:
            raise lease_lost(file_id) from None

    def change(
        self, file_id: str, status: str | None, changes: Mapping[str, Any], condition: str, values: Mapping[str, Any]
    ) -> ControlRecord:
        """Make one conditional update. A change to None removes the attribute."""
        sets: dict[str, Any] = {**{k: v for k, v in changes.items() if v is not None}, "updated_at": now()}
        if status is not None:
            sets |= status_keys(status, self.get(file_id).table_name)
        names = {f"#s{i}": name for i, name in enumerate(sets)}
        expression = "SET " + ", ".join(f"#s{i} = :s{i}" for i in range(len(sets)))
        removed = [name for name, value in changes.items() if value is None]
        if removed:
            names |= {f"#r{i}": name for i, name in enumerate(removed)}
            expression += " REMOVE " + ", ".join(f"#r{i}" for i in range(len(removed)))
        if "#status" in condition:
            names["#status"] = "status"
        arguments = {
            "Key": file_key(file_id),
            "ConditionExpression": f"attribute_exists(pk) AND ({condition})",
            "ReturnValues": "ALL_NEW",
        }
        bound = {**{f":s{i}": numbers(value) for i, value in enumerate(sets.values())}, **values}
        answer = self.table.update_item(
            UpdateExpression=expression, ExpressionAttributeNames=names, ExpressionAttributeValues=bound, **arguments
        )
        return ControlRecord.of_item(answer["Attributes"])


def file_key(file_id: str) -> dict[str, str]:
    """The primary key of a file's item."""
    return {"pk": f"file#{file_id}", "sk": "file"}


def table_key(table: str, sort: str) -> dict[str, str]:
    """The primary key of one of a table's items."""
    return {"pk": f"table#{table}", "sk": sort}


def status_keys(status: str, table: str) -> dict[str, str]:
    """The status, and the index key that contains it."""
    return {"status": status, "table_status": f"{table}#{status}"}


def time_in(seconds: int) -> str:
    """The timestamp ``seconds`` from now."""
    return timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


def lease_lost(file_id: str) -> LeaseLost:
    """The error for this file."""
    return LeaseLost(f"file {file_id}: the lease is held by another execution or was given back; this attempt publishes nothing")


def without_keys(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item without its primary key."""
    return {key: value for key, value in item.items() if key not in ("pk", "sk")}


def numbers(value: Any) -> Any:
    """The value for DynamoDB, with Decimals for floats."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, Mapping):
        return {key: numbers(entry) for key, entry in value.items()}
    return value
