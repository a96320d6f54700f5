"""The inbox of rejected lines: what the quarantine holds of files that are published, and no decision has taken out yet."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq

from lake.clients import s3
from lake.control import ControlRecord, ControlTable, UnknownFile
from lake.control.inbox import NOTHING_DECIDED, Decided, Selection
from lake.control.records import BRONZE, SILVER, parse_timestamp
from lake.keys import QUARANTINE, quarantine_prefix, silver_quarantine_prefix

_PLACE = ("line_number", "byte_offset", "column", "reason", "detail", "line_bytes", "line_sha256")


def problem(reason: str, column: str | None, detail: str) -> str:
    """The problem of a rejected line as one text."""
    place = f' in column "{column}"' if column else ""
    return f"{reason}{place} ({detail})"


@dataclass(frozen=True)
class RejectedEntry:
    """One rejected line of a file: entry ``entry``, from 0, of its quarantine. ``line`` is null if it may not be shown."""

    table: str
    file_id: str
    at: datetime
    entry: int
    line_number: int
    byte_offset: int
    column: str | None
    reason: str
    detail: str
    line_bytes: int
    line_sha256: str
    line: str | None = None

    @property
    def problem(self) -> str:
        """Reason, column and detail as one text."""
        return problem(self.reason, self.column, self.detail)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return vars(self) | {"at": self.at.isoformat()}


@dataclass(frozen=True)
class QuarantinedFile:
    """A published file with rejected lines that no decision has taken out. ``place`` names this attempt's quarantine among decisions."""

    record: ControlRecord
    decided: Decided

    @property
    def place(self) -> str:
        """The quarantine of the file's last attempt. Another attempt writes its own."""
        return f"{self.record.quarantine_key}#{self.record.attempt_count}"


@dataclass(frozen=True)
class RejectGroup:
    """Rejected lines of one table and problem, ignoring their values."""

    table: str
    reason: str
    column: str | None
    count: int
    files: int
    oldest: datetime
    newest: datetime

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return vars(self) | {"oldest": self.oldest.isoformat(), "newest": self.newest.isoformat()}


class RejectedLines:
    """Reads the quarantine of the lake's bucket. Changes that a rule on quality holds back are not among its lines."""

    def __init__(self, bucket: str, control: ControlTable) -> None:
        self._bucket = bucket
        self._control = control

    def files(self, selection: Selection) -> Iterator[QuarantinedFile]:
        """The selected files, by key: table, day, file id."""
        decided = self._control.inbox.decided(QUARANTINE)
        prefix = quarantine_prefix(selection.table) if selection.table else QUARANTINE
        for page in s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                record = self._published(entry["Key"])
                if record is None or not selection.spans(parse_timestamp(record.created_at)):
                    continue
                file = QuarantinedFile(record, NOTHING_DECIDED)
                file = QuarantinedFile(record, decided.get(file.place, NOTHING_DECIDED))
                if file.decided.count < (record.records_rejected or 0):
                    yield file

    def _published(self, key: str) -> ControlRecord | None:
        """The record of the file whose last attempt wrote the quarantine ``key`` and was published."""
        table = key.split("/")[1]
        if key.startswith(silver_quarantine_prefix(table)):
            return None
        try:
            record = self._control.files.get(key.rpartition("/")[2].removesuffix(".parquet"))
        except UnknownFile:
            return None
        return record if record.quarantine_key == key and record.status in (BRONZE, SILVER) else None

    def entries(self, file: QuarantinedFile, selection: Selection, with_lines: bool = False) -> Iterator[RejectedEntry]:
        """The selected undecided lines of a file, in their order. ``with_lines`` reads their masked text too."""
        record, number = file.record, 0
        body = s3().get_object(Bucket=self._bucket, Key=record.quarantine_key)["Body"].read()
        for batch in pq.ParquetFile(io.BytesIO(body)).iter_batches(columns=[*_PLACE, "line"] if with_lines else list(_PLACE)):
            for row in batch.to_pylist():
                entry = RejectedEntry(record.table_name, record.file_id, parse_timestamp(record.created_at), number, **row)
                if number not in file.decided and selection.takes(entry.table, entry.problem, entry.at):
                    yield entry
                number += 1

    def selected(self, selection: Selection, with_lines: bool = False) -> Iterator[RejectedEntry]:
        """The selected lines of all files."""
        for file in self.files(selection):
            yield from self.entries(file, selection, with_lines)

    def groups(self, selection: Selection) -> list[RejectGroup]:
        """The selected lines by table, reason and column, the most frequent first."""
        counts: Counter[tuple[str, str, str | None]] = Counter()
        files: dict[tuple[str, str, str | None], dict[str, datetime]] = {}
        for entry in self.selected(selection):
            kind = (entry.table, entry.reason, entry.column)
            counts[kind] += 1
            files.setdefault(kind, {})[entry.file_id] = entry.at
        return [
            RejectGroup(*kind, count, len(files[kind]), min(files[kind].values()), max(files[kind].values()))
            for kind, count in counts.most_common()
        ]
