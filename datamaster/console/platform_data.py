"""Data for the pages, fetched from the control API and Athena and cached for some seconds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from datamaster.platform import api_client
from datamaster.platform.query import NUMBERS, Athena, QueryFailed, QueryResult

STATUSES = ("pending", "running", "bronze", "silver", "failed")
LIVE_SECONDS = 2
GOLD_SECONDS = 120
ROWS = "sum(CASE content WHEN 0 THEN record_count WHEN 1 THEN -record_count END)"
"""The rows of a table: those of its data files, minus the position deletes, which remove one row each."""
PARALLEL = 5


@dataclass(frozen=True)
class Month:
    """The months that the charts cover: a year and some of its months. No month means the whole year."""

    year: int
    months: tuple[int, ...] = ()

    @property
    def where(self) -> str:
        """The SQL condition on a gold table."""
        chosen = f" AND review_month IN ({', '.join(map(str, self.months))})" if self.months else ""
        return f"review_year = {self.year}{chosen}"


@st.cache_resource
def athena() -> Athena:
    """Athena with the work group in ``DM_WORK_GROUP``."""
    return Athena(os.environ.get("DM_WORK_GROUP", "primary"))


@st.cache_data(ttl=LIVE_SECONDS, show_spinner=False)
def tables() -> dict[str, Any]:
    """The API's tables. Raises the same errors as ``api_client.list_tables``."""
    return api_client.list_tables()


@st.cache_data(ttl=LIVE_SECONDS, show_spinner=False)
def listed_files(table: str | None, status: str | None, limit: int) -> list[dict[str, Any]]:
    """The API's files, newest first."""
    return api_client.list_files(table, status, limit=limit)


@st.cache_data(ttl=GOLD_SECONDS, show_spinner=False)
def ask(sql: str) -> pd.DataFrame:
    """The rows of a statement. Columns of numbers have a numeric type."""
    return frame(athena().run(sql))


@st.cache_data(ttl=GOLD_SECONDS, show_spinner=False)
def sizes(names: Sequence[str]) -> pd.DataFrame:
    """Rows, bytes and files of Iceberg tables, from their metadata. Tables that do not exist yet are left out."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = [row for row in pool.map(_size, [athena()] * len(names), names) if row is not None]
    return pd.DataFrame(found, columns=["table", "rows", "bytes", "files"])


def _size(asked: Athena, name: str) -> dict[str, Any] | None:
    database, _, table = name.partition(".")
    try:
        shown = asked.run(f'SELECT {ROWS}, sum(file_size_in_bytes), count(*) FROM "{database}"."{table}$files"')
    except QueryFailed:
        return None
    rows, size, count = shown.rows[0]
    return {"table": name, "rows": int(rows or 0), "bytes": int(size or 0), "files": int(count or 0)}


def frame(result: QueryResult) -> pd.DataFrame:
    """A result as a data frame. Columns of numbers have a numeric type."""
    shown = pd.DataFrame(result.rows, columns=list(result.columns))
    for name, kind in zip(result.columns, result.types, strict=True):
        if kind in NUMBERS:
            shown[name] = pd.to_numeric(shown[name])
    return shown


def age(seconds: float | None) -> str:
    """Seconds as text: 42 s, 3 min, 5 h, 2 d."""
    if seconds is None:
        return "–"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def counted(count: int, word: str) -> str:
    """A number with its noun: 0 files, 1 file, 4,000 files."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
