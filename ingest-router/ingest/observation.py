"""Metrics and log lines of the router's functions. They never contain a value of a row."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from aws_lambda_powertools.utilities.batch import BatchProcessor

from ingest.raw_objects import RawObject
from ingest.sweep import Swept
from ingest.transformation import TransformedBatch
from lake.control import ControlRecord
from lake.telemetry import MetricUnit, count, logger

LOGGED_FAILURES = 100


def tell_transformation(batch: TransformedBatch) -> None:
    """Count a batch and log the reasons of its failed records, at most 100 of them one by one.

    ``raw_sha256`` of a log line is the digest of the record's raw data, which Firehose writes under errors/.
    """
    for name, value in asdict(batch.counts).items():
        count(f"transform_{name}", value)
    count("transform_lines", batch.counts.lines)
    for failure in batch.failures[:LOGGED_FAILURES]:
        logger.warning("record not understood", extra=asdict(failure))
    if len(batch.failures) > LOGGED_FAILURES:
        rest = Counter(failure.reason for failure in batch.failures[LOGGED_FAILURES:])
        logger.warning("more records not understood", extra={"reasons": dict(rest.most_common(LOGGED_FAILURES))})


def tell_batch_failures(processor: BatchProcessor) -> None:
    """Log the reasons for which messages of a batch go back to their queue or stream."""
    for kind, error, _ in processor.exceptions:
        logger.warning("message goes back", extra={"error_type": kind.__name__ if kind else "", "reason": str(error)})


def tell_registration(raw: RawObject, outcome: str) -> None:
    """Log and count the outcome of one raw object."""
    count(f"files_{outcome}")
    logger.info("raw object", extra={"outcome": outcome, "object_key": raw.key, "file_id": raw.file_id, "size_bytes": raw.size_bytes})


def tell_start(record: ControlRecord, started: bool) -> None:
    """Log and count the start of one attempt."""
    count("conversions_started", started)
    logger.info("conversion", extra={"file_id": record.file_id, "attempt": record.attempt_count, "started": started})


def tell_sweep(swept: Swept) -> None:
    """Log and count a sweep."""
    report = swept.report()
    for name, value in report.items():
        if name not in ("next_key", "unsettled_seconds"):
            count(f"sweep_{name}", int(value or 0))
    count("sweep_unsettled_seconds", swept.unsettled_seconds, MetricUnit.Seconds)
    count("sweep_incomplete", swept.next_key is not None)
    logger.info("sweep", extra={"swept": report})
