"""Decoder of PostgreSQL's logical replication messages, protocol version 1.

https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum


class Unchanged(Enum):
    """The value of a column that an update did not carry, because it is stored out of line and did not change."""

    UNCHANGED = 0


UNCHANGED = Unchanged.UNCHANGED
Value = bytes | Unchanged | None
Values = list[Value]


@dataclass(frozen=True)
class Begin:
    """The start of a transaction. ``commit_lsn`` is its commit's position, ``committed_at`` microseconds since 2000-01-01 UTC."""

    commit_lsn: int
    committed_at: int
    transaction_id: int


@dataclass(frozen=True)
class Commit:
    """The end of a transaction. Everything before ``end_lsn`` has been sent."""

    end_lsn: int


@dataclass(frozen=True)
class RelationColumn:
    """A column of a relation message. ``identity`` means that it is part of the replica identity."""

    name: str
    type_id: int
    modifier: int
    identity: bool


@dataclass(frozen=True)
class Relation:
    """The definition of a table for the changes that follow."""

    relation_id: int
    schema: str
    name: str
    columns: tuple[RelationColumn, ...]


@dataclass(frozen=True, slots=True)
class RowChange:
    """One changed row: ``kind`` is I, U or D; ``old`` holds the key or the whole row if the server sent one."""

    kind: str
    relation_id: int
    old: Values | None
    new: Values | None


@dataclass(frozen=True)
class Truncate:
    """Some tables were emptied at once."""

    relation_ids: tuple[int, ...]


Message = Begin | Commit | Relation | RowChange | Truncate

_LENGTH = struct.Struct(">I").unpack_from
_COUNT = struct.Struct(">H").unpack_from
_BEGIN = struct.Struct(">QqI").unpack_from
_COMMIT = struct.Struct(">QQ").unpack_from
_COLUMN = struct.Struct(">Ii").unpack_from
_TEXT, _NULL, _TOAST = b"tnu"


def decode(payload: bytes, codec: str = "utf-8") -> Message | None:
    """Decode one message, with names in ``codec``. None for kinds without rows (types, origins, plugin messages)."""
    kind = payload[:1]
    if kind in (b"I", b"U", b"D"):
        return _change(kind, payload)
    if kind == b"B":
        return Begin(*_BEGIN(payload, 1))
    if kind == b"C":
        return Commit(_COMMIT(payload, 2)[1])
    if kind == b"R":
        return _relation(payload, codec)
    if kind == b"T":
        return Truncate(struct.unpack_from(f">{_LENGTH(payload, 1)[0]}I", payload, 6))
    return None


def _change(kind: bytes, payload: bytes) -> RowChange:
    relation_id = _LENGTH(payload, 1)[0]
    old = new = None
    at = 5
    if payload[at] in b"KO":
        old, at = _values(payload, at + 1)
    if kind != b"D":
        new, at = _values(payload, at + 1)
    return RowChange(kind.decode(), relation_id, old, new)


def _values(payload: bytes, at: int) -> tuple[Values, int]:
    values: Values = []
    append = values.append
    count = _COUNT(payload, at)[0]
    at += 2
    for _ in range(count):
        kind = payload[at]
        at += 1
        if kind == _TEXT:
            end = at + 4 + _LENGTH(payload, at)[0]
            append(payload[at + 4 : end])
            at = end
        else:
            append(None if kind == _NULL else UNCHANGED)
    return values, at


def _relation(payload: bytes, codec: str) -> Relation:
    schema, at = _string(payload, 5, codec)
    name, at = _string(payload, at, codec)
    count = _COUNT(payload, at + 1)[0]
    at += 3
    columns = []
    for _ in range(count):
        identity = bool(payload[at] & 1)
        column, at = _string(payload, at + 1, codec)
        type_id, modifier = _COLUMN(payload, at)
        columns.append(RelationColumn(column, type_id, modifier, identity))
        at += 8
    return Relation(_LENGTH(payload, 1)[0], schema or "pg_catalog", name, tuple(columns))


def _string(payload: bytes, at: int, codec: str) -> tuple[str, int]:
    end = payload.index(0, at)
    return payload[at:end].decode(codec, "replace"), end + 1
