"""One attempt at a file: take it, convert it, publish the result. The Lambda function and the container both run it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

from convert.conversion_errors import Interrupted, TooMuchLost
from convert.engine import ConversionPlan, convert
from convert.masking import mask_key
from convert.privacy import Decisions
from convert.raw_source import S3Source
from convert.sampling import sample
from convert.settings import Settings
from convert.sink import S3Sink
from lake import keys
from lake.contract import Contract, ContractSet
from lake.contract.store import ContractStore
from lake.control import AlreadyTaken, ControlRecord, ControlTable, LeaseLost, Outcome, WrongStatus
from lake.errors import TerminalError
from lake.privacy.detection import Detector
from lake.telemetry import MetricUnit, count, logger

CONVERTED, FAILED, WAITING, ABANDONED = "converted", "failed", "waiting", "abandoned"


@dataclass(frozen=True)
class Summary:
    """The result of one attempt.

    ``result`` is ``converted``, ``failed`` (the reason is on the control record), ``waiting`` (for a decision on personal
    data) or ``abandoned`` (another execution holds the file, or it is done already). An abandoned attempt publishes nothing.
    """

    file_id: str
    result: str
    records_read: int = 0
    records_written: int = 0
    records_rejected: int = 0
    parts: int = 0
    error_type: str | None = None
    message: str | None = None
    seconds: float = 0.0

    def asdict(self) -> dict[str, Any]:
        """The JSON form for the state machine."""
        return asdict(self)


class Converter:
    """Converts registered files. One instance serves a process for its whole life and creates its clients on first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._control = ControlTable(settings.control_table)
        self._contracts = ContractStore(settings.contracts_uri)
        self._decisions = Decisions(self._control, Detector(), settings.pii_wait_seconds, settings.pii_units_a_day)

    @cached_property
    def _s3(self) -> Any:
        import boto3

        return boto3.client("s3")

    @cached_property
    def _mask_key(self) -> bytes:
        import boto3

        text = boto3.client("secretsmanager").get_secret_value(SecretId=self._settings.mask_key_secret)["SecretString"]
        return mask_key(text, self._settings.mask_key_secret)

    def run(self, file_id: str, execution: str, is_interrupted: Callable[[], bool] = lambda: False) -> Summary:
        """Make one attempt at a file for this execution.

        Terminal errors end on the control record and in the summary. Any other error gives the lease back and is raised, so
        that the state machine tries again. Raises ``Interrupted`` once ``is_interrupted`` returns True.
        """
        began = time.monotonic()
        try:
            record = self._control.files.start(file_id, execution, self._settings.lease_seconds)
        except (AlreadyTaken, WrongStatus) as error:
            return Summary(file_id, ABANDONED, error_type=type(error).__name__, message=str(error))
        token = record.lease_token or ""
        lease = _Lease(self._control, file_id, token, self._settings.lease_seconds, is_interrupted)
        try:
            outcome = self._attempt(record, lease)
        except LeaseLost as error:
            return Summary(file_id, ABANDONED, error_type="LeaseLost", message=str(error))
        except TerminalError as error:
            return self._failed(file_id, token, error)
        except BaseException as error:
            self._release(file_id, token, error)
            raise
        if outcome is None:
            return Summary(file_id, WAITING, message="waits for a decision on personal data")
        count("ConversionSeconds", round(time.monotonic() - began, 3), MetricUnit.Seconds, compute_target=record.compute_target)
        count("RecordsConverted", outcome.records_written, table=record.table_name)
        count("RecordsRejected", outcome.records_rejected, table=record.table_name)
        return Summary(
            file_id,
            CONVERTED,
            outcome.records_read,
            outcome.records_written,
            outcome.records_rejected,
            len(outcome.bronze_keys),
            seconds=round(time.monotonic() - began, 3),
        )

    def record_failure(self, file_id: str, execution: str, error_type: str, message: str) -> Summary:
        """Store the reason of a failed execution on the file's record, unless another execution or attempt has taken the file."""
        record = self._control.files.get(file_id)
        if record.execution_arn not in (None, execution):
            return Summary(file_id, ABANDONED, message=f"the file belongs to {record.execution_arn}")
        attempt = _attempt_of(execution, file_id) or record.attempt_count
        if record.error_message and record.error_message not in message:
            # a container's error: Step Functions knows its exit code, the record its reason
            error_type, message = record.error_type or error_type, f"{record.error_message}; {message}"
        after = self._control.files.fail(file_id, error_type, message, attempt=attempt)
        if after.status != FAILED or after.attempt_count != attempt:
            return Summary(file_id, ABANDONED, message=f"the file is {after.status} on attempt {after.attempt_count}")
        count("FilesFailed", error_type=error_type)
        return Summary(file_id, FAILED, error_type=error_type, message=message)

    def _attempt(self, record: ControlRecord, lease: _Lease) -> Outcome | None:
        """Convert and publish. None if the file was put back to wait."""
        contracts, contract = self._contracts.reading(record.object_key, record.table_name, record.contract_version)
        pinned = self._pinned(record, contracts, contract, lease)
        if pinned is None:
            return None
        plan = self._plan(pinned, contract)
        sink = S3Sink(self._s3, self._settings.lake_bucket)
        try:
            with self._source(pinned) as source:
                outcome = convert(plan, source, sink, self._settings.workers, lease.check)
            lease.renew()
            sink.commit()
            self._control.complete(record.file_id, lease.token, outcome)
        except BaseException:
            sink.abort()
            raise
        return outcome

    def _pinned(self, record: ControlRecord, contracts: ContractSet, contract: Contract, lease: _Lease) -> ControlRecord | None:
        """The record with fixed contract version and decisions. None if the file was put back to wait for a decision."""
        if record.contract_version is not None:
            return record

        def sampler(columns: Any) -> Any:
            with self._source(record) as source:
                return sample(contract, record.file_format, source, columns, lease.check)

        decisions = self._decisions.of(record, contract, sampler)
        if decisions is not None:
            return self._control.files.pin(record, contracts.version, decisions)
        self._control.files.postpone(record.file_id, lease.token, self._settings.pii_wait_seconds)
        if len(self._decisions.stored(contract)) == len(contract.detected_columns):
            self._control.files.wake(record.table_name)
        return None

    def _plan(self, record: ControlRecord, contract: Contract) -> ConversionPlan:
        place = (record.table_name, record.ingest_date, record.file_id)
        return ConversionPlan(
            file_id=record.file_id,
            contract=contract,
            contract_version=record.contract_version or "",
            file_format=record.file_format,
            source=record.object_key.rpartition("/")[2],
            decisions=dict(record.pii_decision or {}),
            part_name=partial(keys.bronze_part, *place),
            quarantine_name=keys.quarantine_key(*place),
            mask_key=self._mask_key,
        )

    @contextmanager
    def _source(self, record: ControlRecord) -> Iterator[S3Source]:
        source = S3Source(self._s3, record.bucket, record.object_key, record.version_id, record.etag, record.size_bytes)
        try:
            yield source
        finally:
            source.close()

    def _failed(self, file_id: str, token: str, error: TerminalError) -> Summary:
        name, message = type(error).__name__, str(error)
        logger.warning("conversion failed", extra={"file_id": file_id, "error_type": name, "reason": message})
        reasons = error.reject_reasons if isinstance(error, TooMuchLost) else {}
        try:
            self._control.files.fail(file_id, name, message, token, reject_reasons=reasons)
        except LeaseLost as lost:
            return Summary(file_id, ABANDONED, error_type="LeaseLost", message=str(lost))
        count("FilesFailed", error_type=name)
        return Summary(file_id, FAILED, error_type=name, message=message)

    def _release(self, file_id: str, token: str, error: BaseException) -> None:
        """Give the lease back after a failure. A second failure here is only logged, so that the first is the one raised."""
        try:
            self._control.files.release(file_id, token, type(error).__name__, str(error))
        except Exception:
            logger.exception("the lease could not be given back; it runs out by itself", extra={"file_id": file_id})


def _attempt_of(execution: str, file_id: str) -> int | None:
    """The attempt in an execution's name ``<file_id>-<attempt>``. None if a person chose another name."""
    name, _, attempt = execution.rpartition(":")[2].rpartition("-")
    return int(attempt) if name == file_id and attempt.isdecimal() else None


class _Lease:
    """The lease of a file, renewed between blocks."""

    def __init__(self, control: ControlTable, file_id: str, token: str, seconds: int, is_interrupted: Callable[[], bool]) -> None:
        self._control = control
        self._file_id = file_id
        self.token = token
        self._seconds = seconds
        self._is_interrupted = is_interrupted
        self._renewed = time.monotonic()

    def check(self) -> None:
        """Renew the lease if a third of it has passed. Raises ``LeaseLost``, ``Interrupted``."""
        if self._is_interrupted():
            raise Interrupted(f"file {self._file_id}: asked to stop")
        if time.monotonic() - self._renewed > self._seconds / 3:
            self.renew()

    def renew(self) -> None:
        """Renew now. Raises ``LeaseLost``, ``Interrupted``."""
        if self._is_interrupted():
            raise Interrupted(f"file {self._file_id}: asked to stop")
        self._control.files.renew(self._file_id, self.token, self._seconds)
        self._renewed = time.monotonic()
