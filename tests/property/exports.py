"""A batch export in the middle of a source's life: the real exporter, with changes that commit while it takes its snapshot."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from export import load, snapshot, table_export
from lake.contract import Contract
from lake.control import ControlTable, UnknownFile
from lake.control.file_states import FileStates
from lake.control.records import timestamp
from tests.property.oracle import KEY, PARTIAL, WHOLE, Line
from tests.property.road import Road
from tests.property.source import Source

WHOLE_EXPORT, LOADING_EXPORT = "export", "export anew"
AHEAD = itertools.cycle((60, 30, 0))
"""The slack that a load by export has left, in seconds, when its clock is 0, 30 and 60 seconds ahead of the source's."""


@dataclass
class Exported:
    """An object of an export: its file id, its rows as raw lines, and the rounds in which it is converted."""

    file_id: str
    lines: list[Line]
    rounds: tuple[int, ...]


@dataclass(frozen=True)
class _Events(FileStates):
    """Stands for S3's events: an object is registered when the exporter first looks for its record."""

    announce: Callable[[], None]

    def get(self, file_id: str) -> Any:
        try:
            return super().get(file_id)
        except UnknownFile:
            self.announce()
            return super().get(file_id)


def exported(event: str, source: Source, road: Road, contract: Contract, moments: Sequence[Callable[[], None]]) -> list[Exported]:
    """Export the table, whole or from its watermark.

    The first of ``moments`` is called between the time that the rows carry and the slot, the second while the slot is made:
    what commits there is in the snapshot, and behind the rows' position. A table without changes has no slot and calls neither.
    """
    take = snapshot.import_snapshot

    def taken(reader: Any, replication: Any) -> str:
        before, meanwhile = moments
        before()
        with source.a_slot_that_waits(meanwhile):
            return take(reader, replication)

    of_others = road.export_objects(contract.table)

    def announce() -> None:
        for key in road.export_objects(contract.table) - of_others:
            road.announce(key)

    control = ControlTable(road.names["table"])
    control.files = _Events(control.items, control.listing, announce)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "import_snapshot", taken)
        patch.setattr(load, "CLOCK_SLACK", timedelta(seconds=next(AHEAD)))
        beside = source.slot if event == LOADING_EXPORT else None
        done = table_export.export_table(
            source.dsn, road.names["stage"], contract, control, whole=event == WHOLE_EXPORT, load_beside=beside
        )
    until = timestamp(datetime.now(UTC))
    return [Exported(written.file_id, _lines(road.names["stage"], written.key, until), ()) for written in done.objects]


def _lines(bucket: str, key: str, until: str) -> list[Line]:
    body = gzip.decompress(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()).decode()
    rows = csv.DictReader(io.StringIO(body))
    own = {"cdc_unchanged": None, "cdc_committed_at": None, "read_until": until}
    numbers = (KEY, "written")
    return [{name: _value(row[name], name in numbers) for name in (KEY, *WHOLE, *PARTIAL)} | _change(row) | own for row in rows]


def _change(row: dict[str, str]) -> Line:
    return {name: row[name] for name in ("operation", "cdc_position", "cdc_built_at")}


def _value(text: str, is_number: bool) -> Any:
    """Nothing in the table is an empty text."""
    if not text:
        return None
    return int(text) if is_number else text
