"""Rows that were refused on their way: records under errors/, with the reason that the router gave, and rows that the
replicator left out.

An object of errors/ is written by Firehose: https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import orjson

from ingest.routing import Router
from ingest.transformation import Transformation
from lake.clients import s3
from lake.contract import ContractSet
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.control.inbox import EVERYTHING, NOTHING_DECIDED, Decided, Selection
from lake.keys import ERRORS, SOURCE_BACKUP
from lake.privacy import masks_of

ROUTER, REPLICATOR = "router", "replicator"
NO_TABLE = "(no table)"
OBJECTS_LISTED = 500
"""Objects of errors/ that are listed, the newest first; a count of more is a lower bound."""
HIDDEN = "•••"
FIREHOSE_SAYS = "ProcessingFailed status set for record"
"""Firehose's whole message on AWS. On a laptop the router's reason follows after a colon."""
PASSES_NOW = "the contracts in force accept it"


@dataclass(frozen=True)
class Refused:
    """One refused row, or value if the rest of its row was sent.

    ``table`` is schema.table of the source, ``row`` the row as far as it may be shown. A record is entry ``entry``, from 0, of the
    object ``place``.
    """

    by: str
    table: str
    reason: str
    at: datetime
    operation: str = ""
    row: Mapping[str, Any] | None = None
    place: str = ""
    entry: int = 0
    row_sent: bool = False

    def is_in(self, selection: Selection) -> bool:
        """Whether the selection takes the row."""
        return selection.takes(self.table, self.reason, self.at)

    def as_dict(self, hidden_columns: Mapping[str, Container[str]]) -> dict[str, Any]:
        """The JSON form, with hidden columns."""
        return {**vars(self), "at": self.at.isoformat(), "row": shown(self, hidden_columns)}


@dataclass(frozen=True)
class Group:
    """Refused rows of one table and reason. ``open`` are those that no later load of the table has made good.

    Rows that were sent without a value are not among them: cdc_missing names its column until the value is there.
    """

    by: str
    table: str
    reason: str
    count: int
    open: int
    oldest: datetime
    newest: datetime

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**vars(self), "oldest": self.oldest.isoformat(), "newest": self.newest.isoformat()}


class Entry(NamedTuple):
    """One record of an object of errors/, with its bytes as they came."""

    row: Refused
    raw: bytes


class RefusedRecords:
    """The records under errors/ that no decision has taken out yet."""

    def __init__(self, bucket: str, control: ControlTable, contracts: ContractStore) -> None:
        self._bucket = bucket
        self._decisions = control.inbox
        self._contracts = contracts

    @cached_property
    def transformation(self) -> Transformation:
        """The router under the contracts in force."""
        return Transformation(Router(self._contracts.current()))

    def objects(self, since: datetime | None = None) -> list[str]:
        """The keys of the objects that were written at ``since`` or later, oldest first."""
        pages = s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=ERRORS)
        found = (entry for page in pages for entry in page.get("Contents", ()) if not entry["Key"].startswith(SOURCE_BACKUP))
        kept = [(entry["LastModified"], entry["Key"]) for entry in found if since is None or entry["LastModified"] >= since]
        return [key for _, key in sorted(kept)]

    def newest(self, selection: Selection = EVERYTHING) -> Iterator[Refused]:
        """The selected records of the newest objects."""
        decided = self._decisions.decided(ERRORS)
        for key in islice(reversed(self.objects(selection.since)), OBJECTS_LISTED):
            yield from (row for row, _ in self.entries(key, decided.get(key, NOTHING_DECIDED)) if row.is_in(selection))

    def entries(self, key: str, decided: Decided) -> Iterator[Entry]:
        """The undecided records of one object, none if it has expired. A record without the router's reason gets its reason of today."""
        try:
            body = s3().get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except s3().exceptions.NoSuchKey:
            return
        lines = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).splitlines()
        yield from (self._entry(line, key, number) for number, line in enumerate(lines) if number not in decided)

    def _entry(self, line: bytes, place: str, number: int) -> Entry:
        entry = _entry(line, place, number)
        if entry.row.reason != FIREHOSE_SAYS:
            return entry
        return entry._replace(row=replace(entry.row, reason=self.transformation.refusal(entry.raw) or PASSES_NOW))


def _entry(line: bytes, place: str, number: int) -> Entry:
    told = _document(line)
    raw = base64.b64decode(told["rawData"]) if isinstance(told.get("rawData"), str) else line
    message = _document(raw)
    metadata, data = message.get("metadata") or {}, message.get("data")
    schema, table = metadata.get("schema-name"), metadata.get("table-name")
    at = datetime.fromtimestamp(int(told.get("arrivalTimestamp") or told.get("attemptEndingTimestamp") or 0) / 1000, UTC)
    row = Refused(
        ROUTER,
        f"{schema}.{table}" if schema and table else NO_TABLE,
        str(told.get("errorMessage") or "no line of Firehose's errors").removeprefix(f"{FIREHOSE_SAYS}: "),
        at,
        str(metadata.get("operation") or ""),
        data if isinstance(data, dict) else None,
        place,
        number,
    )
    return Entry(row, raw)


def _document(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def grouped(rows: Iterable[Refused], is_open: Callable[[Refused], bool] = lambda _row: True) -> list[Group]:
    """Counts by table and reason, ignoring numbers in the reason. Groups with open rows come first."""
    groups: dict[tuple[str, str, str], list[Refused]] = {}
    for row in rows:
        groups.setdefault((row.by, row.table, re.sub(r"\d[\d,.]*", "#", row.reason)), []).append(row)
    found = [
        Group(
            *(members[0].by, members[0].table, members[0].reason),
            count=len(members),
            open=sum(map(is_open, members)),
            oldest=min(row.at for row in members),
            newest=max(row.at for row in members),
        )
        for members in groups.values()
    ]
    return sorted(found, key=lambda group: (group.open == 0, group.table, group.reason))


def not_loaded_since(loaded_at: Mapping[str, datetime]) -> Callable[[Refused], bool]:
    """Whether no later load has made a row good. ``loaded_at`` is the start of each table's newest load."""
    return lambda row: not row.row_sent and (row.table not in loaded_at or row.at >= loaded_at[row.table])


def shown(row: Refused, hidden_columns: Mapping[str, Container[str]]) -> dict[str, Any] | None:
    """The row's columns, with those that may hold personal data hidden: all of them for a table that is not among ``hidden_columns``."""
    if row.row is None:
        return None
    if row.by == REPLICATOR:
        return dict(row.row)
    hidden = hidden_columns.get(row.table)
    return {name: HIDDEN if value is not None and (hidden is None or name in hidden) else value for name, value in row.row.items()}


def source_table(contracts: ContractSet, table: str | None) -> str | None:
    """The table as schema.table, which may be given by its name in the lake."""
    contract = contracts.tables.get(table or "")
    return f"{contract.source_schema}.{contract.source_table}" if contract else table


def hidden_columns(contracts: ContractSet, control: ControlTable) -> dict[str, frozenset[str]]:
    """The masked columns of each source table, by their names there."""
    hidden = {}
    for contract in contracts.tables.values():
        found = ((column.name, control.decisions.get(contract.table, column.name)) for column in contract.detected_columns)
        masked = masks_of(contract, {name: str(decision["decision"]) for name, decision in found if decision})
        hidden[f"{contract.source_schema}.{contract.source_table}"] = frozenset(contract.by_name[name].source_name for name in masked)
    return hidden
