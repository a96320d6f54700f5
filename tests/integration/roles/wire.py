"""A way to AWS that writes down every call, for work whose clients no Python can look into: the engine's own of S3 and Glue."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .recorder import Call

TARGETS = {"AWSGlue": "glue"}
HOP = {"connection", "transfer-encoding", "content-length"}
# S3's operation by method, whether a key is named, and the word of the query that tells: https://docs.aws.amazon.com/AmazonS3/latest/API/
S3 = {
    ("GET", True, ""): "GetObject",
    ("HEAD", True, ""): "HeadObject",
    ("PUT", True, ""): "PutObject",
    ("PUT", True, "partNumber"): "UploadPart",
    ("POST", True, "uploads"): "CreateMultipartUpload",
    ("POST", True, "uploadId"): "CompleteMultipartUpload",
    ("DELETE", True, ""): "DeleteObject",
    ("DELETE", True, "uploadId"): "AbortMultipartUpload",
    ("POST", False, "delete"): "DeleteObjects",
    ("GET", False, "list-type"): "ListObjectsV2",
}
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
WORDS = ("partNumber", "uploads", "uploadId", "delete", "list-type")


class UnknownCall(Exception):
    """A request that is no call known here."""


def calls_of(method: str, path: str, target: str, body: bytes, status: int) -> list[Call]:
    """The calls that a request is: several where it names several objects. Raises ``UnknownCall``."""
    refused = status == 403
    service, _, operation = target.partition(".")
    if service in TARGETS:
        return [Call(TARGETS[service], operation, json.loads(body or b"{}"), refused=refused)]
    parts = urlsplit(path)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    word = next((word for word in WORDS if word in query), "")
    if (method, bool(key), word) not in S3:
        raise UnknownCall(f"{method} {path}")
    operation = S3[method, bool(key), word]
    if operation == "DeleteObjects":
        keys = re.findall(r"<Key>([^<]*)</Key>", body.decode())
        return [Call("s3", "DeleteObject", {"Bucket": bucket, "Key": each}, refused=refused) for each in keys]
    return [Call("s3", operation, {"Bucket": bucket, "Key": key, "Prefix": query.get("prefix", [""])[0]}, refused=refused)]


class Wire:
    """A server that hands every request to ``target`` and keeps what it was. ``failures`` holds what it could not name."""

    def __init__(self, target: str) -> None:
        self.calls: list[Call] = []
        self.failures: list[str] = []
        self.target = urlsplit(target)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"wire": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def keep(self, request: _Handler, body: bytes, status: int) -> None:
        """Write down a request."""
        with self._lock:
            try:
                self.calls += calls_of(request.command, request.path, request.headers.get("X-Amz-Target", ""), body, status)
            except UnknownCall as error:
                self.failures.append(str(error))

    @contextmanager
    def listening(self) -> Iterator[Wire]:
        """Take requests while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Passes a request on as it came, its signature with it."""

    protocol_version = "HTTP/1.1"
    wire: Wire

    def pass_on(self) -> None:
        body = self._body()
        upstream = HTTPConnection(str(self.wire.target.hostname), self.wire.target.port, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP:
                upstream.putheader(name, value)
        upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        self.wire.keep(self, body, answer.status)
        self._answer(answer, content)

    def _answer(self, answer: HTTPResponse, content: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


for method in METHODS:
    setattr(_Handler, f"do_{method}", _Handler.pass_on)
