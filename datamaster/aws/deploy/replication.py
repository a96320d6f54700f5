"""DMS's replication. CloudFormation creates it, but neither starts it nor deletes it while it runs.

https://docs.aws.amazon.com/dms/latest/APIReference/API_StartReplication.html
https://docs.aws.amazon.com/dms/latest/APIReference/API_DeleteReplicationConfig.html
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lake.errors import TerminalError

STACK = "streaming-dms"
BEGIN = "start-replication"
NEVER_STARTED = ("created", "ready")
"""States before the first start. A task that was modified after it ran is also "ready", so its start date decides."""
AT_REST = (*NEVER_STARTED, "stopped", "failed")
STOP_SECONDS = 1800.0
START_SECONDS = 3600.0
"""A serverless replication computes and provisions its capacity before it runs."""


class ReplicationFailed(TerminalError):
    """DMS could not start or stop the replication, or the replication failed."""

    def __init__(self, arn: str, reason: str) -> None:
        super().__init__(f"replication {arn}: {reason}\nNext: look at it in the console of DMS, then the same command again")


@dataclass(frozen=True)
class Replication:
    """A serverless replication, or a task on an instance, by its ARN. ``client`` is a DMS client."""

    arn: str
    serverless: bool
    client: Any

    @classmethod
    def of(cls, outputs: Mapping[str, str], client: Any) -> Replication:
        """The replication in the outputs of the stack ``streaming-dms``. One of its two ARNs is empty."""
        serverless = outputs.get("ReplicationConfigArn", "")
        return cls(serverless or outputs["ReplicationTaskArn"], bool(serverless), client)

    def never_ran(self) -> bool:
        """Whether it waits for its first start. Raises ``ReplicationFailed``."""
        with self._told("looked at"):
            found = self._described()
        return found.get("Status", NEVER_STARTED[0]) in NEVER_STARTED and "ReplicationTaskStartDate" not in found

    def start(self) -> None:
        """Start it for the first time: it loads every table, then follows its changes. Raises ``ReplicationFailed``.

        A replication that has run before is resumed by the working hours' schedule, or by a person who knows why it stopped.
        """
        with self._told("started"):
            if self.serverless:
                self.client.start_replication(ReplicationConfigArn=self.arn, StartReplicationType=BEGIN)
            else:
                self.client.start_replication_task(ReplicationTaskArn=self.arn, StartReplicationTaskType=BEGIN)

    def await_running(self, poll_seconds: float, patience: float = START_SECONDS) -> None:
        """Wait until a started replication runs. Raises ``ReplicationFailed`` with DMS's reason."""
        deadline = time.monotonic() + patience
        with self._told("looked at"):
            while (found := self._described()).get("Status") != "running":
                self.refuse_failed(found)
                if time.monotonic() > deadline:
                    raise ReplicationFailed(self.arn, f'it is "{found.get("Status")}" after {patience / 60:.0f} minutes')
                time.sleep(poll_seconds)

    def refuse_failed(self, found: Mapping[str, Any] | None = None) -> None:
        """Raise ``ReplicationFailed`` if it failed. A failed replication makes the source keep its log."""
        found = self._described() if found is None else found
        if found.get("Status") == "failed":
            raise ReplicationFailed(self.arn, f"it failed: {_reason(found) or 'DMS gives no reason'}")

    def status(self) -> tuple[str, str]:
        """Its status in DMS's words, and the reason of a failure or stop. Raises ``ReplicationFailed`` if DMS does not answer."""
        with self._told("looked at"):
            found = self._described()
        return found.get("Status", NEVER_STARTED[0]), _reason(found)

    def stop(self, poll_seconds: float, patience: float = STOP_SECONDS) -> None:
        """Stop it from any state and wait for the end. Raises ``ReplicationFailed``."""
        deadline = time.monotonic() + patience
        with self._told("stopped"):
            while (status := self._described().get("Status", NEVER_STARTED[0])) not in AT_REST:
                if time.monotonic() > deadline:
                    raise ReplicationFailed(self.arn, f'it would not stop and is "{status}"')
                if status == "running":
                    self._stop()
                time.sleep(poll_seconds)

    def _described(self) -> Mapping[str, Any]:
        """DMS's description of it. A serverless replication that never started has none."""
        name = "replication-config-arn" if self.serverless else "replication-task-arn"
        filters = [{"Name": name, "Values": [self.arn]}]
        if self.serverless:
            found = self.client.describe_replications(Filters=filters)["Replications"]
        else:
            found = self.client.describe_replication_tasks(Filters=filters, WithoutSettings=True)["ReplicationTasks"]
        return found[0] if found else {}

    def _stop(self) -> None:
        try:
            if self.serverless:
                self.client.stop_replication(ReplicationConfigArn=self.arn)
            else:
                self.client.stop_replication_task(ReplicationTaskArn=self.arn)
        except self.client.exceptions.InvalidResourceStateFault:
            return  # it has left that state meanwhile

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise ReplicationFailed(self.arn, f"it could not be {what}: {error}") from error


def _reason(found: Mapping[str, Any]) -> str:
    told = found.get("FailureMessages") or [found.get("LastFailureMessage") or found.get("StopReason") or ""]
    return "; ".join(map(str, told))
