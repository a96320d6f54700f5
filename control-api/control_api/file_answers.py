"""The API's view of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from control_api.parameters import Parameters, cursor_text
from lake.control import ControlRecord, ControlTable
from lake.control.records import STATUSES

Query = Mapping[str, Sequence[str]] | None
FILTERS = ("table", "status", "since", "until", "limit", "cursor")
HIDDEN = frozenset({"lease_token", "retry_key"})
"""The lease's token is the right to publish the file's outcome. The key belongs to its caller."""
FILE_FIELDS = tuple(f.name for f in fields(ControlRecord) if f.name not in HIDDEN)


def list_files(control: ControlTable, query: Query) -> dict[str, Any]:
    """One page of files, newest first, with the cursor of the next (null at the end). Raises ``InvalidParameter``."""
    parameters = Parameters(query, FILTERS)
    since, until = parameters.span("since", "until")
    page = control.listing.page(
        table=parameters.text("table"),
        status=parameters.choice("status", STATUSES),
        since=since,
        until=until,
        limit=parameters.limit(),
        cursor=parameters.cursor(),
    )
    return {"files": [file_view(record) for record in page.items], "cursor": cursor_text(page.cursor)}


def show_file(control: ControlTable, file_id: str) -> dict[str, Any]:
    """One file. Raises ``UnknownFile``."""
    return file_view(control.files.get(file_id))


def retry_file(control: ControlTable, file_id: str, query: Query, key: str | None = None) -> dict[str, Any]:
    """Convert a file again, once for each ``key``. Raises ``UnknownFile``, ``WrongStatus``, ``InvalidParameter``."""
    force = Parameters(query, ("force",)).flag("force")
    return file_view(control.files.retry(file_id, force=force, key=key))


def file_view(record: ControlRecord) -> dict[str, Any]:
    """A control record as JSON: every field except the hidden ones, with null for a missing value."""
    values = {name: getattr(record, name) for name in FILE_FIELDS}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
