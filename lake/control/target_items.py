"""A target's state beyond its open batch, the notes on its load, and the months that still have to be rebuilt.

Each month to rebuild is an item with a token that changes each time the month is requested. A run ticks a month off only if it
saw the latest token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from lake.control.items import Items, attribute, is_new, target_key
from lake.control.records import now, plain

WHOLE = "whole"
"""The entry among the months to rebuild that stands for all of them."""


@dataclass(frozen=True)
class TargetState:
    """A target's state beyond its open batch.

    ``retired_below`` is the newest generation whose predecessors were retired. ``loads`` counts the keys that each load
    has brought, by generation. ``read_until`` is the latest time at which a load or an export can have read a row
    (microseconds since 1970), by generation. ``definition`` is that of the last whole or partial build (derived tables).
    ``missing`` counts the rows with columns in ``cdc_missing``, by month and by those columns.
    """

    retired_below: int = 0
    loads: Mapping[str, int] = field(default_factory=dict)
    definition: str | None = None
    settled_batch: str | None = None
    settled_at: str | None = None
    read_until: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def missing_columns(self) -> dict[str, int]:
        """How many rows lack each column's value, or have one that is not certain."""
        rows: Counter[str] = Counter()
        for counted in self.missing.values():
            for columns, count in counted.items():
                rows.update(dict.fromkeys(columns.split(","), count))
        return dict(sorted(rows.items()))


@dataclass(frozen=True)
class TargetStates:
    """The state of every target."""

    items: Items

    def get(self, target: str) -> TargetState:
        """The target's state. All its fields are empty if none was kept."""
        item = plain(self.items.get(target_key(target, "state")) or {})
        item = {"retired_below": item.get("swept_generation", 0)} | item  # its name before 0.2.0
        return TargetState(**{f.name: item[f.name] for f in fields(TargetState) if f.name in item})

    def keep(self, target: str, state: TargetState) -> None:
        """Write the target's state once per batch. A repeated call for the same batch changes nothing."""
        batch = attribute("settled_batch")
        item = {**target_key(target, "state"), **vars(state), "settled_at": now()}
        self.items.put(item, batch.not_exists() | batch.ne(state.settled_batch))


@dataclass(frozen=True)
class ExportedLoad:
    """A load by export: its generation, the export's id, and the rows that it read, None until its last object is registered."""

    generation: int
    export_id: str
    rows: int | None


@dataclass(frozen=True)
class LoadNotes:
    """Why a table's load waits, which load was accepted, and which load is an export."""

    items: Items

    def note(self, target: str, waits: str | None) -> None:
        """Record why a table's load waits. None if it does not wait."""
        if waits != self.waits(target):
            self.items.update(target_key(target, "load"), {"waits": waits})

    def waits(self, target: str) -> str | None:
        """The reason why a table's load waits, from its last plan. None if it does not wait."""
        return self._item(target).get("waits")

    def accept(self, target: str, generation: int) -> None:
        """Accept the load of a generation as it is. It then counts as complete."""
        self.items.update(target_key(target, "load"), {"accepted": generation})

    def accepted(self, target: str) -> int | None:
        """The generation whose load was accepted."""
        accepted = self._item(target).get("accepted")
        return None if accepted is None else int(accepted)

    def export_begins(self, target: str, generation: int, export_id: str) -> None:
        """Record that an export loads the table into a generation."""
        self.items.update(target_key(target, "load"), {"export": {"generation": generation, "export_id": export_id, "rows": None}})

    def export_ends(self, target: str, export_id: str, rows: int) -> None:
        """Record the rows of a load by export once all its objects are registered. A load that another one replaced stays replaced."""
        exported = self.exported(target)
        if exported is not None and exported.export_id == export_id:
            self.items.update(target_key(target, "load"), {"export": {**vars(exported), "rows": rows}})

    def exported(self, target: str) -> ExportedLoad | None:
        """The table's last load by export."""
        found = self._item(target).get("export")
        return None if found is None else ExportedLoad(**plain(found))

    def _item(self, target: str) -> dict[str, Any]:
        return self.items.get(target_key(target, "load")) or {}


@dataclass(frozen=True)
class PendingMonths:
    """The months that each derived table has to rebuild."""

    items: Items

    def request(self, target: str, months: Iterable[str], token: str) -> None:
        """Request a rebuild of a derived table's months. ``token`` is the id of the requesting batch."""
        with self.items.table.batch_writer() as writer:
            for month in sorted(set(months)):
                writer.put_item(Item={**target_key(target, f"month#{month}"), "month": month, "token": token, "asked_at": now()})

    def pending(self, target: str) -> dict[str, str]:
        """The months to rebuild, each with its latest token."""
        return {str(item["month"]): str(item["token"]) for item in self.items.under(target_key(target, "month#"))}

    def tick_off(self, target: str, months: Mapping[str, str]) -> list[str]:
        """Remove the months that were rebuilt. Returns the months that stay because another batch requested them meanwhile."""
        return [
            month
            for month, token in months.items()
            if not self.items.delete(target_key(target, f"month#{month}"), is_new() | attribute("token").eq(token))
        ]
