"""The routes of the control API: the state of files and tables, and retries. The app also holds plan and settle of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, IAMAuthorizer, Rate, Response

from batches.functions import batch_functions
from control_api.file_answers import list_files, retry_file, show_file
from control_api.health import OK, health
from control_api.parameters import Parameters, idempotency_key, no_body
from control_api.problems import answers, current_request
from control_api.refused_answers import caller, drop, redrive, refused_groups, refused_records
from control_api.settings import settings
from control_api.state_metrics import emit, report
from control_api.table_states import TableStates
from control_api.troubles import find_troubles
from ingest.redrive import ErrorsInbox
from ingest.refused_records import hidden_columns
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.telemetry import observe

app = Chalice(app_name="dm-control-api")
observe(app)
app.register_blueprint(batch_functions)
signed = IAMAuthorizer()
answered = answers(app)


@app.route("/files", methods=["GET"], authorizer=signed)
@answered
def get_files() -> dict[str, Any]:
    """Files, newest first, by table, status and time of arrival, in pages."""
    return list_files(control_table(), query())


@app.route("/files/{file_id}", methods=["GET"], authorizer=signed)
@answered
def get_file(file_id: str) -> dict[str, Any]:
    """One file."""
    Parameters(query(), ())
    return show_file(control_table(), file_id)


@app.route("/files/{file_id}/retry", methods=["POST"], authorizer=signed, content_types=[])
@answered
def post_retry(file_id: str) -> dict[str, Any]:
    """Retry a file that failed or that lost rows."""
    request = current_request(app)
    no_body(request.raw_body)
    return retry_file(control_table(), file_id, query(), idempotency_key(request.headers))


@app.route("/errors", methods=["GET"], authorizer=signed)
@answered
def get_errors() -> dict[str, Any]:
    """Refused records by table and reason."""
    return refused_groups(errors_inbox(), contract_store().current(), query())


@app.route("/errors/records", methods=["GET"], authorizer=signed)
@answered
def get_error_records() -> dict[str, Any]:
    """Refused records one by one, newest object first, with hidden columns."""
    contracts = contract_store().current()
    return refused_records(errors_inbox(), contracts, hidden_columns(contracts, control_table()), query())


@app.route("/errors/redrive", methods=["POST"], authorizer=signed, content_types=[])
@answered
def post_redrive() -> dict[str, Any]:
    """Put refused records that pass now back on the stream."""
    request = current_request(app)
    no_body(request.raw_body)
    return redrive(errors_inbox(), contract_store().current(), query(), caller(request.context))


@app.route("/errors/drop", methods=["POST"], authorizer=signed, content_types=[])
@answered
def post_drop() -> dict[str, Any]:
    """Take refused records out of the inbox for good."""
    request = current_request(app)
    no_body(request.raw_body)
    return drop(errors_inbox(), contract_store().current(), query(), caller(request.context))


@app.route("/tables", methods=["GET"], authorizer=signed)
@answered
def get_tables() -> dict[str, Any]:
    """Every table: its files by status, its batches, and the reason why it waits."""
    Parameters(query(), ())
    return table_states().all(contract_store().current())


@app.route("/troubles", methods=["GET"], authorizer=signed)
@answered
def get_troubles() -> dict[str, Any]:
    """Everything that needs a person, with the command that looks closer or cures it."""
    Parameters(query(), ())
    return {"troubles": [asdict(trouble) for trouble in find_troubles(table_states(), contract_store().current())]}


@app.route("/health", methods=["GET"], authorizer=signed)
@answered
def get_health() -> Response:
    """Whether the API can do its work. The status is 503 if it cannot."""
    Parameters(query(), ())
    state = health(control_table(), contract_store())
    return Response(state, status_code=200 if state["status"] == OK else 503)


@app.schedule(Rate(5, unit=Rate.MINUTES), name="report_state")
def report_state(_event: CloudWatchEvent) -> dict[str, Any]:
    """Send the control table's state as metrics: files by status, ages, the share of failed files."""
    found = report(table_states(), control_table(), contract_store().current())
    emit(found)
    return asdict(found)


def query() -> Mapping[str, Sequence[str]]:
    """The query parameters of the current request, each with all its values."""
    given = current_request(app).query_params
    return {name: given.getlist(name) for name in given} if given else {}


@cache
def control_table() -> ControlTable:
    """The control table."""
    return ControlTable(settings().control_table)


def table_states() -> TableStates:
    """The tables' states from the control table."""
    return TableStates(control_table())


def errors_inbox() -> ErrorsInbox:
    """The records that the router refused, judged by the contracts in force."""
    return ErrorsInbox(settings().stage_bucket, control_table(), contract_store(), settings().stream_arn)


@cache
def contract_store() -> ContractStore:
    """The published contracts."""
    return ContractStore(settings().contracts_uri)
