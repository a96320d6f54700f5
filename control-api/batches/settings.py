"""The settings of the plan and settle functions, parsed once from their environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

BATCH_LEASE_SECONDS = 12 * 3600
"""The time limit of the state machines' executions. While one may still run, its batch stays its own."""
BATCH_FILES = 500


@dataclass(frozen=True)
class BatchSettings:
    """Names from the stacks. ``lease_seconds`` covers an execution's longest run. ``batch_files`` limits the files of one batch."""

    control_table: str
    lake_bucket: str
    contracts_uri: str
    dms_task_arn: str | None
    dms_replication_config_arn: str | None
    lease_seconds: int
    batch_files: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> BatchSettings:
        """Parse the function's environment."""
        return cls(
            control_table=environment["CONTROL_TABLE"],
            lake_bucket=environment["LAKE_BUCKET"],
            contracts_uri=environment["CONTRACTS_URI"],
            dms_task_arn=environment.get("DMS_TASK_ARN") or None,
            dms_replication_config_arn=environment.get("DMS_REPLICATION_CONFIG_ARN") or None,
            lease_seconds=int(environment.get("BATCH_LEASE_SECONDS", BATCH_LEASE_SECONDS)),
            batch_files=int(environment.get("BATCH_FILES", BATCH_FILES)),
        )


def batch_settings() -> BatchSettings:
    """The settings of the running function."""
    return BatchSettings.of(os.environ)
