"""Names that the lake reserves: columns, and tables beside a contract's table."""

from __future__ import annotations

import re

from lake.cdc import CDC_FIELDS

COLUMN_PREFIX = "cdc_"
"""The prefix of the lake's own columns, and of those that its jobs add temporarily."""
COLUMNS = frozenset({*CDC_FIELDS, "_extra", "created_at", "updated_at", "deleted_at", "valid_from", "valid_to", "is_current"})
ROW = f"{COLUMN_PREFIX}row"
"""The key of a table whose source has none: the row's number in its export."""
OWN = "__dm_"
"""A part of the names of the jobs' working tables."""
STAGED = f"{OWN}staged"
HISTORY, CHANGES, KEYS = "_history", "_changes", "_keys"
SOURCES = ("_folded", f"{CHANGES}_new", f"{HISTORY}_new")
"""The sources of MERGE that may be staged."""
QUALITY_RESULTS = "quality_results"
"""The table of dm_silver with the results of every contract's rules."""
BREAKS_SQL = r"""`'".,;(){}=\\\x00-\x1f\x7f"""
"""The characters that no column's name in the lake holds, as a pattern's class."""


def column_problem(name: str) -> str | None:
    """The reason why a column cannot have this name in the lake, or None. Engines and catalog ignore case."""
    if name.lower() in COLUMNS or name.lower().startswith((COLUMN_PREFIX, "_")):
        return "a name that the lake keeps for itself; give it another, and the source's as physicalName"
    if broken := re.search(f"[{BREAKS_SQL}]", name):
        return f"{broken[0]!r} cannot be part of a column's name in the lake; give it another, and the source's as physicalName"
    return None


def tables_beside(table: str) -> tuple[str, ...]:
    """Every table that the jobs may keep beside a contract's table, also in dm_silver."""
    return (*(table + suffix for suffix in (HISTORY, CHANGES, KEYS)), *(f"{table}{source}{STAGED}" for source in SOURCES))
