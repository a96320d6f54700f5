"""The page of stages: how many files are at each one, how long the oldest waits, and why a table is held."""

from __future__ import annotations

from typing import Any

import streamlit as st

from datamaster.console import platform_data
from datamaster.console.grid import COUNT, TEXT, grid
from datamaster.console.states import nothing, shown

STAGES = (
    ("pending", "Registered", "A raw object that waits for its conversion"),
    ("running", "In conversion", "Parsed, masked and written as Parquet right now"),
    ("bronze", "Bronze", "Parquet that waits for the next merge"),
    ("silver", "Silver", "Merged by key and position"),
    ("failed", "Failed", "With the reason on the file"),
)
KINDS = {"table": TEXT, **{status: COUNT for status, _, _ in STAGES}, "oldest wait": TEXT, "note": TEXT}
EVERY_SECONDS = 3


def page() -> None:
    """Show the stages and refresh them every few seconds."""
    st.header("The road")
    _live()


@st.fragment(run_every=EVERY_SECONDS)
def _live() -> None:
    with shown("the tables", live=True):
        found = platform_data.tables()
    tables, derived = found["tables"], found["derived"]
    total = sum(sum(table["files"].values()) for table in tables)
    if not total:
        nothing("Nothing has come down the road yet.", "Rows of the source appear here some seconds after they were written.")
        return
    for column, (status, title, help_text) in zip(st.columns(len(STAGES), border=True), STAGES, strict=True):
        column.metric(title, platform_data.counted(sum(table["files"][status] for table in tables), "file"), help=help_text)
    waiting = max((table["waiting_seconds"] for table in tables), default=0)
    months = sum(len(table["pending_months"]) for table in derived)
    lag, backlog, errors = st.columns(3, border=True)
    lag.metric("Longest wait before silver", platform_data.age(waiting))
    backlog.metric("Months to rebuild", f"{months:,}")
    errors.metric("Batches with an error", sum(1 for table in (*tables, *derived) if (table["open_batch"] or {}).get("error")))
    st.subheader("By table")
    grid([_row(table) for table in tables], KINDS)
    st.caption(f"Asked again every {EVERY_SECONDS} seconds.")


def _row(table: dict[str, Any]) -> dict[str, Any]:
    return {
        "table": table["table"],
        **table["files"],
        "oldest wait": platform_data.age(table["waiting_seconds"] or None),
        "note": table["frozen_reason"] or table.get("load_waits") or "",
    }
