"""The DMS API for table statistics and reloads, over HTTP as on AWS (JSON 1.1).

https://docs.aws.amazon.com/dms/latest/APIReference/API_DescribeTableStatistics.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from datamaster.replicator.task_state import TableStatistics

TARGET = "AmazonDMSv20160101."
CONTENT_TYPE = "application/x-amz-json-1.1"
DEFAULT_PAGE = 100


class RequestFault(Exception):
    """A request that DMS would refuse; ``kind`` is the exception's name in its API."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class NotConnected(Exception):
    """The task has not read its state from the source yet, so there is no answer."""


def answer(
    operation: str, request: dict[str, Any], tables: Iterable[TableStatistics], reload: Callable[[list[str]], None]
) -> dict[str, Any]:
    """The answer to one call. Raises ``RequestFault``."""
    if operation == "DescribeTableStatistics":
        arn, field, result = "ReplicationTaskArn", "TableStatistics", _page(request, tables)
    elif operation == "DescribeReplicationTableStatistics":
        arn, field, result = "ReplicationConfigArn", "ReplicationTableStatistics", _page(request, tables)
    elif operation in ("ReloadTables", "ReloadReplicationTables"):
        arn = "ReplicationTaskArn" if operation == "ReloadTables" else "ReplicationConfigArn"
        reload([f"{table['SchemaName']}.{table['TableName']}" for table in request.get("TablesToReload", ())])
        return {arn: request.get(arn)}
    else:
        raise RequestFault("UnknownOperationException", f'operation "{operation}"; the replicator answers for table statistics and reloads')
    if not request.get(arn):
        raise RequestFault("ResourceNotFoundFault", f"{arn} is missing")
    rows, marker = result
    return {arn: request[arn], field: rows, **({"Marker": marker} if marker else {})}


def _page(request: dict[str, Any], tables: Iterable[TableStatistics]) -> tuple[list[dict[str, Any]], str | None]:
    rows = [describe(table) for table in tables]
    names = {"schema-name": "SchemaName", "table-name": "TableName", "table-state": "TableState"}
    for choice in request.get("Filters") or ():
        if choice["Name"] not in names:
            raise RequestFault("InvalidParameterValueException", f'filter "{choice["Name"]}"; one of {", ".join(names)}')
        rows = [row for row in rows if row[names[choice["Name"]]] in choice["Values"]]
    first = int(request.get("Marker") or 0)
    last = first + int(request.get("MaxRecords") or DEFAULT_PAGE)
    return rows[first:last], str(last) if last < len(rows) else None


def describe(table: TableStatistics) -> dict[str, Any]:
    """One table in DMS's terms. Times are seconds since 1970-01-01 UTC."""
    times: dict[str, datetime | None] = {
        "FullLoadStartTime": table.load_started,
        "FullLoadEndTime": table.load_ended,
        "LastUpdateTime": table.updated_at or table.load_started,
    }
    return {
        "SchemaName": table.schema,
        "TableName": table.table,
        "Inserts": table.inserts,
        "Updates": table.updates,
        "Deletes": table.deletes,
        "Ddls": table.ddls,
        "FullLoadRows": table.load_rows,
        "FullLoadCondtnlChkFailedRows": 0,
        "FullLoadErrorRows": table.load_error_rows,
        "FullLoadReloaded": table.state == "Table is being reloaded",
        "TableState": table.state,
        **{name: moment.timestamp() for name, moment in times.items() if moment is not None},
    }


def serve(port: int, tables: Callable[[], list[TableStatistics]], reload: Callable[[list[str]], None]) -> ThreadingHTTPServer:
    """Serve on 127.0.0.1 from a thread. ``port`` 0 takes a free port, found in ``server_address``."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                operation = (self.headers.get("X-Amz-Target") or "").removeprefix(TARGET)
                self._reply(200, answer(operation, json.loads(body or b"{}"), tables(), reload))
            except RequestFault as error:
                self._reply(400, {"__type": error.kind, "message": str(error)})
            except NotConnected:
                self._reply(503, {"__type": "ServiceUnavailable", "message": "the task is not connected to its source yet"})

        def _reply(self, status: int, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Do not log requests."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Door)
    threading.Thread(target=server.serve_forever, name="table-statistics", daemon=True).start()
    return server
