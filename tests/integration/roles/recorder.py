"""Every AWS call that a function's handler makes while it runs in this process, with the line of the project that made it."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import botocore
import botocore.client
import botocore.session

from datamaster.project import PROJECT

SOURCES = tuple(f"{PROJECT / folder}/" for folder in ("ingest-router", "converter", "control-api", "lake"))

SERVICES = ("s3", "dynamodb", "stepfunctions", "kinesis", "dms", "comprehend", "secretsmanager")
OPERATIONS = {
    botocore.xform_name(operation)
    for service in SERVICES
    for operation in botocore.session.get_session().get_service_model(service).operation_names
}
CLIENTS = ("s3", "_client", "_states", "_kinesis", "_dms", "_comprehend", "table", "client", ")")
"""How the code calls what a client is kept in."""
ITEMS = "lake/control/items.py"
"""The control table's access: a call is made by the line that uses it."""
ITEM_CALLS = ("get", "put", "update", "delete", "under", "pages")
NOT_OF_FUNCTIONS = {
    *("publish", "Watermarks.get", "Watermarks.set", "LoadNotes.accept", "LoadNotes.export_begins", "LoadNotes.export_ends"),
    *("RejectedLines.entries", "QuarantineInbox._finished", "QuarantineInbox._write", "InboxDecisions.of"),
}
"""What only ``dm`` and the batch export call."""


@dataclass(frozen=True)
class Call:
    """One call: ``service`` and ``operation`` as botocore names them, ``site`` the line that made it."""

    service: str
    operation: str
    parameters: Any = field(hash=False, compare=False)
    site: str = ""
    refused: bool = False


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """The calls of every client, whatever session or thread it belongs to, while the block runs."""
    calls: list[Call] = []
    lock = threading.Lock()
    make = botocore.client.BaseClient._make_api_call

    def record(client: Any, operation: str, parameters: Any) -> Any:
        service, site, refused = client.meta.service_model.service_name, _site(), False
        try:
            return make(client, operation, parameters)
        except botocore.client.ClientError as error:
            refused = "AccessDenied" in error.response["Error"]["Code"]
            raise
        finally:
            with lock:
                calls.append(Call(service, operation, parameters, site, refused))

    botocore.client.BaseClient._make_api_call = record
    try:
        yield calls
    finally:
        botocore.client.BaseClient._make_api_call = make


def _site() -> str:
    """The innermost line of the project on the stack, as path:line."""
    frame: FrameType | None = sys._getframe(2)
    while frame:
        name = frame.f_code.co_filename.replace("/vendor/lake/", "/../lake/")
        if name.startswith(SOURCES) and not name.endswith(f"/{ITEMS}"):
            return f"{name.removeprefix(f'{PROJECT}/')}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def sites() -> set[str]:
    """Every line of the functions' code that calls an AWS client or table, but for what only ``dm`` and the jobs run."""
    found: set[str] = set()
    for folder in ("ingest-router/ingest", "converter/convert", "control-api/control_api", "control-api/batches", "lake"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            name = str(path.relative_to(PROJECT))
            if name != ITEMS:
                found |= {f"{name}:{line}" for line in _lines(ast.parse(path.read_text()))}
    return found


def _lines(code: ast.Module | ast.ClassDef, within: str = "") -> Iterator[int]:
    for part in code.body:
        if isinstance(part, ast.ClassDef):
            yield from _lines(part, f"{part.name}.")
        elif isinstance(part, ast.FunctionDef) and f"{within}{part.name}" not in NOT_OF_FUNCTIONS:
            calls = (node for node in ast.walk(part) if isinstance(node, ast.Call))
            yield from (call.lineno for call in calls if isinstance(call.func, ast.Attribute) and _is_aws(call.func))


def _is_aws(function: ast.Attribute) -> bool:
    owner = ast.unparse(function.value)
    return (function.attr in OPERATIONS and owner.endswith(CLIENTS)) or (function.attr in ITEM_CALLS and owner.endswith("items"))
