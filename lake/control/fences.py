"""Fences of the lake's tables. A file with records behind a new fence is merged again, into the generation that it begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from lake.control.file_states import FileStates
from lake.control.items import Items, attribute, is_new, table_key
from lake.control.listing import FileListing
from lake.control.records import SILVER, now, parse_timestamp, timestamp
from lake.generations import Fence

CLOCK_SLACK = timedelta(hours=1)
"""A file is registered after its rows were built, but the two clocks may differ by this much."""


@dataclass(frozen=True)
class KeptFence:
    """A fence, the time at which it was stored, and whether every file behind it was put back since."""

    fence: Fence
    seen_at: datetime
    requeued: bool


@dataclass(frozen=True)
class Fences:
    """The fences of every table, and the silver files behind them."""

    items: Items
    listing: FileListing
    files: FileStates

    def of(self, table: str) -> list[Fence]:
        """A table's fences, oldest first."""
        return [kept.fence for kept in self.kept(table)]

    def kept(self, table: str) -> Iterator[KeptFence]:
        """A table's fences as they were stored, oldest first."""
        for item in self.items.under(table_key(table, "fence#")):
            fence = Fence(parse_timestamp(item["at"]), item["kind"])
            yield KeptFence(fence, parse_timestamp(item["seen_at"]), bool(item.get("requeued_at")))

    def add(self, table: str, fence: Fence) -> bool:
        """Keep a fence, and put files with newer records back to bronze. Returns False if the fence is known.

        If an earlier call stored the fence and crashed, this call puts the remaining files back.
        """
        key = _key(table, fence)
        added = self.items.put({**key, "at": timestamp(fence.at), "kind": fence.kind, "seen_at": now()}, is_new())
        if not added and (self.items.get(key) or {}).get("requeued_at"):
            return False
        self.requeue_newer(table, fence)
        self.mark_requeued(table, fence)
        return added

    def mark_requeued(self, table: str, fence: Fence) -> None:
        """Record that every file behind a fence was put back. Without this mark, the next ``add`` repeats the work."""
        self.items.update(_key(table, fence), {"requeued_at": now()}, attribute("pk").exists())

    def requeue_newer(self, table: str, fence: Fence) -> int:
        """Put a table's silver files with records behind the fence back to bronze. Returns their number."""
        at = timestamp(fence.at)
        merged = self.listing.files(table=table, status=SILVER, since=fence.at - CLOCK_SLACK)
        return sum(self.files.back_to_bronze(record.file_id) for record in merged if (record.built_at_max or "") >= at)


def _key(table: str, fence: Fence) -> dict[str, str]:
    return table_key(table, f"fence#{timestamp(fence.at)}#{fence.kind}")
