"""Starts the state machine convert-file: one execution an attempt, named ``<file_id>-<attempt_count>``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import orjson

from lake.control.records import PENDING, ControlRecord, now
from lake.errors import TransientError


class ConversionNotStarted(TransientError):
    """Step Functions did not take the execution; it is worth trying again."""


def is_due(record: ControlRecord) -> bool:
    """Whether a file wants an execution now: pending, and not waiting for a time to come."""
    return record.status == PENDING and (record.not_before is None or record.not_before <= now())


class Conversions:
    """Starts executions of one state machine."""

    def __init__(self, state_machine_arn: str) -> None:
        self._arn = state_machine_arn

    @cached_property
    def _states(self) -> Any:
        import boto3

        return boto3.client("stepfunctions")

    def start(self, record: ControlRecord) -> bool:
        """Start the record's attempt. False where that attempt was started before, which is no failure: events come twice.

        Raises ``ConversionNotStarted``.
        """
        attempt = {
            "file_id": record.file_id,
            "attempt": record.attempt_count,
            "compute_target": record.compute_target,
            "table_name": record.table_name,
            "bucket": record.bucket,
            "object_key": record.object_key,
            "records_estimated": record.records_estimated,
        }
        try:
            self._states.start_execution(stateMachineArn=self._arn, name=execution_name(record), input=orjson.dumps(attempt).decode())
        except self._states.exceptions.ExecutionAlreadyExists:
            return False
        except self._states.exceptions.ClientError as error:
            raise ConversionNotStarted(f"{execution_name(record)}: {error}") from error
        return True

    def is_running(self, record: ControlRecord) -> bool:
        """Whether the execution of the record's attempt is there and has not ended."""
        arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{execution_name(record)}"
        try:
            return bool(self._states.describe_execution(executionArn=arn)["status"] == "RUNNING")
        except self._states.exceptions.ExecutionDoesNotExist:
            return False


def execution_name(record: ControlRecord) -> str:
    """The name that makes an attempt start once, however often it is asked for."""
    return f"{record.file_id}-{record.attempt_count}"
