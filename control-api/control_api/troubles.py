"""Troubles that need a person: one line for each kind and table, with the command that looks closer or cures it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import Any

from control_api.table_states import TableStates
from lake.contract import ContractSet
from lake.control import ControlRecord
from lake.control.records import BRONZE, FAILED, SILVER, counts_text

LISTED_FILES = 1_000
"""Files of each status that are looked at, the newest first. A count of more is a lower bound."""
LONGEST_REASON = 300


@dataclass(frozen=True)
class Trouble:
    """``subject`` is a table, file, process or session. ``count`` counts rows, records or files. ``since`` is ISO 8601, UTC."""

    kind: str
    subject: str
    reason: str
    look: str
    count: int = 1
    since: str | None = None


def find_troubles(states: TableStates, contracts: ContractSet) -> list[Trouble]:
    """The troubles of tables and files that the control table knows."""
    shown = states.all(contracts)
    listed = (islice(states.control.listing.files(status=status), LISTED_FILES) for status in (FAILED, BRONZE, SILVER))
    return [*of_tables(shown["tables"]), *of_derived(shown["derived"]), *of_files(chain.from_iterable(listed))]


def of_tables(tables: Iterable[Mapping[str, Any]]) -> Iterator[Trouble]:
    """Frozen tables, loads that cannot end, rows that lack a value, failed batches."""
    for table in tables:
        name = table["table"]
        if table["frozen_reason"]:
            yield Trouble("frozen table", name, table["frozen_reason"], f"dm reload {name}")
        if table["load_waits"]:
            yield Trouble("load that waits", name, table["load_waits"], f"dm errors ls --table {name}")
        for column, count in table["missing"].items():
            reason = f'cdc_missing names column "{column}": its value was too large for the stream, or is not known for certain'
            yield Trouble("rows that lack a value", name, reason, f"dm export {name} --missing", count)
        yield from _failed_batch(table, f"dm run silver --table {name}")


def of_derived(tables: Iterable[Mapping[str, Any]]) -> Iterator[Trouble]:
    """Failed batches of derived tables."""
    for table in tables:
        yield from _failed_batch(table, f"dm run {table['layer']}")


def _failed_batch(table: Mapping[str, Any], cure: str) -> Iterator[Trouble]:
    opened = table["open_batch"]
    if opened and opened["error"]:
        yield Trouble("batch that failed", table["table"], shortened(opened["error"]), cure, opened["attempt_count"])


def of_files(files: Iterable[ControlRecord]) -> Iterator[Trouble]:
    """Failed files, and rows in quarantine, by table."""
    listed = list(files)
    for table, failed in _by_table(file for file in listed if file.status == FAILED):
        reason, look = shortened(failed[0].error_message or ""), f"dm files ls --status failed --table {table}"
        yield Trouble("failed files", table, reason, look, len(failed), failed[0].created_at)
    for table, rejecting in _by_table(file for file in listed if file.status != FAILED and file.rejects_left):
        reasons = sum((Counter(file.reject_reasons) for file in rejecting), Counter[str]())
        source = f"rows of {len(rejecting)} files" if rejecting[1:] else "rows of a file"
        reason = shortened(f"{source} did not fit the contract: {counts_text(reasons)}")
        count = sum(file.rejects_left for file in rejecting)
        yield Trouble("rows in quarantine", table, reason, f"dm quarantine ls --table {table}", count, rejecting[0].created_at)


def _by_table(files: Iterable[ControlRecord]) -> Iterator[tuple[str, list[ControlRecord]]]:
    """Each table with its files, oldest first."""
    ordered = sorted(files, key=lambda file: (file.table_name, file.created_at))
    for table, members in groupby(ordered, key=lambda file: file.table_name):
        yield table, list(members)


def shortened(reason: str) -> str:
    """The reason on one line of up to ``LONGEST_REASON`` characters."""
    line = " ".join(reason.split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"
