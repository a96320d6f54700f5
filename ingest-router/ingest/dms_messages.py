"""DMS's message on the stream: its envelope and both of its vocabularies.

https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html documents create, read, update, delete,
TruncateTable and DropTable. Captured messages say insert, load, update, delete, drop-table and create-table. Both are
understood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import orjson

from ingest.normalisers import Digits
from lake.cdc import DELETE, INSERT, LOAD, UPDATE
from lake.errors import TerminalError
from lake.generations import CREATED, DROPPED

DATA, CONTROL = "data", "control"
BEFORE_IMAGE = "before-image"
BEFORE_COLUMN = "BI_"
DOCUMENT = "_doc"
SHOWN = 60
LEFT_OUT = "left-out-columns"
"""Of the metadata: columns of the source whose values could not travel. The replicator says so, DMS does not."""

OPERATIONS: Mapping[str, str] = {
    "load": LOAD,
    "read": LOAD,
    "insert": INSERT,
    "create": INSERT,
    "update": UPDATE,
    "delete": DELETE,
}
FENCES: Mapping[str, str] = {
    DROPPED: DROPPED,
    "droptable": DROPPED,
    CREATED: CREATED,
    "createtable": CREATED,
}


class NotUnderstood(TerminalError):
    """A stream record cannot be turned into raw lines. The message gives the reason and shows no value of a column."""


class Message(NamedTuple):
    """One parsed record. ``kind`` is data or control, ``body`` holds the row's columns (empty for control)."""

    kind: str
    operation: str
    schema: str
    table: str
    metadata: Mapping[str, Any]
    body: dict[str, Any]
    before: Mapping[str, Any]


def read_message(raw: bytes) -> Message:
    """Parse one record. Raises ``NotUnderstood``."""
    try:
        return _message(orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        raise NotUnderstood(f"no valid JSON: {error}") from None


def read_exact(raw: bytes) -> Message:
    """Parse one record and keep the digits of every number with a fraction or exponent. Raises ``NotUnderstood``."""
    try:
        return _message(json.loads(raw, parse_float=Digits, parse_constant=_no_number))
    except ValueError as error:
        raise NotUnderstood(f"no valid JSON: {error}") from None


def _no_number(token: str) -> NoReturn:
    raise ValueError(f"{token} is no JSON number")


def _message(document: Any) -> Message:
    if not isinstance(document, dict) or not isinstance(metadata := document.get("metadata"), dict):
        raise NotUnderstood('no DMS message: expected an object with "metadata"')
    schema, table, operation = metadata.get("schema-name"), metadata.get("table-name"), metadata.get("operation")
    if not isinstance(schema, str) or not isinstance(table, str) or not isinstance(operation, str):
        raise NotUnderstood("metadata needs schema-name, table-name and operation, each a text")
    kind = metadata.get("record-type")
    if kind == DATA:
        body, before = document.get("data"), document.get(BEFORE_IMAGE)
        if not isinstance(body, dict):
            raise NotUnderstood('a data record needs "data", an object with the row\'s columns')
        if DOCUMENT in body and isinstance(body[DOCUMENT], dict):
            body = {**body.pop(DOCUMENT), **body}
        if before is not None and not isinstance(before, dict):
            raise NotUnderstood(f'"{BEFORE_IMAGE}" is no object')
        return Message(kind, operation, schema, table, metadata, body, before or {})
    if kind == CONTROL:
        return Message(kind, operation, schema, table, metadata, {}, {})
    raise NotUnderstood(f'record-type "{str(kind)[:SHOWN]}"; data or control')
