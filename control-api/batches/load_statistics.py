"""The progress of a table's load, from DMS's table statistics.

https://docs.aws.amazon.com/dms/latest/APIReference/API_DescribeTableStatistics.html and, for a serverless replication,
https://docs.aws.amazon.com/dms/latest/APIReference/API_DescribeReplicationTableStatistics.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from batches.settings import BatchSettings
from lake.contract import Contract
from lake.telemetry import logger

COMPLETED = "Table completed"


@dataclass(frozen=True)
class Load:
    """A complete load: the rows that the source sent, the end of the load, and the rows that the source could not send.

    ``rows`` does not include ``left_out``, which is DMS's FullLoadErrorRows. ``refused`` counts the rows that the converter refused
    of a load by export. The refused rows of other loads are kept one by one.
    """

    rows: int
    ended_at: datetime | None
    left_out: int = 0
    refused: int | None = None


class LoadStatistics:
    """Queries DMS about the tables of the configured task or serverless replication."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings

    @cached_property
    def _dms(self) -> Any:
        return boto3.client("dms")

    def complete_load(self, contract: Contract) -> Load | None:
        """The table's last load if it is complete. None if it runs, if DMS has no statistics, or without a replication."""
        try:
            rows = self._rows(contract)
        except (BotoCoreError, ClientError) as error:
            # a stopped replication has no statistics: merging continues, only older generations stay
            logger.warning("DMS tells no statistics of %s.%s: %s", contract.source_schema, contract.source_table, error)
            return None
        for row in rows:
            if row.get("TableState") == COMPLETED:
                ended = row.get("FullLoadEndTime")
                sent, left_out = (int(row.get(name) or 0) for name in ("FullLoadRows", "FullLoadErrorRows"))
                return Load(sent, ended.astimezone(UTC) if ended else None, left_out)
        return None

    def _rows(self, contract: Contract) -> list[dict[str, Any]]:
        filters = [
            {"Name": "schema-name", "Values": [contract.source_schema]},
            {"Name": "table-name", "Values": [contract.source_table]},
        ]
        if self._settings.dms_task_arn:
            answer = self._dms.describe_table_statistics(ReplicationTaskArn=self._settings.dms_task_arn, Filters=filters)
            rows = answer.get("TableStatistics", [])
        elif self._settings.dms_replication_config_arn:
            answer = self._dms.describe_replication_table_statistics(
                ReplicationConfigArn=self._settings.dms_replication_config_arn, Filters=filters
            )
            rows = answer.get("ReplicationTableStatistics", [])
        else:
            return []
        origin = (contract.source_schema, contract.source_table)
        return [row for row in rows if (row.get("SchemaName"), row.get("TableName")) == origin]
