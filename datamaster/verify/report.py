"""The result of verify: counts for each table, and the first differences with key, column, expected and actual value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from datamaster.platform.counts import counted

SHOWN = 5
ROW, DUPLICATE, DELETED_AT, TABLE = "(row)", "(duplicate)", "deleted_at", "(table)"
"""Differences that no column has: a row too few or too many, a key held twice, a table missing."""
EQUAL, DIFFERENT, UNDECIDED = 0, 1, 3


@dataclass(frozen=True)
class Difference:
    """One difference: its place, the source's value, the lake's value. ``column`` may be one of the words above."""

    table: str
    key: str
    column: str
    expected: str | None
    got: str | None


@dataclass(frozen=True)
class TableReport:
    """One table: rows at the source and in the lake, differences by column, and the first of each column.

    ``trouble`` holds sentences about parts that could not be compared: the whole table, or some columns.
    """

    table: str
    expected_rows: int
    got_rows: int
    counts: Mapping[str, int] = field(default_factory=dict)
    first: tuple[Difference, ...] = ()
    trouble: tuple[str, ...] = ()

    @property
    def differences(self) -> int:
        """How many differences there are in all."""
        return sum(self.counts.values())

    @classmethod
    def missing(cls, table: str, reason: str) -> TableReport:
        """The report of a table that the lake lacks, or that lacks a column there."""
        return cls(table, 0, 0, {TABLE: 1}, (Difference(table, "", TABLE, "a table to compare", reason),))

    @classmethod
    def undecided(cls, table: str, reason: str) -> TableReport:
        """The report of a table that could not be compared."""
        return cls(table, 0, 0, trouble=(reason,))


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
        """Whether everything was compared and equal."""
        return self.exit_code == EQUAL

    @property
    def trouble(self) -> int:
        """How many tables could not be compared, or not in full."""
        return sum(bool(table.trouble) for table in self.tables)

    @property
    def exit_code(self) -> int:
        """0 if the lake is equal to its source, 1 if it differs, 3 if not everything could be compared and the rest is equal."""
        if self.differences:
            return DIFFERENT
        return UNDECIDED if self.trouble else EQUAL

    @property
    def summary(self) -> str:
        """One line: rows, tables, differences."""
        rows = sum(table.expected_rows for table in self.tables)
        undecided = f", {counted(self.trouble, 'table')} not compared in full" if self.trouble else ""
        return f"{counted(rows, 'row')} of {counted(len(self.tables), 'table')}, {counted(self.differences, 'difference')}{undecided}"

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        tables = [asdict(table) | {"differences": table.differences} for table in self.tables]
        counts = {"differences": self.differences, "undecided_tables": self.trouble}
        return {"equal": self.equal, **counts, "seconds": round(self.seconds, 3), "tables": tables}

    def print(self, console: Console | None = None) -> None:
        """Show counts, and below them the first differences of each column."""
        console = console or Console(highlight=False)
        table = Table(header_style="bold", box=box.SIMPLE_HEAD)
        table.add_column("table", overflow="fold")
        for name in ("source rows", "lake rows", "differences"):
            table.add_column(name, justify="right")
        for entry in self.tables:
            style = "red" if entry.differences else "yellow" if entry.trouble else "green"
            found = "?" if entry.trouble and not entry.differences else f"{entry.differences:,}"
            table.add_row(entry.table, f"{entry.expected_rows:,}", f"{entry.got_rows:,}", Text(found, style=style))
        console.print(table)
        if self.differences:
            console.print(self._details())
        for entry in self.tables:
            for sentence in entry.trouble:
                console.print(f"[yellow]not compared[/yellow] {escape(entry.table)}: {escape(sentence)}")

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
