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
NOT_OF_FUNCTIONS = {"lake/contract/store.py": ("publish",), "lake/control/table_items.py": ("watermark", "set_watermark")}
"""Of lake/, what ``dm deploy`` and the batch export call."""


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
        if name.startswith(SOURCES):
            return f"{name.removeprefix(f'{PROJECT}/')}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def sites() -> set[str]:
    """Every line of the functions' code that calls an AWS client or table, but for what only ``dm`` and the jobs run."""
    found: set[str] = set()
    for folder in ("ingest-router/ingest", "converter/convert", "control-api/control_api", "control-api/batches", "lake"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            name = str(path.relative_to(PROJECT))
            functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
            for function in functions:
                if function.name in NOT_OF_FUNCTIONS.get(name, ()):
                    continue
                for node in ast.walk(function):
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_aws(node.func):
                        found.add(f"{name}:{node.lineno}")
    return found


def _is_aws(function: ast.Attribute) -> bool:
    return function.attr in OPERATIONS and ast.unparse(function.value).endswith(CLIENTS)
