"""The RDS Data API before a real PostgreSQL, as far as migrations ask it: the emulator's own runs no statements.

https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg2


class DataApi:
    """Calls by path. One connection a transaction, and one that commits each statement."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connections: dict[str, Any] = {}
        self.statements: list[str] = []

    def answer(self, path: str, call: dict[str, Any]) -> dict[str, Any]:
        """Do what a call asks. Raises ``psycopg2.Error`` as the database does."""
        if path == "/BeginTransaction":
            name = uuid.uuid4().hex
            self._connections[name] = psycopg2.connect(self._dsn)
            return {"transactionId": name}
        if path in ("/CommitTransaction", "/RollbackTransaction"):
            connection = self._connections.pop(call["transactionId"])
            (connection.commit if path == "/CommitTransaction" else connection.rollback)()
            connection.close()
            return {"transactionStatus": path}
        return self._execute(call)

    def _execute(self, call: dict[str, Any]) -> dict[str, Any]:
        self.statements.append(call["sql"])
        values = {entry["name"]: entry["value"]["stringValue"] for entry in call.get("parameters", [])}
        statement = re.sub(r"(?<![:\w]):([a-z]+)\b", r"%(\1)s", call["sql"].replace("%", "%%")) if values else call["sql"]
        own = psycopg2.connect(self._dsn) if "transactionId" not in call else None
        connection = own or self._connections[call["transactionId"]]
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                rows = cursor.fetchall() if cursor.description else []
            if own:
                own.commit()
        finally:
            if own:
                own.close()
        return {"numberOfRecordsUpdated": 0, "records": [[{"stringValue": str(cell)} for cell in row] for row in rows]}

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Take calls while the block runs; gives the endpoint."""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the server's own word
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                try:
                    status, body = 200, api.answer(self.path, call)
                except psycopg2.Error as error:
                    status, body = 400, {"__type": "DatabaseErrorException", "message": f"ERROR: {error}".strip()}
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                if status != 200:
                    self.send_header("x-amzn-errortype", "DatabaseErrorException")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
