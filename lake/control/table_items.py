"""The control table's items of a lake table: fences, privacy decisions and watermarks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lake.control.listing import FileListing
from lake.control.records import BRONZE, SILVER, now, parse_timestamp, timestamp
from lake.control.store import numbers, table_key, without_keys
from lake.generations import Fence

CLOCK_SLACK = timedelta(hours=1)
"""A file is registered after its rows were built, but the two clocks may differ by this much."""


class TableItems(FileListing):
    """Fences, decisions and watermarks of the lake's tables."""

    def fences(self, table: str) -> list[Fence]:
        """A table's fences, oldest first."""
        return [Fence(parse_timestamp(item["at"]), item["kind"]) for item in self.items_of(table, "fence#")]

    def add_fence(self, table: str, fence: Fence) -> bool:
        """Keep a fence, and put files with newer records back to bronze. Returns False if the fence is known.

        If an earlier call stored the fence and crashed, this call puts the remaining files back.
        """
        key = _fence_key(table, fence)
        item = {
            **key,
            "at": timestamp(fence.at),
            "kind": fence.kind,
            "seen_at": now(),
        }
        try:
            self.table.put_item(Item=item, ConditionExpression="attribute_not_exists(pk)")
            is_new = True
        except self.condition_failed:
            is_new = False
            if self.table.get_item(Key=key, ConsistentRead=True)["Item"].get("requeued_at"):
                return False
        self.requeue_newer(table, fence)
        self.mark_requeued(table, fence)
        return is_new

    def mark_requeued(self, table: str, fence: Fence) -> None:
        """Record that every file behind a fence was put back. Without this mark, the next ``add_fence`` repeats the work."""
        self.table.update_item(
            Key=_fence_key(table, fence),
            UpdateExpression="SET requeued_at = :now",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":now": now()},
        )

    def requeue_newer(self, table: str, fence: Fence) -> int:
        """Put a table's silver files with records behind the fence back to bronze. Returns their number."""
        requeued = 0
        at = timestamp(fence.at)
        for record in self.files(table=table, status=SILVER, since=fence.at - CLOCK_SLACK):
            if record.built_at_max is not None and record.built_at_max >= at and self.back_to_bronze(record.file_id):
                requeued += 1
        return requeued

    def back_to_bronze(self, file_id: str) -> bool:
        """silver → bronze, for a file whose records belong to another generation than the one they were merged into."""
        try:
            self.change(file_id, BRONZE, {"batch_id": None, "silver_snapshot_id": None}, "#status = :silver", {":silver": SILVER})
        except self.condition_failed:
            return False
        return True

    def pii_decision(self, table: str, column: str) -> dict[str, Any] | None:
        """The decision on a column, or None while there is none."""
        item = self.table.get_item(Key=table_key(table, f"pii#{column}"), ConsistentRead=True).get("Item")
        return without_keys(item) if item else None

    def decide(self, table: str, column: str, decision: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a decision if there is none yet. Returns the decision in force, so that the loser of a race follows the winner."""
        item = {**numbers(decision), **table_key(table, f"pii#{column}"), "decided_at": now()}
        try:
            self.table.put_item(Item=item, ConditionExpression="attribute_not_exists(pk)")
        except self.condition_failed:
            return self.pii_decision(table, column) or {}
        return without_keys(item)

    def add_evidence(self, table: str, column: str, file_id: str, evidence: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Keep one file's evidence of a column (once per file). Returns the evidence of every file."""
        key = table_key(table, f"evidence#{column}#{file_id}")
        self.table.put_item(Item={**numbers(evidence), **key})
        return [without_keys(item) for item in self.items_of(table, f"evidence#{column}#")]

    def spend(self, table: str, day: str, units: int, limit: int) -> bool:
        """Take ``units`` of detection from a table's allowance of a UTC day (YYYY-MM-DD). Returns False if fewer are left."""
        if units > limit:
            return False
        try:
            self.table.update_item(
                Key=table_key(table, f"pii-units#{day}"),
                UpdateExpression="ADD spent :units",
                ConditionExpression="attribute_not_exists(spent) OR spent <= :left",
                ExpressionAttributeValues={":units": units, ":left": limit - units},
            )
        except self.condition_failed:
            return False
        return True

    def watermark(self, table: str) -> str | None:
        """The progress of a table's batch exports: the watermark column's value as text."""
        item = self.table.get_item(Key=table_key(table, "watermark"), ConsistentRead=True).get("Item")
        return str(item["value"]) if item else None

    def set_watermark(self, table: str, value: str, export_id: str) -> None:
        """Move a table's watermark."""
        self.table.put_item(Item={**table_key(table, "watermark"), "value": value, "export_id": export_id, "updated_at": now()})


def _fence_key(table: str, fence: Fence) -> dict[str, str]:
    return table_key(table, f"fence#{timestamp(fence.at)}#{fence.kind}")
