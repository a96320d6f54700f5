"""Routes one stream record: it becomes raw lines of a table, or it is a control record that ends here."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import orjson

from ingest.dms_messages import CONTROL, DATA, FENCES, OPERATIONS, SHOWN, Message, NotUnderstood, read_exact, read_message
from ingest.lines import Lines, TableLines
from ingest.normalisers import InexactNumber, InvalidValue, moment
from lake.cdc import LOAD
from lake.contract import ContractSet, UnknownTable
from lake.control import Refusal


class Routed(NamedTuple):
    """The result of one record. ``lines`` is empty for a control record that starts no load."""

    kind: str
    table: str
    lines: bytes = b""
    split: bool = False


class Router:
    """Routes records by the contracts of one version."""

    def __init__(self, contracts: ContractSet) -> None:
        self.version = contracts.version
        self._contracts = contracts
        self._tables = {(c.source_schema, c.source_table): TableLines(c) for c in contracts.tables.values()}
        self._schemas = {c.source_table: c.source_schema for c in contracts.tables.values()}

    def route(self, raw: bytes) -> Routed:
        """Turn one record into lines. Raises ``NotUnderstood``."""
        message = read_message(raw)
        table = self._tables.get((message.schema, message.table))
        if message.kind == CONTROL:
            return self._control(message, table)
        if table is None:
            raise self._not_contracted(message)
        try:
            lines = table.write(message)
        except InexactNumber:
            lines = table.write(read_exact(raw))
        return Routed(message.kind, table.contract.table, lines.data, lines.split)

    def refused_load(self, raw: bytes) -> tuple[str, Refusal] | None:
        """The table and row of a refused record, if a load of a contracted table sent it. The source counts such rows."""
        try:
            message = read_message(raw)
            table = self._tables.get((message.schema, message.table))
            if table is None or message.kind != DATA or OPERATIONS.get(message.operation.lower()) != LOAD:
                return None
            built_at = datetime.fromisoformat(moment(message.metadata.get("timestamp")))
        except (NotUnderstood, InvalidValue):
            return None
        return table.contract.table, Refusal.of(orjson.dumps(message.body, option=orjson.OPT_SORT_KEYS), built_at)

    def origin(self, raw: bytes) -> tuple[str, str]:
        """A record's table, as schema.table, and its operation. Both are empty if it is no message."""
        try:
            message = read_message(raw)
        except NotUnderstood:
            return "", ""
        table = f"{message.schema}.{message.table}" if message.schema and message.table else ""
        return table[: 2 * SHOWN], message.operation[:SHOWN]

    def _control(self, message: Message, table: TableLines | None) -> Routed:
        fence = FENCES.get(message.operation.lower())
        if table is not None and fence is not None:
            return Routed(CONTROL, table.contract.table, table.fence(message, fence).data)
        if table is None and message.schema and message.table in self._schemas:
            raise self._not_contracted(message)
        return Routed(CONTROL, "")

    def _not_contracted(self, message: Message) -> NotUnderstood:
        expected = self._schemas.get(message.table)
        if expected is not None:
            return NotUnderstood(f'table "{message.table}" of schema "{message.schema[:SHOWN]}"; the contract is of schema "{expected}"')
        return NotUnderstood(str(UnknownTable(f"{message.schema[:SHOWN]}.{message.table[:SHOWN]}", self._contracts.tables)))


__all__ = ["Lines", "Routed", "Router"]
