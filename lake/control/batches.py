"""Batches in the control table: the open run of each table.

A target is a table of the lake with its layer, ``silver/review`` or ``gold/top_drinkers``. The item of its open batch is its
lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from lake.control.items import Items, attribute, is_new, target_key, time_in
from lake.control.records import now
from lake.errors import TransientError

QUALITY_RESULTS = "silver/quality_results"
BUILD, MAINTENANCE = "build", "maintenance"
"""The purposes of a batch. A maintenance batch holds no files and no months, so a dead one may be dropped."""


class BatchHeld(TransientError):
    """Another execution works on the target's open batch."""

    def __init__(self, target: str, batch_id: str, owner: str, until: str) -> None:
        super().__init__(f"{target}: batch {batch_id} is held by {owner} until {until}")


@dataclass(frozen=True)
class OpenBatch:
    """A target's open batch. ``owner`` is the execution that works on it, until ``lease_expires_at``."""

    target: str
    batch_id: str
    manifest: str
    owner: str
    lease_expires_at: str
    attempt_count: int
    error: str | None = None
    purpose: str = BUILD

    @classmethod
    def of_item(cls, item: Mapping[str, Any]) -> OpenBatch:
        """Read a DynamoDB item (resource form)."""
        values = {field.name: item[field.name] for field in fields(cls) if field.name in item}
        return cls(**values | {"target": item["pk"].split("#", 1)[1], "attempt_count": int(item["attempt_count"])})


@dataclass(frozen=True)
class Batches:
    """The open batch of every target."""

    items: Items

    def get(self, target: str) -> OpenBatch | None:
        """The target's open batch, if it has one."""
        item = self.items.get(_key(target))
        return OpenBatch.of_item(item) if item else None

    def open(self, target: str, batch_id: str, manifest: str, owner: str, lease_seconds: int, purpose: str = BUILD) -> OpenBatch:
        """Open a batch. Raises ``BatchHeld`` if the target has one already."""
        batch = OpenBatch(target, batch_id, manifest, owner, time_in(lease_seconds), 1, purpose=purpose)
        values = {name: value for name, value in vars(batch).items() if name not in ("target", "error")}
        if not self.items.put({**_key(target), **values, "opened_at": now()}, is_new()):
            raise self._held(target)
        return batch

    def take(self, batch: OpenBatch, owner: str, lease_seconds: int) -> OpenBatch:
        """Take over an open batch: the owner's own, or one with an expired lease. Raises ``BatchHeld``."""
        condition = _is(batch.batch_id) & (attribute("owner").eq(owner) | _is_expired())
        changes = {"owner": owner, "lease_expires_at": time_in(lease_seconds)}
        taken = self.items.update(_key(batch.target), changes, condition, {"attempt_count": 1})
        if taken is None:
            raise self._held(batch.target)
        return OpenBatch.of_item(taken)

    def release(self, target: str, batch_id: str, error: str | None, owner: str | None = None) -> bool:
        """Give the lease of an open batch back and keep the reason. Returns False if the batch is no longer open.

        With ``owner``, returns False as well if another execution has taken the batch over.
        """
        return self.items.update(_key(target), {"lease_expires_at": now(), "error": error}, _is(batch_id, owner)) is not None

    def close(self, target: str, batch_id: str, owner: str | None = None) -> bool:
        """End a batch. Returns False if it is no longer open or, with ``owner``, if another execution holds it."""
        return self.items.delete(_key(target), _is(batch_id, owner))

    def drop(self, batch: OpenBatch) -> None:
        """Forget a maintenance batch whose execution is dead. Raises ``BatchHeld`` if it may still be alive."""
        if not self.items.delete(_key(batch.target), is_new() | (_is(batch.batch_id) & _is_expired())):
            raise self._held(batch.target)

    def _held(self, target: str) -> BatchHeld:
        batch = self.get(target)
        if batch is None:
            return BatchHeld(target, "?", "an execution that just ended", "now")
        return BatchHeld(target, batch.batch_id, batch.owner, batch.lease_expires_at)


def _key(target: str) -> dict[str, str]:
    return target_key(target, "open")


def _is(batch_id: str, owner: str | None = None) -> Any:
    """The condition "this batch is open" and, with ``owner``, "and this execution holds it"."""
    batch = attribute("batch_id").eq(batch_id)
    return batch if owner is None else batch & attribute("owner").eq(owner)


def _is_expired() -> Any:
    return attribute("lease_expires_at").lt(now())
