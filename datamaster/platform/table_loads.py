"""Table statistics and reloads, through the API of DMS. A laptop's replicator answers the same calls.

https://docs.aws.amazon.com/dms/latest/APIReference/API_DescribeReplicationTableStatistics.html
https://docs.aws.amazon.com/dms/latest/APIReference/API_ReloadReplicationTables.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from lake.contract import Contract
from lake.errors import TerminalError, TransientError

FAILED = "Table error"
COUNTS = ("FullLoadRows", "Inserts", "Updates", "Deletes")


class NoReplication(TerminalError):
    """No replication is deployed."""

    def __init__(self) -> None:
        super().__init__("no replication is deployed: its stack is streaming-dms. Next: dm deploy")


class NotReloaded(TerminalError):
    """The replication does not carry the table, so it cannot load it."""


class ReplicationUnreachable(TransientError):
    """The replication does not answer, or is in a state in which it loads nothing."""


@dataclass(frozen=True)
class CarriedTable:
    """A table's last load, and the changes since. ``name`` is schema.table."""

    name: str
    state: str
    rows: int
    inserts: int
    updates: int
    deletes: int
    started: datetime | None


def carried(environment: Mapping[str, str]) -> dict[str, CarriedTable]:
    """Every table of the replication, by its name. Raises ``NoReplication``, ``ReplicationUnreachable``."""
    return {table.name: table for table in map(_table, _statistics(environment))}


def reload(environment: Mapping[str, str], contract: Contract) -> None:
    """Load every row of a table again. Raises ``NoReplication``, ``NotReloaded``, ``ReplicationUnreachable``."""
    if not contract.cdc:
        raise NotReloaded(f'table "{contract.table}" is not replicated; dm export {contract.table} --whole loads it')
    call, given = _call(environment, "reload_tables", "reload_replication_tables")
    tables = [{"SchemaName": contract.source_schema, "TableName": contract.source_table}]
    try:
        getattr(boto3.client("dms"), call)(**given, TablesToReload=tables, ReloadOption="data-reload")
    except (BotoCoreError, ClientError) as error:
        raise ReplicationUnreachable(f"DMS does not reload {contract.source_schema}.{contract.source_table}: {error}") from error


def _call(environment: Mapping[str, str], on_instance: str, serverless: str) -> tuple[str, dict[str, str]]:
    """The call for this kind of replication, and the parameter that names it."""
    if task := environment.get("DMS_TASK_ARN"):
        return on_instance, {"ReplicationTaskArn": task}
    if config := environment.get("DMS_REPLICATION_CONFIG_ARN"):
        return serverless, {"ReplicationConfigArn": config}
    raise NoReplication


def _statistics(environment: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    call, given = _call(environment, "describe_table_statistics", "describe_replication_table_statistics")
    try:
        marker: str | None = ""
        while marker is not None:
            page = getattr(boto3.client("dms"), call)(**given, **({"Marker": marker} if marker else {}))
            yield from page.get("TableStatistics") or page.get("ReplicationTableStatistics") or ()
            marker = page.get("Marker")
    except (BotoCoreError, ClientError) as error:
        raise ReplicationUnreachable(f"DMS has no table statistics: {error}") from error


def _table(row: Mapping[str, Any]) -> CarriedTable:
    rows, inserts, updates, deletes = (int(row.get(name) or 0) for name in COUNTS)
    name, state = f"{row['SchemaName']}.{row['TableName']}", str(row.get("TableState") or "")
    return CarriedTable(name, state, rows, inserts, updates, deletes, row.get("FullLoadStartTime"))
