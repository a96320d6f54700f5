"""Literal conditions on the year and month columns of a table. Both engines prune files by them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Month = tuple[int, int]
TOMBSTONES: Month = (0, 0)
"""The partition of deleted rows that were never seen, and of rows without a month."""
NAMED_MONTHS_LIMIT = 240
"""With more months, the condition costs more than it saves, because most of the table is touched anyway."""


def months_condition(fields: Sequence[str], months: Collection[Month], row: str = "") -> str:
    """Whether a row lies in one of the months. False for no months. ``fields`` are the table's year and month column."""
    year_field, month_field = (f"{row}`{field}`" for field in fields)
    by_year: dict[int, list[int]] = {}
    for year, month in sorted(months):
        by_year.setdefault(year, []).append(month)
    conditions = (f"({year_field} = {year} and {month_field} in ({', '.join(map(str, own))}))" for year, own in by_year.items())
    return " or ".join(conditions) or "false"
