"""Every metric that the platform's own code sends to CloudWatch, in the namespace DataMaster: name, unit, dimensions, sender.

A test compares this list with the code and docs/metrics.md with this list. The dimension ``service`` is the app's name.
Powertools adds it.
"""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "DataMaster"
COUNT, SECONDS, PERCENT, BYTES = "Count", "Seconds", "Percent", "Bytes"
ROUTER, CONVERTER, CONTROL = "ingest-router", "converter", "control-api"
SERVICE = ("service",)


@dataclass(frozen=True)
class Metric:
    """One metric. ``sender`` is the function that emits it, ``app`` the function's app, and ``unit`` CloudWatch's name of the unit."""

    name: str
    unit: str
    app: str
    sender: str
    meaning: str
    dimensions: tuple[str, ...] = SERVICE


CATALOGUE: tuple[Metric, ...] = (
    Metric("transform_records", COUNT, ROUTER, "transform_records", "records that Firehose handed over: ok + control + failed + returned"),
    Metric("transform_ok", COUNT, ROUTER, "transform_records", "records that became a raw line"),
    Metric("transform_control", COUNT, ROUTER, "transform_records", "control records of DMS, dropped or turned into a fence"),
    Metric("transform_failed", COUNT, ROUTER, "transform_records", "records not understood, now under errors/"),
    Metric("transform_returned", COUNT, ROUTER, "transform_records", "records put back on the stream because an answer would pass 6 MB"),
    Metric("transform_splits", COUNT, ROUTER, "transform_records", "key changes, each a delete and an upsert"),
    Metric("transform_fences", COUNT, ROUTER, "transform_records", "fence lines: the start of a load generation"),
    Metric("transform_lines", COUNT, ROUTER, "transform_records", "raw lines written: ok + splits + fences"),
    Metric("files_registered", COUNT, ROUTER, "register_files", "raw objects that got a control record"),
    Metric("files_failed", COUNT, ROUTER, "register_files", "raw objects registered as failed: empty, misplaced, or of no contract"),
    Metric("files_known", COUNT, ROUTER, "register_files", "announcements of objects that have a record already"),
    Metric("files_ignored", COUNT, ROUTER, "register_files", "objects that are no data: export manifests"),
    Metric("conversions_started", COUNT, ROUTER, "start_conversions", "executions started (0 if one of that name ran already)"),
    Metric("sweep_objects", COUNT, ROUTER, "sweep_files", "raw objects that the sweep looked at"),
    Metric("sweep_registered", COUNT, ROUTER, "sweep_files", "objects that no event had announced"),
    Metric("sweep_registered_failed", COUNT, ROUTER, "sweep_files", "the same, registered as failed"),
    Metric("sweep_started", COUNT, ROUTER, "sweep_files", "pending files whose execution had never been started"),
    Metric("sweep_restarted", COUNT, ROUTER, "sweep_files", "pending files given another attempt"),
    Metric("sweep_taken_over", COUNT, ROUTER, "sweep_files", "running files whose lease had run out"),
    Metric("sweep_failed", COUNT, ROUTER, "sweep_files", "files failed because their attempts are used up"),
    Metric("sweep_errors", COUNT, ROUTER, "sweep_files", "files and objects that the sweep could not handle, left to the next one"),
    Metric("sweep_unsettled", COUNT, ROUTER, "sweep_files", "raw objects past their time whose rows silver does not hold"),
    Metric("sweep_unsettled_seconds", SECONDS, ROUTER, "sweep_files", "age of the oldest of them (0 if there is none)"),
    Metric("sweep_incomplete", COUNT, ROUTER, "sweep_files", "1 if the sweep ended before the listing did"),
    Metric("RecordsConverted", COUNT, CONVERTER, "convert_file", "rows written to bronze", ("service", "table")),
    Metric("RecordsRejected", COUNT, CONVERTER, "convert_file", "rows put into quarantine", ("service", "table")),
    Metric("ConversionSeconds", SECONDS, CONVERTER, "convert_file", "time of one conversion", ("compute_target", "service")),
    Metric(
        "PiiUnits", COUNT, CONVERTER, "convert_file", "Comprehend's units spent on detection, 100 characters each", ("service", "table")
    ),
    Metric(
        "PiiUnitsRefused",
        COUNT,
        CONVERTER,
        "convert_file",
        "units over a table's allowance of the day: its files wait",
        ("service", "table"),
    ),
    Metric("FilesFailed", COUNT, CONVERTER, "convert_file, record_failure", "files that ended failed", ("error_type", "service")),
    Metric("QualityRowsFailed", COUNT, CONTROL, "settle_silver", "rows that break a quality rule", ("rule", "service", "table")),
    Metric("RowsMerged", COUNT, CONTROL, "settle_silver", "keys that a batch changed in silver", ("service", "table")),
    Metric(
        "RowsMissingValues",
        COUNT,
        CONTROL,
        "settle_silver",
        "rows that cdc_missing names a column of, in the months that a batch touched",
        ("service", "table"),
    ),
    Metric(
        "RowsWithoutMonth",
        COUNT,
        CONTROL,
        "settle_silver",
        "images whose partition column names no month of the years 1 to 9999, now in year 0, month 0",
        ("service", "table"),
    ),
    Metric(
        "JobsFailed",
        COUNT,
        CONTROL,
        "settle_silver, settle_review_flat, settle_gold, settle_maintenance",
        "Spark jobs that failed",
        ("service", "target"),
    ),
    Metric("MaintenanceFailed", COUNT, CONTROL, "settle_maintenance", "tables whose maintenance failed"),
    Metric(
        "TableFiles",
        COUNT,
        CONTROL,
        "settle_maintenance",
        "data files of a table's snapshot, before maintenance and after",
        ("moment", "service", "table"),
    ),
    Metric("TableBytes", BYTES, CONTROL, "settle_maintenance", "bytes of these files", ("moment", "service", "table")),
    Metric(
        "StoredBytes",
        BYTES,
        CONTROL,
        "settle_maintenance",
        "bytes of all that lies under the table's location",
        ("moment", "service", "table"),
    ),
    Metric("SnapshotsExpired", COUNT, CONTROL, "settle_maintenance", "snapshots that maintenance has expired", ("service", "table")),
    Metric("ObjectsRemoved", COUNT, CONTROL, "settle_maintenance", "objects that no snapshot names any more", ("service", "table")),
    Metric("FilesByStatus", COUNT, CONTROL, "report_state", "files in each status of the control table", ("service", "status")),
    Metric("WaitingSeconds", SECONDS, CONTROL, "report_state", "age of a table's oldest file that silver lacks", ("service", "table")),
    Metric("PendingMonths", COUNT, CONTROL, "report_state", "months that a derived table has to rebuild", ("service", "table")),
    Metric("SettledSecondsAgo", SECONDS, CONTROL, "report_state", "time since a table's last batch was settled", ("service", "table")),
    Metric("StalestSeconds", SECONDS, CONTROL, "report_state", "the longest that any row has waited for silver or gold"),
    Metric("BrokenBatches", COUNT, CONTROL, "report_state", "batches that are open with the error of their last job"),
    Metric("FailedFilesPercent", PERCENT, CONTROL, "report_state", "share of failed files in those registered in the last 24 hours"),
)

BY_NAME = {metric.name: metric for metric in CATALOGUE}


def metrics_page() -> str:
    """The text of docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Each function and container writes its metrics on its own log, in CloudWatch's embedded metric format, and CloudWatch makes",
        f"metrics of them in the namespace `{NAMESPACE}`. On a laptop `datamaster/laptop/metrics` does that. It also sends those",
        "metrics of AWS's services that the emulator lacks. This page is written from `lake/metrics_catalogue.py`,",
        "and a test holds the catalogue equal to the code.",
    ]
    for app in (ROUTER, CONVERTER, CONTROL):
        lines += ["", f"## {app}", "", "| metric | unit | dimensions | sent by | meaning |", "|---|---|---|---|---|"]
        for metric in CATALOGUE:
            if metric.app == app:
                names = ", ".join(metric.dimensions)
                lines.append(f"| `{metric.name}` | {metric.unit} | {names} | {metric.sender} | {metric.meaning} |")
    return "\n".join(lines) + "\n"
