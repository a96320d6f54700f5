"""Rows that were refused on their way: records under errors/, with the reason that the router gave, and rows that the
replicator left out.

An object of errors/ is written by Firehose: https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import boto3
import orjson

from lake.keys import ERRORS

ROUTER, REPLICATOR = "router", "replicator"
NO_TABLE = "(no table)"
OBJECTS_READ = 500
"""Objects of errors/ that are read, the newest first; a count of more is a lower bound."""
HIDDEN = "•••"
FIREHOSE_SAYS = "ProcessingFailed status set for record: "


@dataclass(frozen=True)
class Refused:
    """One refused row, or value if the rest of its row was sent.

    ``table`` is schema.table of the source, ``row`` the row as far as it may be shown.
    """

    by: str
    table: str
    reason: str
    at: datetime
    operation: str = ""
    row: Mapping[str, Any] | None = None
    place: str = ""
    row_sent: bool = False


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


def refused_records(bucket: str, objects: int = OBJECTS_READ) -> Iterator[Refused]:
    """The records under errors/, newest object first."""
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=ERRORS)
    found = sorted((entry for page in pages for entry in page.get("Contents", ())), key=lambda entry: entry["LastModified"], reverse=True)
    for entry in islice(found, objects):
        body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        for line in (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).splitlines():
            yield _record(orjson.loads(line), f"s3://{bucket}/{entry['Key']}")


def _record(line: Mapping[str, Any], place: str) -> Refused:
    message = _message(base64.b64decode(line.get("rawData") or ""))
    metadata = message.get("metadata") or {}
    schema, table = metadata.get("schema-name"), metadata.get("table-name")
    at = datetime.fromtimestamp(int(line.get("arrivalTimestamp") or line.get("attemptEndingTimestamp") or 0) / 1000, UTC)
    name = f"{schema}.{table}" if schema and table else NO_TABLE
    data = message.get("data")
    return Refused(
        ROUTER,
        name,
        str(line.get("errorMessage")).removeprefix(FIREHOSE_SAYS),
        at,
        str(metadata.get("operation") or ""),
        data if isinstance(data, dict) else None,
        place,
    )


def _message(raw: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return message if isinstance(message, dict) else {}


def grouped(rows: Iterable[Refused], loaded_at: Mapping[str, datetime]) -> list[Group]:
    """Counts by table and reason, ignoring numbers in the reason. Groups with open rows come first.

    ``loaded_at`` is the start of each table's newest load.
    """
    groups: dict[tuple[str, str, str], list[Refused]] = {}
    for row in rows:
        groups.setdefault((row.by, row.table, re.sub(r"\d[\d,.]*", "#", row.reason)), []).append(row)
    found = [
        Group(
            *(members[0].by, members[0].table, members[0].reason),
            count=len(members),
            open=sum(not row.row_sent and (row.table not in loaded_at or row.at >= loaded_at[row.table]) for row in members),
            oldest=min(row.at for row in members),
            newest=max(row.at for row in members),
        )
        for members in groups.values()
    ]
    return sorted(found, key=lambda group: (group.open == 0, group.table, group.reason))


def shown(row: Refused, hidden_columns: Mapping[str, Container[str]]) -> dict[str, Any] | None:
    """The row's columns, with those that may hold personal data hidden: all of them for a table that is not among ``hidden_columns``."""
    if row.row is None:
        return None
    if row.by == REPLICATOR:
        return dict(row.row)
    hidden = hidden_columns.get(row.table)
    return {name: HIDDEN if value is not None and (hidden is None or name in hidden) else value for name, value in row.row.items()}
