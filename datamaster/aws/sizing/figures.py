"""Quotas and prices with their source pages, and measurements of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).parent / "figures.yaml"
UNVERIFIED = "unverified"


@dataclass(frozen=True)
class Figure:
    """One quota or price. ``stated`` links the page that states it, or reads "unverified"."""

    name: str
    value: float
    unit: str
    source: str | None = None
    date: date | None = None
    by: str = "AWS"

    @property
    def stated(self) -> str:
        """Its source, as Markdown for a page."""
        if not (self.source and self.date):
            return UNVERIFIED
        return f"[{self.by}, {self.date}]({self.source})"


@cache
def figures(kind: str) -> dict[str, Figure]:
    """The "quotas" or the "prices", by name."""
    table = yaml.safe_load(TABLE.read_text())
    return {name: Figure(name, **entry) for name, entry in table[kind].items()}


@dataclass(frozen=True)
class Measured:
    """Measurements of the pipeline for one change. Rates are for one core. figures.yaml gives each origin."""

    message_bytes: int
    line_bytes: int
    raw_bytes: int
    bronze_bytes: int
    transformed: int
    converted: int
    merged: int
    written: int
    tables: int
    table_rows: int
    months: int
    touched_months: int
    file_seconds: float
    job_seconds: float
    first_workers: int
    worker_cores: int
    worker_memory: int
    derived: int
    gold_tables: int
    maintained: int
    kept_days: float
    metrics: int
    writes_a_file: int
    write_units: int
    indexes: int
    transitions_a_file: int
    transitions_a_job: int

    @property
    def rewritten(self) -> float:
        """Rows that one run rewrites."""
        return self.table_rows / self.months * self.touched_months


def measured_table() -> dict[str, dict[str, Any]]:
    """Value, unit and origin of each measurement, by name."""
    table: dict[str, dict[str, Any]] = yaml.safe_load(TABLE.read_text())["measured"]
    return table


MEASURED = Measured(**{name: entry["value"] for name, entry in measured_table().items()})
