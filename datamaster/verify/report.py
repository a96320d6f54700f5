"""What verify found: counts a table, and the first differences with key, column, expected and got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

SHOWN = 5
ROW, DUPLICATE, DELETED_AT, TABLE = "(row)", "(duplicate)", "deleted_at", "(table)"
"""What a difference is about where it is no column of the table: a row too few or too many, a key held twice, a table unread."""


@dataclass(frozen=True)
class Difference:
    """One difference: where, what the source says, what the lake holds. ``column`` may be one of the words above."""

    table: str
    key: str
    column: str
    expected: str | None
    got: str | None


@dataclass(frozen=True)
class TableReport:
    """One table: rows at the source and in the lake, the number of differences by column, the first of each column."""

    table: str
    expected_rows: int
    got_rows: int
    counts: Mapping[str, int] = field(default_factory=dict)
    first: tuple[Difference, ...] = ()

    @property
    def differences(self) -> int:
        """How many differences there are in all."""
        return sum(self.counts.values())

    @classmethod
    def unread(cls, table: str, reason: str) -> TableReport:
        """The report of a table that could not be compared."""
        return cls(table, 0, 0, {TABLE: 1}, (Difference(table, "", TABLE, "a table to compare", reason),))


@dataclass(frozen=True)
class Report:
    """All tables. ``seconds`` is how long the comparison took."""

    tables: tuple[TableReport, ...]
    seconds: float

    @property
    def differences(self) -> int:
        """How many differences there are in all."""
        return sum(table.differences for table in self.tables)

    @property
    def equal(self) -> bool:
        """Whether the lake is what its source says."""
        return self.differences == 0

    @property
    def exit_code(self) -> int:
        """0 where the lake is equal to its source, 1 otherwise."""
        return 0 if self.equal else 1

    @property
    def summary(self) -> str:
        """One line: rows, tables, differences."""
        rows = sum(table.expected_rows for table in self.tables)
        return f"{rows:,} rows of {len(self.tables)} tables, {self.differences:,} differences"

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        tables = [asdict(table) | {"differences": table.differences} for table in self.tables]
        return {"equal": self.equal, "differences": self.differences, "seconds": round(self.seconds, 3), "tables": tables}

    def print(self, console: Console | None = None) -> None:
        """Show counts, and below them the first differences of each column."""
        console = console or Console(highlight=False)
        table = Table(header_style="bold", box=box.SIMPLE_HEAD)
        table.add_column("table", overflow="fold")
        for name in ("source rows", "lake rows", "differences"):
            table.add_column(name, justify="right")
        for entry in self.tables:
            style = "red" if entry.differences else "green"
            table.add_row(entry.table, f"{entry.expected_rows:,}", f"{entry.got_rows:,}", Text(f"{entry.differences:,}", style=style))
        console.print(table)
        if not self.equal:
            console.print(self._details())

    def _details(self) -> Table:
        details = Table(title="First differences", title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
        for name in ("table", "key", "column", "expected", "got", "of"):
            details.add_column(name, justify="right" if name == "of" else "left", overflow="fold")
        for entry in self.tables:
            for difference in entry.first:
                cells = (difference.table, difference.key, difference.column, difference.expected, difference.got)
                texts = [Text("null", style="dim") if cell is None else Text(cell) for cell in cells]
                details.add_row(*texts, f"{entry.counts[difference.column]:,}")
        return details
