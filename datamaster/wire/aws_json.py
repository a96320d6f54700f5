"""A small AWS-JSON server for local stand-ins of AWS services. It contains nothing of a particular service.

The protocol is https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html. A request is POST /. Its operation follows
the last dot of ``X-Amz-Target``. Both bodies are JSON. An error is a body with ``__type``, usually with status 400.
"""

from __future__ import annotations

import re
import signal
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import orjson

JSON_TYPE = "application/x-amz-json-1.1"
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/")


class ServiceError(Exception):
    """An error of the service's model. ``code`` is the name of the exception there."""

    def __init__(self, code: str, message: str, *, status: int = 400, **fields: str) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.fields = code, message, status, fields


@dataclass(frozen=True)
class Call:
    """One request: its operation, its parsed body, and the signer's access key and region (None if the request is unsigned)."""

    operation: str
    body: dict[str, Any]
    access_key: str | None
    region: str | None
    headers: Mapping[str, str]
    raw: bytes


Operation = Callable[[Call], dict[str, Any]]
Fallback = Callable[[Call], tuple[int, bytes]]


class AwsJsonServer(ThreadingHTTPServer):
    """Serves the operations of one service on 127.0.0.1, with a thread for each connection.

    ``fallback`` answers operations that are not in ``operations`` with (status, body). Without a fallback such operations are
    ``UnknownOperationException``. Port 0 takes a free port, which ``url`` contains.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, operations: Mapping[str, Operation], port: int = 0, fallback: Fallback | None = None) -> None:
        self.operations, self.fallback = operations, fallback
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """The address of the service."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, call: Call) -> tuple[int, bytes]:
        """Run one operation. Every failure becomes an error of the protocol."""
        try:
            operation = self.operations.get(call.operation)
            if operation is not None:
                return 200, orjson.dumps(operation(call))
            if self.fallback is not None:
                return self.fallback(call)
            raise ServiceError("UnknownOperationException", f'operation "{call.operation}"; one of {", ".join(sorted(self.operations))}')
        except ServiceError as error:
            return error.status, orjson.dumps({"__type": error.code, "message": error.message, "Message": error.message, **error.fields})
        except Exception as error:
            traceback.print_exc()
            return 500, orjson.dumps({"__type": "InternalServerException", "message": f"{type(error).__name__}: {error}"})

    def run_until_terminated(self) -> None:
        """Serve until SIGTERM or SIGINT. Prints the address once the server accepts connections."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=self.shutdown).start())
        print(f"listening on {self.url}", flush=True)
        self.serve_forever(poll_interval=0.1)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes. With Nagle's algorithm each answer would wait for a delayed ACK.
    disable_nagle_algorithm = True
    server: AwsJsonServer

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        credential = _CREDENTIAL.search(self.headers.get("Authorization") or "")
        operation = (self.headers.get("X-Amz-Target") or "").rpartition(".")[2]
        try:
            body = orjson.loads(raw or b"{}")
        except orjson.JSONDecodeError as error:
            self.reply(400, orjson.dumps({"__type": "SerializationException", "message": f"the body is no JSON: {error}"}))
            return
        access_key, region = (credential[1], credential[2]) if credential else (None, None)
        self.reply(*self.server.answer(Call(operation, body, access_key, region, dict(self.headers.items()), raw)))

    def do_GET(self) -> None:
        self.reply(200, orjson.dumps({"status": "ok"}))

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", JSON_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", str(uuid4()))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing here. Operations log for themselves."""
