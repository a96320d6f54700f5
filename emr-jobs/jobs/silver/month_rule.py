"""The month of a row: that of its partition column in UTC, or none.

A value outside the years 1 to 9999, or null, has no month. Its row lies with the tombstones (year 0, month 0). Values are
limited to these years before an engine converts them to times, since Sail wraps beyond its own range and Spark raises.
"""

from __future__ import annotations

from lake.contract import MonthPartition

FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
"""The bounds of the years 1 to 9999, in seconds since 1970."""
_TIMES = {
    "epoch_seconds": ("timestamp_seconds", 1),
    "epoch_milliseconds": ("timestamp_millis", 1_000),
    "epoch_microseconds": ("timestamp_micros", 1_000_000),
}


def month_fields(partition: MonthPartition) -> tuple[str, str]:
    """Year and month as SQL over the partition column, under the names of the partition's fields. They are 0 and 0 for no month."""
    column = f"`{partition.column}`"
    if partition.unit in _TIMES:
        function, share = _TIMES[partition.unit]
        first, last = FIRST_SECOND * share, LAST_SECOND * share + share - 1
        known = f"{column} between {first} and {last}"
        moment = f"{function}(least(greatest(cast({column} as bigint), {first}), {last}))"
    else:
        known, moment = f"year({column}) between 1 and 9999", column
    year, month = (f"case when {known} then {part}({moment}) else 0 end" for part in ("year", "month"))
    return f"{year} as `{partition.year_field}`", f"{month} as `{partition.month_field}`"
