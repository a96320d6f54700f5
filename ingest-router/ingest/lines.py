"""Turns the messages of one table into raw lines. The rules are in docs/semantics.md, "Raw lines".

Each contract is compiled once, because the router sees every change. A message then needs one loop over tuples.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import orjson

from ingest.dms_messages import BEFORE_COLUMN, LEFT_OUT, OPERATIONS, SHOWN, Message, NotUnderstood
from ingest.normalisers import Digits, InexactNumber, InvalidValue, Normaliser, moment, normaliser
from lake import cdc
from lake.cdc import DELETE, FENCE, LOAD, UPDATE, ZERO_POSITION, InvalidPosition, Position
from lake.contract import Column, Contract

_ABSENT: Any = object()
_RECORD_LIMIT = 10**10
_TRANSACTION_LIMIT = 1 << 63
_INTEGER = re.compile(r"[0-9]{1,19}")


class Lines(NamedTuple):
    """The raw lines of one message, joined, each with a newline. ``split`` is True if a key change made two lines."""

    data: bytes
    split: bool


class _Origin(NamedTuple):
    """The origin of a change, which every line carries beside its columns. The last two are None for loads and fences."""

    built_at: str
    position: str
    committed_at: str | None
    transaction_id: int | None

    def after_key_change(self) -> _Origin:
        """The place of the new key's line, after that of the old key's delete."""
        return self._replace(position=f"{self.position[:-1]}1")


class _Field(NamedTuple):
    name: str
    source: str
    normalise: Normaliser
    required: bool
    may_be_unchanged: bool
    formers: tuple[str, ...]


class TableLines:
    """Writes the raw lines of one contract's table."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._fields = tuple(_field(contract, column) for column in contract.columns)
        self._key = tuple(_field(contract, column) for column in contract.key)
        self._known = frozenset(column.source_name for column in contract.columns)
        self._nothing: dict[str, Any] = dict.fromkeys(contract.by_name)

    def write(self, message: Message) -> Lines:
        """The lines of a data record. Raises ``NotUnderstood``, and ``InexactNumber`` if ``read_exact`` must read it again."""
        operation = OPERATIONS.get(message.operation.lower())
        if operation is None:
            raise NotUnderstood(f'operation "{message.operation[:SHOWN]}"; one of {", ".join(OPERATIONS)}')
        origin = _origin(operation, message)
        if operation == DELETE:
            return Lines(_line({**self._nothing, **self._keys(message.body)}, DELETE, origin), False)
        image, absent, unknown = self._image(message.body, operation == UPDATE, self._left_out(message))
        if operation == UPDATE and (old := self._old_key(message, image)):
            gone = _line({**self._nothing, **old}, DELETE, origin)
            return Lines(gone + _line(image, UPDATE, origin.after_key_change(), absent, unknown), True)
        return Lines(_line(image, operation, origin, absent, unknown), False)

    def fence(self, message: Message, kind: str) -> Lines:
        """The line that starts a load generation. Raises ``NotUnderstood``."""
        return Lines(_line(dict(self._nothing), FENCE, _origin(LOAD, message), fence=kind), False)

    def _image(
        self, body: Mapping[str, Any], is_update: bool, left_out: Container[str]
    ) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
        line: dict[str, Any] = {}
        absent: list[str] = []
        found = 0
        for name, source, normalise, required, may_be_unchanged, formers in self._fields:
            value = body.get(source, _ABSENT)
            if value is _ABSENT and formers:
                value = next((body[former] for former in formers if former in body), _ABSENT)
            if value is _ABSENT:
                value = None
                if name in left_out or (may_be_unchanged and is_update):
                    absent.append(cdc.UNSEEN + name if name in left_out else name)
                    line[name] = None
                    continue
            else:
                found += 1
            if value is not None:
                try:
                    value = normalise(value)
                except InvalidValue as error:
                    raise NotUnderstood(f'column "{name}": {error}') from None
            elif required:
                raise NotUnderstood(f'column "{name}": null or absent; the contract requires a value')
            line[name] = value
        return line, absent, self._unknown(body) if found != len(body) else {}

    def _left_out(self, message: Message) -> Container[str]:
        """The columns whose values could not travel. Raises ``NotUnderstood`` for one that has no place of its own."""
        given = message.metadata.get(LEFT_OUT)
        if not given:
            return ()
        fields = [field for field in self._fields if not {field.source, *field.formers}.isdisjoint(given)]
        for field in fields:
            if not field.may_be_unchanged:
                raise NotUnderstood(
                    f'column "{field.name}": its value could not travel; with "unchanged: true" in the contract, the rest of its row can'
                )
        return {field.name for field in fields}

    def _unknown(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that the contract does not know, unchanged. The converter decides on them by the contract's evolution mode."""
        formers = {former for field in self._fields if field.source not in body for former in field.formers}
        unknown: dict[str, Any] = {}
        for name, value in body.items():
            if name in self._known or name in formers or name.removeprefix(BEFORE_COLUMN) in self._known:
                continue
            if name in cdc.CDC_TYPES or name in self._nothing:
                raise NotUnderstood(f'column "{name}" has a name that is taken in the lake; give it another one in the contract')
            unknown[name] = _as_written(value)
        return unknown

    def _keys(self, image: Mapping[str, Any]) -> dict[str, Any]:
        key = {}
        for name, source, normalise, _, _, formers in self._key:
            value = next((value for spelling in (source, *formers) if (value := image.get(spelling)) is not None), None)
            if value is None:
                raise NotUnderstood(f'key column "{name}": null or absent')
            try:
                key[name] = normalise(value)
            except InvalidValue as error:
                raise NotUnderstood(f'key column "{name}": {error}') from None
        return key

    def _old_key(self, message: Message, image: Mapping[str, Any]) -> dict[str, Any] | None:
        """The key before an update, if it differs. DMS also sends before-images that do not differ."""
        given: dict[str, Any] = {}
        for _, source, _, _, _, formers in self._key:
            for spelling in (source, *formers):
                value = message.before.get(spelling)
                if value is None:
                    value = message.body.get(BEFORE_COLUMN + spelling)
                if value is not None:
                    given[source] = value
                    break
        if not given:
            return None
        key = {field.name: image[field.name] for field in self._key}
        old = self._keys({**{field.source: key[field.name] for field in self._key}, **given})
        return old if old != key else None


def _origin(operation: str, message: Message) -> _Origin:
    metadata = message.metadata
    subject = "timestamp"
    try:
        built_at = moment(metadata.get(subject))
        if operation == LOAD:
            return _Origin(built_at, ZERO_POSITION, None, None)
        subject = "stream-position"
        position = Position.of_stream_position(_transaction_detail(metadata, subject))
        if position.record >= _RECORD_LIMIT:
            raise InvalidPosition("its record number has more than 10 digits")
        subject = "commit-timestamp"
        committed_at = moment(_transaction_detail(metadata, subject))
    except (InvalidValue, InvalidPosition) as error:
        raise NotUnderstood(f"metadata {subject}: {error}") from None
    return _Origin(built_at, str(position), committed_at, _transaction_id(metadata.get("transaction-id")))


def _transaction_id(value: Any) -> int:
    number = int(value) if type(value) is str and _INTEGER.fullmatch(value) else value
    if type(number) is not int or not 0 <= number < _TRANSACTION_LIMIT:
        raise NotUnderstood("metadata transaction-id: expected an integer; IncludeTransactionDetails of the DMS endpoint gives it")
    return number


def _line(
    columns: dict[str, Any],
    operation: str,
    origin: _Origin,
    absent: list[str] | None = None,
    unknown: Mapping[str, Any] | None = None,
    fence: str | None = None,
) -> bytes:
    columns[cdc.OPERATION] = operation
    columns[cdc.POSITION] = origin.position
    columns[cdc.BUILT_AT] = origin.built_at
    columns[cdc.COMMITTED_AT] = origin.committed_at
    columns[cdc.TRANSACTION_ID] = origin.transaction_id
    columns[cdc.UNCHANGED] = absent or None
    columns[cdc.FENCE_KIND] = fence
    if unknown:
        columns.update(unknown)
    return orjson.dumps(columns, option=orjson.OPT_APPEND_NEWLINE)


def _field(contract: Contract, column: Column) -> _Field:
    formers = contract.former_sources(column)
    return _Field(column.name, column.source_name, normaliser(column), column.required, column.may_be_unchanged, formers)


def _transaction_detail(metadata: Mapping[str, Any], name: str) -> str:
    value = metadata.get(name)
    if not isinstance(value, str):
        raise NotUnderstood(f"metadata {name}: missing; without it a change has no order. Set the DMS endpoint's IncludeTransactionDetails")
    return value


def _as_written(value: Any) -> Any:
    """A value of an unknown column, with all its digits."""
    if type(value) is float:
        raise InexactNumber
    if isinstance(value, Digits) or (type(value) is int and not -(1 << 63) <= value < 1 << 64):
        return orjson.Fragment(str(value))
    if isinstance(value, list):
        return [_as_written(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _as_written(entry) for name, entry in value.items()}
    return value
