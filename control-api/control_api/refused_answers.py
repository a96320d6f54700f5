"""The API's view of the inbox of refused records."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from control_api.parameters import Parameters
from ingest.redrive import ErrorsInbox
from ingest.refused_records import source_table
from lake.contract import ContractSet
from lake.control.inbox import InboxCounts, Selection

Query = Mapping[str, Sequence[str]] | None
FILTERS = ("table", "reason", "since", "until")
SECONDS = 10.0
"""The time after which a run ends. With up to 15 seconds of wait for new contracts it stays below API Gateway's 29."""
UNKNOWN_CALLER = "unknown"


def refused_groups(inbox: ErrorsInbox, contracts: ContractSet, query: Query) -> dict[str, Any]:
    """The selected records of the newest objects by table and reason. Raises ``InvalidParameter``."""
    selection = _selection(contracts, Parameters(query, FILTERS))
    return {"groups": [group.as_dict() for group in inbox.newest_groups(selection)]}


def refused_records(inbox: ErrorsInbox, contracts: ContractSet, hidden: Mapping[str, frozenset[str]], query: Query) -> dict[str, Any]:
    """The newest selected records, with hidden columns. Raises ``InvalidParameter``."""
    parameters = Parameters(query, (*FILTERS, "limit"))
    rows = inbox.records.newest(_selection(contracts, parameters))
    return {"records": [row.as_dict(hidden) for row in islice(rows, parameters.limit())]}


def redrive(inbox: ErrorsInbox, contracts: ContractSet, query: Query, by: str) -> dict[str, Any]:
    """Put selected records that pass back on the stream, or with ``dry_run`` only count them. Raises ``InvalidParameter``."""
    parameters = Parameters(query, (*FILTERS, "dry_run"))
    selection = _selection(contracts, parameters)
    return _counted(inbox.try_out(selection) if parameters.flag("dry_run") else inbox.redrive(selection, by))


def drop(inbox: ErrorsInbox, contracts: ContractSet, query: Query, by: str) -> dict[str, Any]:
    """Take selected records out of the inbox for good. Raises ``InvalidParameter``."""
    return _counted(inbox.drop(_selection(contracts, Parameters(query, FILTERS)), by))


def caller(context: Mapping[str, Any]) -> str:
    """The ARN that signed a request."""
    return str((context.get("identity") or {}).get("userArn") or UNKNOWN_CALLER)


def _selection(contracts: ContractSet, parameters: Parameters) -> Selection:
    since, until = parameters.span("since", "until")
    return Selection(source_table(contracts, parameters.text("table")), parameters.text("reason"), since, until)


def _counted(run: Iterator[InboxCounts]) -> dict[str, Any]:
    """The counts of a run. ``complete`` is false if its time was over. Its caller then repeats the request."""
    counts = next(run, InboxCounts())
    end = time.monotonic() + SECONDS
    complete = all(time.monotonic() < end for counts in run)
    return counts.as_dict() | {"complete": complete}
