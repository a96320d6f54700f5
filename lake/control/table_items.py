"""A lake table's decisions on personal columns, and the watermark of its exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lake.control.items import Items, attribute, is_new, numbers, table_key, without_keys
from lake.control.records import now


@dataclass(frozen=True)
class PrivacyDecisions:
    """The decision on each column that may be personal, the evidence for it, and the daily allowance of detection."""

    items: Items

    def get(self, table: str, column: str) -> dict[str, Any] | None:
        """The decision on a column, or None while there is none."""
        item = self.items.get(table_key(table, f"pii#{column}"))
        return without_keys(item) if item else None

    def decide(self, table: str, column: str, decision: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a decision if there is none yet. Returns the decision in force, so that the loser of a race follows the winner."""
        item = {**decision, **table_key(table, f"pii#{column}"), "decided_at": now()}
        return without_keys(numbers(item)) if self.items.put(item, is_new()) else self.get(table, column) or {}

    def add_evidence(self, table: str, column: str, file_id: str, evidence: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Keep one file's evidence of a column (once per file). Returns the evidence of every file."""
        self.items.put({**evidence, **table_key(table, f"evidence#{column}#{file_id}")})
        return [without_keys(item) for item in self.items.under(table_key(table, f"evidence#{column}#"))]

    def spend(self, table: str, day: str, units: int, limit: int) -> bool:
        """Take ``units`` of detection from a table's allowance of a UTC day (YYYY-MM-DD). Returns False if fewer are left."""
        spent = attribute("spent")
        condition = spent.not_exists() | spent.lte(limit - units)
        return units <= limit and self.items.update(table_key(table, f"pii-units#{day}"), {}, condition, {"spent": units}) is not None


@dataclass(frozen=True)
class Watermarks:
    """The progress of each table's batch exports: the watermark column's value as text."""

    items: Items

    def get(self, table: str) -> str | None:
        """A table's watermark, or None before its first export."""
        item = self.items.get(table_key(table, "watermark"))
        return str(item["value"]) if item else None

    def set(self, table: str, value: str, export_id: str) -> None:
        """Move a table's watermark."""
        self.items.put({**table_key(table, "watermark"), "value": value, "export_id": export_id, "updated_at": now()})
