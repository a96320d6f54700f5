"""Files by table, status and time, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from typing import Any

from lake.control.items import Items, file_key, partition, sort_key
from lake.control.records import STATUSES, ControlRecord, Page, parse_timestamp, timestamp

BATCH_GET_LIMIT = 100


@dataclass(frozen=True)
class FileListing:
    """Reads the table's three indexes. Their sort key ``listed_at`` is creation time and file id."""

    items: Items

    def page(
        self,
        table: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """One page of files, newest first. ``cursor`` comes from the last page. ``since`` and ``until`` bound the creation time."""
        found = tuple(islice(self.files(table, status, since, until, cursor, limit + 1), limit + 1))
        if len(found) <= limit:
            return Page(found)
        last = found[limit - 1]
        return Page(found[:limit], f"{last.created_at}#{last.file_id}")

    def files(
        self,
        table: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        page_size: int = 200,
    ) -> Iterator[ControlRecord]:
        """Every file that matches, newest first, read page by page."""
        low = timestamp(since) if since else "0"
        high = min(cursor or "~", timestamp(until) + "~" if until else "~")
        if low > high:  # DynamoDB refuses such a BETWEEN, and a cursor may lie before a later ``since``
            return
        statuses = [status] if status or table else STATUSES
        streams = [self._index(table, value, low, high, page_size) for value in statuses]
        # a file that changes its status meanwhile may be in two streams
        for _, (item, *_) in groupby(merge(*streams, key=_place, reverse=True), key=_place):
            yield ControlRecord.of_item(item)

    def _index(self, table: str | None, status: str | None, low: str, high: str, page_size: int) -> Iterator[dict[str, Any]]:
        query = _index(table, status, sort_key("listed_at").between(low, high))
        for page in self.items.pages(**query, ScanIndexForward=False, PaginationConfig={"PageSize": page_size}):
            # BETWEEN includes both ends, but the cursor's own item was on the last page
            yield from (item for item in page["Items"] if item["listed_at"] != high)

    def count(self, table: str | None, status: str, since: datetime | None = None) -> int:
        """The number of files in a status, of one table or of all, registered since then."""
        query = _index(table, status, sort_key("listed_at").gte(timestamp(since)) if since else None)
        return sum(page["Count"] for page in self.items.pages(**query, Select="COUNT"))

    def oldest(self, table: str, status: str) -> datetime | None:
        """The time at which the oldest of a table's files in a status was registered."""
        found = self.items.table.query(**_index(table, status), Limit=1)["Items"]
        return parse_timestamp(found[0]["created_at"]) if found else None

    def known(self, file_ids: Iterable[str]) -> dict[str, str]:
        """The status of each of these files that has a record, by file id."""
        found: dict[str, str] = {}
        waiting = [file_key(file_id) for file_id in dict.fromkeys(file_ids)]
        while waiting:
            chunk, waiting = waiting[:BATCH_GET_LIMIT], waiting[BATCH_GET_LIMIT:]
            request = {
                "Keys": chunk,
                "ProjectionExpression": "file_id, #status",
                "ExpressionAttributeNames": {"#status": "status"},
                "ConsistentRead": True,
            }
            answer = self.items.table.meta.client.batch_get_item(RequestItems={self.items.name: request})
            found |= {item["file_id"]: item["status"] for item in answer["Responses"].get(self.items.name, ())}
            waiting += answer.get("UnprocessedKeys", {}).get(self.items.name, {}).get("Keys", [])
        return found


def _index(table: str | None, status: str | None, bounds: Any = None) -> dict[str, Any]:
    """The query of the index for a table, a status, or both."""
    if table and status:
        index, condition = "by_table_status", partition("table_status", f"{table}#{status}")
    elif table:
        index, condition = "by_table", partition("table_name", table)
    else:
        index, condition = "by_status", partition("status", str(status))
    return {"IndexName": index, "KeyConditionExpression": condition & bounds if bounds is not None else condition}


def _place(item: Mapping[str, Any]) -> str:
    return str(item["listed_at"])
