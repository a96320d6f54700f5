"""Every kind of trouble is one line with its table, its reason and the command that looks closer; what is well is none."""

from __future__ import annotations

from datetime import UTC, datetime

from control_api.troubles import of_derived, of_files, of_tables
from datamaster.platform.picture import of_refused
from ingest.refused_records import Group
from lake.control import ControlRecord

WELL = {"table": "orders", "frozen_reason": None, "load_waits": None, "missing": {}, "open_batch": None}


def told(troubles):
    return [(trouble.kind, trouble.subject, trouble.count, trouble.look) for trouble in troubles]


def test_tables():
    assert told(of_tables([WELL])) == []
    frozen = WELL | {"frozen_reason": "dropped at its source"}
    waiting = WELL | {"load_waits": "3 of 10 rows are missing"}
    lacking = WELL | {"missing": {"body": 2}}
    broken = WELL | {"open_batch": {"error": "Traceback\n  ambiguous attribute", "attempt_count": 4}}
    assert told(of_tables([frozen, waiting, lacking, broken])) == [
        ("frozen table", "orders", 1, "dm reload orders"),
        ("load that waits", "orders", 1, "dm errors ls --table orders"),
        ("rows that lack a value", "orders", 2, "dm export orders --missing"),
        ("batch that failed", "orders", 4, "dm run silver --table orders"),
    ]
    assert next(of_tables([broken])).reason == "Traceback ambiguous attribute"


def test_a_batch_that_runs_is_no_trouble():
    assert told(of_tables([WELL | {"open_batch": {"error": None, "attempt_count": 1}}])) == []


def test_a_derived_table_whose_batch_failed_names_the_run_that_repeats_it():
    failed = {"table": "orders_by_month", "layer": "gold", "open_batch": {"error": "out of memory", "attempt_count": 2}}
    assert told(of_derived([failed, failed | {"open_batch": None}])) == [("batch that failed", "orders_by_month", 2, "dm run gold")]


def test_files_are_counted_by_table_and_the_oldest_is_named():
    def file(number, **more):
        values = dict.fromkeys(("bucket", "object_key", "version_id", "file_format", "size_bytes", "attempt_count", "compute_target"))
        arrived = f"2026-01-0{number}T00:00:00Z"
        own = {"file_id": f"f{number}", "table_name": "orders", "status": "silver", "created_at": arrived, "updated_at": arrived}
        return ControlRecord(**values | own | more)

    files = [
        file(4, records_rejected=3, reject_reasons={'type in column "n"': 2, "ragged": 1}),
        file(3, status="failed", error_message="two"),
        file(2, status="failed", error_message="one"),
        file(1, records_rejected=7, records_cleared=2, reject_reasons={"ragged": 7}),
        file(5, records_rejected=1, records_cleared=1),
    ]
    failed, rejected = of_files(files)
    assert (failed.kind, failed.count, failed.reason, failed.since) == ("failed files", 2, "one", "2026-01-02T00:00:00Z")
    assert (rejected.kind, rejected.count, rejected.look) == ("rows in quarantine", 8, "dm quarantine ls --table orders")
    assert rejected.reason == 'rows of 2 files did not fit the contract: 8 x ragged; 2 x type in column "n"'


def test_refused_rows_that_a_load_made_good_are_none():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    group = Group("router", "shop.orders", "column n", 3, 2, at, at)
    assert told(of_refused([group])) == [("rows that the router refused", "shop.orders", 2, "dm errors show --table shop.orders")]
    assert told(of_refused([Group("router", "shop.orders", "column n", 3, 0, at, at)])) == []
