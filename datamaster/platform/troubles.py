"""Troubles that need a person: one line for each kind and table, with the command for details."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from datamaster.platform.counts import counts_text
from ingest.refused_records import NO_TABLE, Group

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

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def of_tables(tables: Iterable[Mapping[str, Any]]) -> Iterator[Trouble]:
    """Troubles in GET /tables: frozen tables, loads that cannot end, failed batches."""
    for table in tables:
        name, opened = table["table"], table.get("open_batch") or {}
        if table.get("frozen_reason"):
            yield Trouble("frozen table", name, table["frozen_reason"], f"dm reload {name}")
        if table.get("load_waits"):
            yield Trouble("load that waits", name, table["load_waits"], f"dm errors ls --table {name}")
        for column, count in (table.get("missing") or {}).items():
            reason = f'cdc_missing names column "{column}": its value was too large for the stream, or is not known for certain'
            yield Trouble("rows that lack a value", name, reason, f"dm export {name} --missing", count)
        if opened.get("error"):
            reason = _shortened(opened["error"])
            yield Trouble("batch that failed", name, reason, f"dm run silver --table {name}", int(opened.get("attempt_count") or 1))


def of_files(files: Iterable[Mapping[str, Any]]) -> Iterator[Trouble]:
    """Failed files, and rows in quarantine, by table."""
    failed: dict[str, list[Mapping[str, Any]]] = {}
    rejected: dict[str, list[Mapping[str, Any]]] = {}
    for file in files:
        if file["status"] == "failed":
            failed.setdefault(file["table_name"], []).append(file)
        elif file.get("records_rejected"):
            rejected.setdefault(file["table_name"], []).append(file)
    for table, members in sorted(failed.items()):
        oldest = min(members, key=lambda file: str(file["created_at"]))
        look = f"dm files ls --status failed --table {table}"
        yield Trouble("failed files", table, _shortened(oldest.get("error_message") or ""), look, len(members), oldest["created_at"])
    for table, members in sorted(rejected.items()):
        oldest = min(members, key=lambda file: str(file["created_at"]))
        count = sum(int(file["records_rejected"]) for file in members)
        reasons = sum((Counter(file["reject_reasons"]) for file in members), Counter[str]())
        source = f"rows of {len(members)} files" if len(members) > 1 else "rows of a file"
        reason = _shortened(f"{source} did not fit the contract: {counts_text(reasons)}")
        yield Trouble("rows in quarantine", table, reason, f"dm files show {oldest['file_id']}", count, oldest["created_at"])


def of_refused(groups: Iterable[Group]) -> Iterator[Trouble]:
    """Refused rows that no later load has made good, by table and reason."""
    for group in groups:
        if group.open:
            given = "" if group.table == NO_TABLE else f" --table {group.table}"
            since = moment(group.oldest)
            yield Trouble(
                f"rows that the {group.by} refused", group.table, _shortened(group.reason), f"dm errors show{given}", group.open, since
            )


def moment(at: datetime) -> str:
    """A time as the control records write it, to the second."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _shortened(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"
