"""Files by table, status and time, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from typing import Any

from lake.control.records import STATUSES, ControlRecord, Page, timestamp
from lake.control.store import ControlStore, file_key

BATCH_GET_LIMIT = 100


class FileListing(ControlStore):
    """Reads the table's three indexes. Their sort key ``listed_at`` is creation time and file id."""

    def list_files(
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
        if table and status:
            partitions = [("by_table_status", "table_status", f"{table}#{status}")]
        elif table:
            partitions = [("by_table", "table_name", table)]
        else:
            partitions = [("by_status", "status", value) for value in ([status] if status else STATUSES)]
        streams = [self._index(*partition, low, high, page_size) for partition in partitions]
        # a file that changes its status meanwhile may be in two streams
        for _, (item, *_) in groupby(merge(*streams, key=_place, reverse=True), key=_place):
            yield ControlRecord.of_item(item)

    def _index(self, index: str, name: str, value: str, low: str, high: str, page_size: int) -> Iterator[dict[str, Any]]:
        from boto3.dynamodb.conditions import Key

        condition = Key(name).eq(value) & Key("listed_at").between(low, high)
        paging = {"PageSize": page_size}
        for page in self.query_pages(IndexName=index, KeyConditionExpression=condition, ScanIndexForward=False, PaginationConfig=paging):
            # BETWEEN includes both ends, but the cursor's own item was on the last page
            yield from (item for item in page["Items"] if item["listed_at"] != high)

    def count_files(self, table: str, status: str) -> int:
        """The number of a table's files in a status."""
        from boto3.dynamodb.conditions import Key

        condition = Key("table_status").eq(f"{table}#{status}")
        return sum(
            page["Count"] for page in self.query_pages(IndexName="by_table_status", KeyConditionExpression=condition, Select="COUNT")
        )

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
            answer = self.table.meta.client.batch_get_item(RequestItems={self.name: request})
            found |= {item["file_id"]: item["status"] for item in answer["Responses"].get(self.name, ())}
            waiting += answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
        return found


def _place(item: Mapping[str, Any]) -> str:
    return str(item["listed_at"])
