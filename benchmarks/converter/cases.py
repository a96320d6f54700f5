"""The cases of the converter's benchmark: rows, number, format and competitors."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "datamaster"
FALLBACK = "datamaster-fallback"
CLEAN = "datamaster-clean"
"""The converter on the case to compare with, in turns, because a machine's pace changes by the minute."""
PEERS = ("duckdb", "polars", "chdb")
NAIVE = ("pyarrow", "gzip+orjson")


@dataclass(frozen=True)
class Case:
    """One input and its competitors.

    ``table`` names the contract, ``bad`` is the share of lines that no engine can read, ``repeats`` the number of runs per
    engine. ``clean`` names the case to compare with, in turns.
    """

    name: str
    table: str
    file_format: str
    rows: int
    engines: tuple[str, ...]
    bad: float = 0.0
    repeats: int = 5
    clean: str | None = None

    @property
    def good(self) -> int:
        """Rows that can be read."""
        return self.rows - (self.rows // round(1 / self.bad) if self.bad else 0)

    @property
    def source(self) -> str:
        """The input's file name. Cases with the same rows share it."""
        rows = "article" if self.table == "masked" else self.table
        suffix = "csv.gz" if self.file_format == "csv" else "jsonl.gz"
        return f"{rows}-{self.rows}-{self.bad:g}.{suffix}"


CASES = (
    Case("review-json-100k", "review", "json", 100_000, (OURS, FALLBACK, *PEERS, *NAIVE)),
    Case("review-json-3m", "review", "json", 3_000_000, (OURS, *PEERS)),
    Case("review-csv-1.5m", "review", "csv", 1_500_000, (OURS, *PEERS)),
    Case("review-json-3m-bad-0.01%", "review", "json", 3_000_000, (OURS, "duckdb"), bad=0.0001, clean="review-json-3m"),
    Case("review-json-3m-bad-1%", "review", "json", 3_000_000, (OURS, "duckdb"), bad=0.01, clean="review-json-3m"),
    Case("review-csv-1.5m-bad-0.01%", "review", "csv", 1_500_000, (OURS, "duckdb"), bad=0.0001, clean="review-csv-1.5m"),
    Case("review-csv-1.5m-bad-1%", "review", "csv", 1_500_000, (OURS, "duckdb"), bad=0.01, clean="review-csv-1.5m"),
    Case("article-json-500k", "article", "json", 500_000, (OURS, *PEERS)),
    Case("article-json-500k-masked", "masked", "json", 500_000, (OURS,), clean="article-json-500k"),
    Case("review-csv-6m", "review", "csv", 6_000_000, (OURS, *PEERS)),
    Case("review-json-12m", "review", "json", 12_000_000, (OURS, "duckdb", "polars"), repeats=3),
)
