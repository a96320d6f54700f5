"""Files as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from control_api.parameters import Parameters, cursor_text
from lake.control import ControlRecord, ControlTable
from lake.control.records import STATUSES

FILTERS = ("table", "status", "since", "until", "limit", "cursor")
SECRET = frozenset({"lease_token"})
"""Whoever holds the token may publish the file's outcome."""
FILE_FIELDS = tuple(f.name for f in fields(ControlRecord) if f.name not in SECRET)


def list_files(control: ControlTable, query: Mapping[str, str] | None) -> dict[str, Any]:
    """One page of files, newest first, with the cursor of the next (null at the end). Raises ``InvalidParameter``."""
    parameters = Parameters(query, FILTERS)
    page = control.list_files(
        table=parameters.text("table"),
        status=parameters.choice("status", STATUSES),
        since=parameters.moment("since"),
        until=parameters.moment("until"),
        limit=parameters.limit(),
        cursor=parameters.cursor(),
    )
    return {"files": [file_view(record) for record in page.items], "cursor": cursor_text(page.cursor)}


def show_file(control: ControlTable, file_id: str) -> dict[str, Any]:
    """One file. Raises ``UnknownFile``."""
    return file_view(control.get(file_id))


def retry_file(control: ControlTable, file_id: str, query: Mapping[str, str] | None) -> dict[str, Any]:
    """Send a file down the road again. Raises ``UnknownFile``, ``WrongStatus``, ``InvalidParameter``."""
    force = Parameters(query, ("force",)).flag("force")
    return file_view(control.retry(file_id, force=force))


def file_view(record: ControlRecord) -> dict[str, Any]:
    """A control record as JSON: every field but the lease's token, null where there is no value."""
    values = {name: getattr(record, name) for name in FILE_FIELDS}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
