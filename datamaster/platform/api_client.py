"""The pipeline's files through the control API, and the sweep for lost files through its own function.

Requests are signed like every AWS call (Signature Version 4, service execute-api). ``DM_API_URL`` is the deployed stage's address and
``DM_SWEEP_FUNCTION`` the name of the router's function, both on AWS and on a laptop.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session

from datamaster.platform.aws_errors import RENEW
from lake.errors import TerminalError, TransientError

API_VARIABLE = "DM_API_URL"
SWEEP_VARIABLE = "DM_SWEEP_FUNCTION"
PAGE = 200
TIMEOUT_SECONDS = 30

FileView = dict[str, Any]


class ApiRefused(TerminalError):
    """The API refused a request. ``status`` is HTTP's, the message is the API's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ApiUnreachable(TransientError):
    """The API did not answer, or answered that it cannot work now."""


class ApiDenied(ApiUnreachable):
    """API Gateway does not let this identity's request through to the API."""


class NoApiAddress(TerminalError):
    """The API's address is not known."""

    def __init__(self, variable: str) -> None:
        super().__init__(f"{variable} is not set; start a platform with dm up, or set it to the deployed one")


class SweepFailed(TransientError):
    """The sweep ended with an error."""


def list_files(table: str | None = None, status: str | None = None, since: str | None = None, limit: int = 50) -> list[FileView]:
    """At most ``limit`` files, newest first. Pages are fetched as needed. Raises ``ApiRefused``, ``ApiUnreachable``."""
    asked = {"table": table, "status": status, "since": since}
    filters = {name: value for name, value in asked.items() if value is not None}
    found: list[FileView] = []
    cursor: str | None = None
    while len(found) < limit:
        page = _call("GET", "/files", filters | {"limit": str(min(PAGE, limit - len(found)))} | ({"cursor": cursor} if cursor else {}))
        found += page["files"]
        cursor = page["cursor"]
        if cursor is None:
            break
    return found


def show_file(file_id: str) -> FileView:
    """One file. Raises ``ApiRefused`` if there is none."""
    return _call("GET", f"/files/{quote(file_id, safe='')}")


def retry_file(file_id: str, force: bool = False) -> FileView:
    """Process a file again. Raises ``ApiRefused`` if its status does not allow it."""
    return _call("POST", f"/files/{quote(file_id, safe='')}/retry", {"force": "true"} if force else {})


def list_tables() -> dict[str, Any]:
    """Every table: its files by status, its batches, and pending work."""
    return _call("GET", "/tables")


def list_troubles() -> list[dict[str, Any]]:
    """Everything that needs a person: its kind, subject, reason, count and time, and the command that looks closer or cures it."""
    found: list[dict[str, Any]] = _call("GET", "/troubles")["troubles"]
    return found


def sweep_files() -> dict[str, int]:
    """Run the scheduled sweep now and wait for it. Returns its counts and an age. Raises ``SweepFailed``."""
    function = _setting(SWEEP_VARIABLE)
    totals: dict[str, int] = {}
    first_key: str | None = None
    while True:
        report = _invoke_sweep(function, {"first_key": first_key} if first_key else {})
        first_key = report.pop("next_key", None)
        for name, count in report.items():
            known = totals.get(name, 0)
            totals[name] = max(known, int(count)) if name.endswith("_seconds") else known + int(count)
        if first_key is None:
            return totals


def _invoke_sweep(function: str, detail: Mapping[str, str]) -> dict[str, Any]:
    event = {
        "version": "0",
        "id": "sweep-by-hand",
        "detail-type": "Scheduled Event",
        "source": "dm.files.sweep",
        "account": "",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "",
        "resources": [],
        "detail": dict(detail),
    }
    answer = boto3.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise SweepFailed(f"function {function} ended with {body.get('errorType', 'an error')}: {body.get('errorMessage', body)}")
    report: dict[str, Any] = body
    return report


def _call(method: str, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
    url = _setting(API_VARIABLE).rstrip("/") + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    session = boto3.Session()
    request = AWSRequest(method, url, headers={"Accept": "application/json"})
    credentials = session.get_credentials()
    if credentials is not None:
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", session.region_name or "us-east-1").add_auth(request)
    try:
        response = URLLib3Session(timeout=TIMEOUT_SECONDS).send(request.prepare())
    except BotoCoreError as error:
        raise ApiUnreachable(f"the control API at {url.partition('?')[0]} does not answer: {error}") from error
    return _answer(response.status_code, response.text)


def _answer(status: int, text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except json.JSONDecodeError:
        body = {"message": text.strip()[:500]}
    if status < 400 and isinstance(body, dict):
        return body
    told = body if isinstance(body, dict) else {}
    # the API's own answers have a detail, API Gateway's a message
    message = str(told.get("detail") or told.get("message") or told.get("Message") or f"HTTP {status}")
    if status == 403:  # the API itself never answers it: API Gateway takes no signature, or the identity has no right
        next_step = RENEW if "expired" in message else "Next: give this identity execute-api:Invoke, or take another (AWS_PROFILE)"
        raise ApiDenied(f"the control API refuses this identity: {message}. {next_step}")
    if status >= 500:
        raise ApiUnreachable(f"the control API answered {status}: {message}")
    raise ApiRefused(status, message)


def _setting(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise NoApiAddress(variable)
    return value
