"""Access to the control table's items. A write may depend on a condition, and then reports whether it held.

Conditions: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from lake import clients
from lake.control.records import timestamp


class Items:
    """One DynamoDB table by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def table(self) -> Any:
        """The boto3 table resource, made on first use."""
        return clients.dynamodb().Table(self.name)

    def get(self, key: Mapping[str, str]) -> dict[str, Any] | None:
        """One item as it is now, or None."""
        item: dict[str, Any] | None = self.table.get_item(Key=key, ConsistentRead=True).get("Item")
        return item

    def under(self, key: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The items of a key's partition whose sort key begins with the key's, in the order of the sort key."""
        condition = partition("pk", key["pk"]) & sort_key("sk").begins_with(key["sk"])
        for page in self.pages(KeyConditionExpression=condition, ConsistentRead=True):
            yield from page["Items"]

    def pages(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Every page of a query. The resource's own client takes conditions and Python values, and so does its paginator."""
        yield from self.table.meta.client.get_paginator("query").paginate(TableName=self.name, **query)

    def put(self, item: Mapping[str, Any], condition: Any = None) -> bool:
        """Write an item. Returns False if the condition does not hold."""
        return self._write(self.table.put_item, condition, Item=numbers(item)) is not None

    def delete(self, key: Mapping[str, str], condition: Any = None) -> bool:
        """Delete an item. Returns False if the condition does not hold."""
        return self._write(self.table.delete_item, condition, Key=key) is not None

    def update(
        self, key: Mapping[str, str], changes: Mapping[str, Any], condition: Any = None, add: Mapping[str, int] | None = None
    ) -> dict[str, Any] | None:
        """Change an item's attributes. A change to None removes the attribute, ``add`` adds to numbers.

        Returns the changed item, or None if the condition does not hold.
        """
        added = add or {}
        clauses = {
            "SET": [f"#{name} = :{name}" for name, value in changes.items() if value is not None],
            "REMOVE": [f"#{name}" for name, value in changes.items() if value is None],
            "ADD": [f"#{name} :{name}" for name in added],
        }
        values = {f":{name}": numbers(value) for name, value in {**changes, **added}.items() if value is not None}
        answer = self._write(
            self.table.update_item,
            condition,
            Key=key,
            UpdateExpression=" ".join(f"{word} {', '.join(parts)}" for word, parts in clauses.items() if parts),
            ExpressionAttributeNames={f"#{name}": name for name in (*changes, *added)},
            ReturnValues="ALL_NEW",
            **({"ExpressionAttributeValues": values} if values else {}),  # DynamoDB refuses an empty map
        )
        return None if answer is None else answer["Attributes"]

    def _write(self, call: Callable[..., dict[str, Any]], condition: Any, **arguments: Any) -> dict[str, Any] | None:
        if condition is not None:
            arguments["ConditionExpression"] = condition
        try:
            return call(**arguments)
        except self.table.meta.client.exceptions.ConditionalCheckFailedException:
            return None


def attribute(name: str) -> Any:
    """An attribute in a condition (``Attr``). boto3 is imported on first use."""
    from boto3.dynamodb.conditions import Attr

    return Attr(name)


def sort_key(name: str) -> Any:
    """A key's attribute in a query (``Key``)."""
    from boto3.dynamodb.conditions import Key

    return Key(name)


def partition(name: str, value: str) -> Any:
    """The condition that names a query's partition."""
    return sort_key(name).eq(value)


def is_new() -> Any:
    """The condition that the item does not exist."""
    return attribute("pk").not_exists()


def file_key(file_id: str) -> dict[str, str]:
    """The primary key of a file's item."""
    return {"pk": f"file#{file_id}", "sk": "file"}


def table_key(table: str, sort: str) -> dict[str, str]:
    """The primary key of one of a table's items."""
    return {"pk": f"table#{table}", "sk": sort}


def target_key(target: str, sort: str) -> dict[str, str]:
    """The primary key of one of a target's items."""
    return {"pk": f"target#{target}", "sk": sort}


def time_in(seconds: int) -> str:
    """The timestamp ``seconds`` from now."""
    return timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


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
