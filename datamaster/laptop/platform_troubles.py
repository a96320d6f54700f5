"""All troubles of a laptop's platform: processes, source, refused rows, failures, waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from control_api.troubles import Trouble
from datamaster.laptop import state
from datamaster.laptop.process import tail
from datamaster.laptop.replication_state import LONG_SECONDS, ReplicationState, replication_state
from datamaster.laptop.state import State
from datamaster.laptop.task_reports import TaskReports, task_reports
from datamaster.platform.picture import Picture, moment, of_api, of_refused, unreadable
from datamaster.source.connection import SourceRefused, SourceUnreachable
from ingest.refused_records import Group, Refused, RefusedRecords, grouped, not_loaded_since
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.control.inbox import EVERYTHING, Selection


def picture(running: State) -> Picture:
    """Check everything. A part that does not answer is a trouble itself."""
    found = state.processes(running.home)
    troubles = list(_processes(running, found))
    replication = None
    try:
        told = replication_state(running.dsn, running.slot)
        replication = {"phase": told.phase, "streams": told.streams, "lag_bytes": told.lag_bytes, "state": told.text}
        troubles += _replication(told)
        reports = task_reports(running.dsn, running.slot)
        troubles += [Trouble(e.event, e.table, e.detail, e.cure, since=moment(e.at)) for e in reports.open_events]
        troubles += of_refused(refusals(running, reports)[0])
    except (SourceRefused, SourceUnreachable) as error:
        troubles.append(Trouble("source", running.slot, str(error), "dm status, once it answers again"))
    of_files, files = of_api(running, f"{running.logs}/emulator.log")
    return Picture((*troubles, *of_files), files, replication, found, f"Logs: {running.logs}")


def refusals(running: State, reports: TaskReports | None = None, selection: Selection = EVERYTHING) -> tuple[list[Group], list[Refused]]:
    """Refused rows, grouped and one by one: those of the router and those that the replicator left out.

    Raises ``SourceRefused``, ``SourceUnreachable``.
    """
    reports = reports or task_reports(running.dsn, running.slot)
    records = RefusedRecords(running.stage_bucket, ControlTable(running.control_table), ContractStore(running.contracts_uri))
    rows = [*(row for row in reports.left_out if row.is_in(selection)), *records.newest(selection)]
    return grouped(rows, not_loaded_since(reports.loaded_at)), rows


def _processes(running: State, found: dict[str, dict[str, Any]]) -> Iterator[Trouble]:
    for name, process in found.items():
        if not process["pid"]:
            log = running.logs / f"{name}.log"
            last = tail(log, 1).strip()
            yield Trouble("process that ended", name, f"restarted {process['restarts']} times; {last}", f"tail {log}", process["restarts"])


def _replication(found: ReplicationState) -> Iterator[Trouble]:
    for session in found.waits_for:
        if session.seconds > LONG_SECONDS:
            cure = f"end its transaction, or SELECT pg_terminate_backend({session.pid});"
            yield Trouble("session that holds up replication", f"process {session.pid}", session.text, cure, since=moment(session.since))
    if found.slot_lost:
        reason = "the source threw away log that was still to be read; every table is loaded anew"
        yield Trouble("replication slot", "lost", reason, "raise max_slot_wal_keep_size")
    for load in found.loads:
        yield from unreadable(load.name, load.state)
