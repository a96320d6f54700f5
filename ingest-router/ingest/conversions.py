"""Starts the state machine convert-file, with one execution per attempt, named ``<file_id>-<attempt_count>``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import orjson

from lake.control.records import PENDING, ControlRecord, now
from lake.errors import TransientError


class ConversionNotStarted(TransientError):
    """Step Functions did not accept the execution. A retry may succeed."""


def is_due(record: ControlRecord) -> bool:
    """Whether a file needs an execution now: it is pending and does not wait for a later time."""
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
        """Start the record's attempt. Returns False if it was started before, since events may arrive twice.

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
        """Whether the execution of the record's attempt exists and has not ended."""
        arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{execution_name(record)}"
        try:
            return bool(self._states.describe_execution(executionArn=arn)["status"] == "RUNNING")
        except self._states.exceptions.ExecutionDoesNotExist:
            return False


def execution_name(record: ControlRecord) -> str:
    """The execution's name. It is unique per attempt, so an attempt starts only once."""
    return f"{record.file_id}-{record.attempt_count}"
