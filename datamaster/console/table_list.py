"""The page of tables with their freshness and size."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from datamaster.console import platform_data
from datamaster.console.grid import BYTES, COUNT, TEXT, grid
from datamaster.console.states import nothing, shown

KINDS = {"table": TEXT, "settled": TEXT, "behind": TEXT, "rows": COUNT, "size": BYTES, "files": COUNT}


def page() -> None:
    """Show the tables of silver and gold, and the problems of each."""
    st.header("Tables")
    with shown("the tables"):
        found = platform_data.tables()
    silver = [_row(table, "silver") for table in found["tables"]]
    derived = [_row(table, table["layer"]) for table in found["derived"]]
    if not any(row["settled"] for row in silver):
        nothing("No table has been merged yet.", "The schedule does it on AWS; `dm run silver` and `dm run gold` do it now.")
        return
    names = [f"dm_{'gold' if row['layer'] == 'gold' else 'silver'}.{row['table']}" for row in (*silver, *derived) if row["settled"]]
    with shown("the sizes"):
        sizes = {row["table"]: row for row in platform_data.sizes(tuple(names)).to_dict("records")}
    for row, name in zip([row for row in (*silver, *derived) if row["settled"]], names, strict=True):
        held = sizes.get(name, {})
        row |= {"rows": held.get("rows"), "size": held.get("bytes"), "files": held.get("files")}
    for layer in ("silver", "gold"):
        st.subheader(layer.capitalize())
        grid([row for row in (*silver, *derived) if row["layer"] == layer], KINDS)
    for row in (*silver, *derived):
        if row["problem"]:
            st.warning(f"**{row['table']}**: {row['problem']}", icon=":material/error:")


def _row(table: dict[str, Any], layer: str) -> dict[str, Any]:
    last, opened = table["last_batch"], table["open_batch"] or {}
    waits = table.get("waiting_seconds") or 0
    behind = (
        platform_data.counted(len(table["pending_months"]), "month")
        if table.get("pending_months")
        else (platform_data.age(waits) if waits else "–")
    )
    return {
        "table": table["table"],
        "layer": layer,
        "settled": _ago(last["settled_at"]) if last else "",
        "behind": behind,
        "problem": opened.get("error") or table.get("frozen_reason") or table.get("load_waits") or "",
    }


def _ago(moment: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return f"{platform_data.age(max(seconds, 0))} ago"
