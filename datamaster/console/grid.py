"""The table widget that all pages share. It shows numbers with separators, sizes as bytes and times in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

ROW_PIXELS = 35
MOST_ROWS = 25
"""Longer tables scroll."""
COUNT, BYTES, TIME, TEXT = "count", "bytes", "time", "text"


def grid(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str], **options: Any) -> Any:
    """Show rows. ``kinds`` maps each column, in order, to the kind of its values. ``options`` go to ``st.dataframe``."""
    table = pd.DataFrame(rows, columns=list(kinds))
    for name, kind in kinds.items():
        if kind == TIME:
            table[name] = pd.to_datetime(table[name], utc=True)
    height = ROW_PIXELS * (min(len(table), MOST_ROWS) + 1) + 3
    config = {name: _column(kind) for name, kind in kinds.items() if kind != TEXT}
    return st.dataframe(table, hide_index=True, width="stretch", height=height, column_config=config, **options)


def _column(kind: str) -> Any:
    if kind == TIME:
        return st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss", timezone="UTC")
    return st.column_config.NumberColumn(format="bytes" if kind == BYTES else "localized")
