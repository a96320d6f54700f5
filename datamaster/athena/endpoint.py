"""Athena's operations: requests in, executions and pages out.

https://docs.aws.amazon.com/athena/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

import orjson
from botocore.exceptions import ClientError

from datamaster.athena.executor import Job
from datamaster.athena.query_executions import ENDED, QueryExecution, QueryExecutions, TokenReused
from datamaster.athena.results import InvalidToken, line_page, page
from datamaster.athena.rights import CallerRights
from datamaster.athena.statement import CATALOG, parse
from datamaster.wire.aws_json import Call, Operation, ServiceError

MAX_PAGE_ROWS = 1000
MAX_STATEMENT_BYTES = 262_144
"""https://docs.aws.amazon.com/athena/latest/ug/service-limits.html"""
DEFAULT_DATABASE = "default"
CATALOG_NAME = "AwsDataCatalog"
WORK_GROUP_DEFAULTS = {
    "EnforceWorkGroupConfiguration": False,
    "PublishCloudWatchMetricsEnabled": False,
    "RequesterPaysEnabled": False,
    "ResultConfiguration": {},
    "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"},
}
FORWARDED = frozenset(
    {
        *("ListWorkGroups", "CreateWorkGroup", "UpdateWorkGroup", "DeleteWorkGroup"),
        *("ListDataCatalogs", "GetDataCatalog", "ListDatabases", "GetDatabase", "ListTableMetadata", "GetTableMetadata"),
        *("CreateNamedQuery", "GetNamedQuery", "ListNamedQueries", "BatchGetNamedQuery", "DeleteNamedQuery"),
        *("TagResource", "UntagResource", "ListTagsForResource"),
    }
)
"""What the emulator's own Athena answers: descriptions, never statements."""


class AthenaService:
    """The operations on query executions. ``emulator`` is a client of the emulator's Athena, for its work groups.

    ``rights`` are the callers' rights on work groups and results. Without them every caller has all rights.
    """

    def __init__(self, executions: QueryExecutions, emulator: Any, s3: Any, rights: CallerRights | None = None) -> None:
        self.executions, self.emulator, self.s3, self.rights = executions, emulator, s3, rights

    @property
    def operations(self) -> dict[str, Operation]:
        """Every operation by its name."""
        return {
            "StartQueryExecution": self.start,
            "GetQueryExecution": self.get,
            "BatchGetQueryExecution": self.batch_get,
            "ListQueryExecutions": self.list_executions,
            "StopQueryExecution": self.stop,
            "GetQueryResults": self.results,
            "GetQueryRuntimeStatistics": self.statistics,
            "GetWorkGroup": self.work_group,
        }

    def start(self, call: Call) -> dict[str, Any]:
        """StartQueryExecution: accepts any text. The execution's state reports errors in it, as on AWS."""
        sql = call.body.get("QueryString") or ""
        if not sql.strip():
            raise _invalid("queryString must not be empty")
        if len(sql.encode()) > MAX_STATEMENT_BYTES:
            limit = f"Member must have length less than or equal to {MAX_STATEMENT_BYTES}"
            raise _invalid(f"1 validation error detected: Value at 'queryString' failed to satisfy constraint: {limit}", "INVALID_INPUT")
        work_group = call.body.get("WorkGroup") or "primary"
        self._permit(call, work_group)
        execution_id = str(uuid4())
        bucket, prefix = self._output(call.body, work_group)
        context = {name: str(value) for name, value in (call.body.get("QueryExecutionContext") or {}).items()}
        parameters = tuple(call.body.get("ExecutionParameters") or ())
        key = f"{prefix}{execution_id}{'.txt' if sql.lstrip()[:4].upper() in ('SHOW', 'DESC') else '.csv'}"
        if self.rights:
            self.rights.result(call.access_key, bucket, key)
        execution = QueryExecution(execution_id, sql, work_group, context, parameters, f"s3://{bucket}/{key}", is_query=True)

        def job() -> Job:
            # awswrangler writes the name in backticks
            database = context.get("Database", DEFAULT_DATABASE).strip("`").lower()
            return Job(parse(sql, parameters), database, call.access_key, bucket, key)

        try:
            return {"QueryExecutionId": self.executions.submit(execution, job, call.body.get("ClientRequestToken"))}
        except TokenReused as error:
            raise _invalid("Idempotent parameters do not match", "INVALID_INPUT") from error

    def get(self, call: Call) -> dict[str, Any]:
        """GetQueryExecution."""
        return {"QueryExecution": self._execution(call).described()}

    def batch_get(self, call: Call) -> dict[str, Any]:
        """BatchGetQueryExecution."""
        ids = call.body.get("QueryExecutionIds") or []
        found = {execution_id: self.executions.get(execution_id) for execution_id in ids}
        for work_group in sorted({execution.work_group for execution in found.values() if execution}):
            self._permit(call, work_group)
        return {
            "QueryExecutions": [execution.described() for execution in found.values() if execution],
            "UnprocessedQueryExecutionIds": [
                {
                    "QueryExecutionId": execution_id,
                    "ErrorCode": "INVALID_QUERY_EXECUTION_ID",
                    "ErrorMessage": f"QueryExecution {execution_id} was not found",
                }
                for execution_id, execution in found.items()
                if execution is None
            ],
        }

    def list_executions(self, call: Call) -> dict[str, Any]:
        """ListQueryExecutions of a work group, newest first."""
        self._permit(call, call.body.get("WorkGroup") or "primary")
        ids = self.executions.ids(call.body.get("WorkGroup") or "primary")
        token = call.body.get("NextToken")
        start = ids.index(token) if token in ids else 0
        end = start + int(call.body.get("MaxResults") or 50)
        return {"QueryExecutionIds": ids[start:end]} | ({"NextToken": ids[end]} if end < len(ids) else {})

    def stop(self, call: Call) -> dict[str, Any]:
        """StopQueryExecution."""
        self.executions.stop(self._execution(call))
        return {}

    def statistics(self, call: Call) -> dict[str, Any]:
        """GetQueryRuntimeStatistics: times and rows. Bytes read are unknown here."""
        execution = self._execution(call)
        elapsed = execution.described()["Statistics"]["TotalExecutionTimeInMillis"]
        rows = execution.answer.rows if execution.answer else 0
        return {"QueryRuntimeStatistics": {"Timeline": {"TotalExecutionTimeInMillis": elapsed}, "Rows": {"OutputRows": rows}}}

    def results(self, call: Call) -> dict[str, Any]:
        """GetQueryResults: the first page of a SELECT begins with the header row."""
        execution = self._execution(call)
        if execution.state not in ENDED:
            raise _invalid(f"Query has not yet finished. Current state: {execution.state}")
        if execution.answer is None:
            raise _invalid(f"Query did not finish successfully. Final query state: {execution.state}")
        limit = int(call.body.get("MaxResults") or MAX_PAGE_ROWS)
        if not 1 <= limit <= MAX_PAGE_ROWS:
            raise _invalid(f"MaxResults is {limit}; 1 to {MAX_PAGE_ROWS}")
        bucket, key = _location(execution.output)
        read = page if execution.is_query else line_page
        try:
            found = read(self.s3, bucket, key, call.body.get("NextToken"), limit)
        except InvalidToken as error:
            raise _invalid(f'NextToken "{error}" was not given by this service') from error
        except ClientError as error:
            raise _invalid(f"Could not find results: {execution.output}: {error}") from error
        rows = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in found.rows]
        answer: dict[str, Any] = {
            "UpdateCount": 0,
            "ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": list(execution.answer.columns)}},
        }
        return answer | ({"NextToken": found.token} if found.token else {})

    def work_group(self, call: Call) -> dict[str, Any]:
        """GetWorkGroup: the emulator's answer with the settings that AWS always returns."""
        name = call.body.get("WorkGroup") or "primary"
        self._permit(call, name)
        try:
            group = self.emulator.get_work_group(WorkGroup=name)["WorkGroup"]
        except ClientError as error:
            raise _invalid(error.response["Error"]["Message"]) from error
        group["Configuration"] = WORK_GROUP_DEFAULTS | (group.get("Configuration") or {})
        created = group.get("CreationTime")
        return {"WorkGroup": group | ({"CreationTime": created.timestamp()} if created else {})}

    def forward(self, call: Call) -> tuple[int, bytes]:
        """Forward read-only operations to the emulator's Athena. Others are refused."""
        if call.operation not in FORWARDED:
            known = sorted({*self.operations, *FORWARDED})
            raise ServiceError(
                "UnknownOperationException", f'operation "{call.operation}" is not answered locally; one of {", ".join(known)}'
            )
        headers = {
            name: value
            for name, value in call.headers.items()
            if name.lower() not in ("host", "content-length", "connection", "accept-encoding")
        }
        request = Request(self.emulator.meta.endpoint_url, data=_with_catalog(call), headers=headers, method="POST")  # noqa: S310 - the emulator's address
        try:
            with urlopen(request, timeout=30) as response:  # noqa: S310
                return response.status, response.read()
        except HTTPError as error:
            return error.code, error.read()

    def _execution(self, call: Call) -> QueryExecution:
        execution_id = str(call.body.get("QueryExecutionId"))
        execution = self.executions.get(execution_id)
        if execution is None:
            raise _invalid(f"QueryExecution {execution_id} was not found", "INVALID_QUERY_EXECUTION_ID")
        self._permit(call, execution.work_group)
        return execution

    def _permit(self, call: Call, work_group: str) -> None:
        if self.rights:
            self.rights.operation(call.access_key, call.operation, work_group)

    def _output(self, body: dict[str, Any], work_group: str) -> tuple[str, str]:
        """Bucket and key prefix of the result: the work group's if it is enforced or the request names none."""
        configuration = self._work_group(work_group)
        own = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
        asked = (body.get("ResultConfiguration") or {}).get("OutputLocation")
        location = (own or asked) if configuration.get("EnforceWorkGroupConfiguration") else (asked or own)
        if not location:
            raise _invalid(
                "No output location provided. An output location is required "
                "either through the Workgroup result configuration setting or as an API input."
            )
        bucket, prefix = _location(location)
        return bucket, prefix.rstrip("/") + "/" if prefix else ""

    def _work_group(self, name: str) -> dict[str, Any]:
        """The work group's configuration, or an empty one if the emulator does not know the group."""
        try:
            return dict(self.emulator.get_work_group(WorkGroup=name)["WorkGroup"].get("Configuration") or {})
        except ClientError:
            return {}


def _with_catalog(call: Call) -> bytes:
    """The request, with the catalog named as the emulator names it: Athena reads its name in any case."""
    named = str(call.body.get("CatalogName", CATALOG_NAME))
    return call.raw if named == CATALOG_NAME or named.lower() != CATALOG else orjson.dumps(call.body | {"CatalogName": CATALOG_NAME})


def _location(uri: str) -> tuple[str, str]:
    address = urlsplit(uri)
    if address.scheme != "s3" or not address.netloc:
        raise _invalid(f'outputLocation "{uri}" is not a valid S3 path; expected s3://bucket/prefix/')
    return address.netloc, address.path.lstrip("/")


def _invalid(message: str, code: str = "MALFORMED_REQUEST") -> ServiceError:
    return ServiceError("InvalidRequestException", message, AthenaErrorCode=code)
