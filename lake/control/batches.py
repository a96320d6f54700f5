"""Batches in the control table: the open run of each table, and the months that still have to be rebuilt.

A target is a table of the lake with its layer, ``silver/review`` or ``gold/top_drinkers``. Each has one item for the open
batch (its lock), one for its state, and one for every month to rebuild. The month's item holds a token that changes each
time the month is requested. A run ticks a month off only if it saw the latest token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lake.control.records import now
from lake.control.store import ControlStore, time_in
from lake.errors import TransientError

QUALITY_RESULTS = "silver/quality_results"
WHOLE = "whole"
"""The entry among the months to rebuild that stands for all of them."""
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


@dataclass(frozen=True)
class TargetState:
    """A target's state beyond its open batch.

    ``retired_below`` is the newest generation whose predecessors were retired. ``loads`` counts the keys that each load
    has brought, by generation. ``read_until`` is the latest time at which a load or an export can have read a row
    (microseconds since 1970), by generation. ``definition`` is that of the last whole or partial build (derived tables).
    ``missing`` counts the rows with columns in ``cdc_missing``, by month and by those columns.
    """

    retired_below: int = 0
    loads: Mapping[str, int] | None = None
    definition: str | None = None
    settled_batch: str | None = None
    settled_at: str | None = None
    read_until: Mapping[str, int] | None = None
    missing: Mapping[str, Mapping[str, int]] | None = None

    @property
    def missing_columns(self) -> dict[str, int]:
        """How many rows lack each column's value, or have one that is not certain."""
        rows: Counter[str] = Counter()
        for counted in (self.missing or {}).values():
            for columns, count in counted.items():
                rows.update(dict.fromkeys(columns.split(","), count))
        return dict(sorted(rows.items()))


class ControlBatches(ControlStore):
    """The batches of every target in one control table."""

    def get_open(self, target: str) -> OpenBatch | None:
        """The target's open batch, if it has one."""
        item = self.table.get_item(Key=target_key(target, "open"), ConsistentRead=True).get("Item")
        if item is None:
            return None
        return OpenBatch(
            target,
            str(item["batch_id"]),
            str(item["manifest"]),
            str(item["owner"]),
            str(item["lease_expires_at"]),
            int(item["attempt_count"]),
            item.get("error"),
            item.get("purpose", BUILD),
        )

    def open(self, target: str, batch_id: str, manifest: str, owner: str, lease_seconds: int, purpose: str = BUILD) -> OpenBatch:
        """Open a batch. Raises ``BatchHeld`` if the target has one already."""
        item = {
            **target_key(target, "open"),
            "batch_id": batch_id,
            "manifest": manifest,
            "owner": owner,
            "lease_expires_at": time_in(lease_seconds),
            "attempt_count": 1,
            "purpose": purpose,
            "opened_at": now(),
        }
        try:
            self.table.put_item(Item=item, ConditionExpression="attribute_not_exists(pk)")
        except self.condition_failed:
            raise self._held(target) from None
        return OpenBatch(target, batch_id, manifest, owner, str(item["lease_expires_at"]), 1, purpose=purpose)

    def take(self, batch: OpenBatch, owner: str, lease_seconds: int) -> OpenBatch:
        """Take over an open batch: the owner's own, or one with an expired lease. Raises ``BatchHeld``."""
        try:
            self.table.update_item(
                Key=target_key(batch.target, "open"),
                UpdateExpression="SET #owner = :owner, lease_expires_at = :until, attempt_count = attempt_count + :one",
                ConditionExpression="batch_id = :batch AND (#owner = :owner OR lease_expires_at < :now)",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={
                    ":owner": owner,
                    ":until": time_in(lease_seconds),
                    ":one": 1,
                    ":batch": batch.batch_id,
                    ":now": now(),
                },
            )
        except self.condition_failed:
            raise self._held(batch.target) from None
        return self.get_open(batch.target) or batch

    def release(self, target: str, batch_id: str, error: str | None, owner: str | None = None) -> bool:
        """Give the lease of an open batch back and keep the reason. Returns False if the batch is no longer open.

        With ``owner``, returns False as well if another execution has taken the batch over.
        """
        condition, names, values = _held_by(batch_id, owner)
        try:
            self.table.update_item(
                Key=target_key(target, "open"),
                UpdateExpression="SET lease_expires_at = :now, #error = :error",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#error": "error", **names},
                ExpressionAttributeValues={":now": now(), ":error": error, **values},
            )
        except self.condition_failed:
            return False
        return True

    def close(self, target: str, batch_id: str, owner: str | None = None) -> bool:
        """End a batch. Returns False if it is no longer open or, with ``owner``, if another execution holds it."""
        condition, names, values = _held_by(batch_id, owner)
        arguments = {"ExpressionAttributeNames": names} if names else {}
        try:
            self.table.delete_item(
                Key=target_key(target, "open"), ConditionExpression=condition, ExpressionAttributeValues=values, **arguments
            )
        except self.condition_failed:
            return False
        return True

    def drop(self, batch: OpenBatch) -> None:
        """Forget a maintenance batch whose execution is dead. Raises ``BatchHeld`` if it may still be alive."""
        try:
            self.table.delete_item(
                Key=target_key(batch.target, "open"),
                ConditionExpression="attribute_not_exists(pk) OR (batch_id = :batch AND lease_expires_at < :now)",
                ExpressionAttributeValues={":batch": batch.batch_id, ":now": now()},
            )
        except self.condition_failed:
            raise self._held(batch.target) from None

    def state(self, target: str) -> TargetState:
        """The target's state. All its fields are empty if none was kept."""
        item = self.table.get_item(Key=target_key(target, "state"), ConsistentRead=True).get("Item") or {}
        loads, read_until = ({key: int(value) for key, value in (item.get(name) or {}).items()} for name in ("loads", "read_until"))
        return TargetState(
            int(item.get("retired_below", item.get("swept_generation", 0))),
            loads,
            item.get("definition"),
            item.get("settled_batch"),
            item.get("settled_at"),
            read_until,
            {month: {name: int(rows) for name, rows in counted.items()} for month, counted in (item.get("missing") or {}).items()},
        )

    def keep_state(self, target: str, state: TargetState) -> None:
        """Write the target's state once per batch. A repeated call for the same batch changes nothing."""
        item = {
            **target_key(target, "state"),
            "retired_below": state.retired_below,
            "loads": dict(state.loads or {}),
            "read_until": dict(state.read_until or {}),
            "missing": {month: dict(rows) for month, rows in (state.missing or {}).items()},
            "definition": state.definition,
            "settled_batch": state.settled_batch,
            "settled_at": now(),
        }
        try:
            self.table.put_item(
                Item=item,
                ConditionExpression="attribute_not_exists(settled_batch) OR settled_batch <> :batch",
                ExpressionAttributeValues={":batch": state.settled_batch},
            )
        except self.condition_failed:
            return

    def note_load(self, target: str, waits: str | None) -> None:
        """Record why a table's load waits. None if it does not wait."""
        if waits != self.load_waits(target):
            self._set_load(target, "waits", waits)

    def load_waits(self, target: str) -> str | None:
        """The reason why a table's load waits, from its last plan. None if it does not wait."""
        return self._load(target).get("waits")

    def accept_load(self, target: str, generation: int) -> None:
        """Accept the load of a generation as it is. It then counts as complete."""
        self._set_load(target, "accepted", generation)

    def accepted_load(self, target: str) -> int | None:
        """The generation whose load was accepted."""
        accepted = self._load(target).get("accepted")
        return None if accepted is None else int(accepted)

    def _load(self, target: str) -> dict[str, Any]:
        item: dict[str, Any] = self.table.get_item(Key=target_key(target, "load"), ConsistentRead=True).get("Item") or {}
        return item

    def _set_load(self, target: str, name: str, value: str | int | None) -> None:
        self.table.update_item(
            Key=target_key(target, "load"),
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": value},
        )

    def add_pending(self, target: str, months: Iterable[str], token: str) -> None:
        """Request a rebuild of a derived table's months. ``token`` is the id of the requesting batch."""
        with self.table.batch_writer() as writer:
            for month in sorted(set(months)):
                writer.put_item(Item={**target_key(target, f"month#{month}"), "month": month, "token": token, "asked_at": now()})

    def pending(self, target: str) -> dict[str, str]:
        """The months to rebuild, each with its latest token."""
        return {str(item["month"]): str(item["token"]) for item in self.items_under(target_key(target, "")["pk"], "month#")}

    def tick_off(self, target: str, months: Mapping[str, str]) -> list[str]:
        """Remove the months that were rebuilt. Returns the months that stay because another batch requested them meanwhile."""
        asked_again = []
        for month, token in months.items():
            try:
                self.table.delete_item(
                    Key=target_key(target, f"month#{month}"),
                    ConditionExpression="attribute_not_exists(pk) OR #token = :token",
                    ExpressionAttributeNames={"#token": "token"},
                    ExpressionAttributeValues={":token": token},
                )
            except self.condition_failed:
                asked_again.append(month)
        return asked_again

    def _held(self, target: str) -> BatchHeld:
        batch = self.get_open(target)
        if batch is None:
            return BatchHeld(target, "?", "an execution that just ended", "now")
        return BatchHeld(target, batch.batch_id, batch.owner, batch.lease_expires_at)


def _held_by(batch_id: str, owner: str | None) -> tuple[str, dict[str, str], dict[str, str]]:
    """The condition, names and values for "this batch is open" and, with ``owner``, "and this execution holds it"."""
    if owner is None:
        return "batch_id = :batch", {}, {":batch": batch_id}
    return "batch_id = :batch AND #owner = :owner", {"#owner": "owner"}, {":batch": batch_id, ":owner": owner}


def target_key(target: str, sort: str) -> dict[str, str]:
    """The primary key of a target's item."""
    return {"pk": f"target#{target}", "sk": sort}
