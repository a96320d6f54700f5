"""The API's answers: a request id on each, an ETag on reads, a problem document (RFC 9457) for each failure.

https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, cast

import orjson
from chalice.app import Chalice, Request, Response

from control_api.parameters import InvalidParameter
from lake.control import UnknownFile, WrongStatus
from lake.telemetry import logger

P = ParamSpec("P")
View = Callable[P, Any]
PROBLEM_TYPE = "urn:datamaster:problem:"


def answers(app: Chalice) -> Callable[[View[P]], Callable[P, Response]]:
    """The decorator of every route of ``app``."""

    def decorate(view: View[P]) -> Callable[P, Response]:
        @wraps(view)
        def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
            request = current_request(app)
            request_id = _request_id(request)
            logger.set_correlation_id(request_id)
            try:
                response = _response(view(*args, **kwargs), request)
            except Exception as error:
                response = problem(error, request_id)
            response.headers["X-Request-Id"] = request_id
            return response

        return answer

    return decorate


def current_request(app: Chalice) -> Request:
    """The request of the current route. Chalice types it as optional."""
    return cast(Request, app.current_request)


def problem(error: Exception, request_id: str) -> Response:
    """The caller's view of a failure. An unexpected failure is logged, and its answer holds only the request's id."""
    if isinstance(error, InvalidParameter):
        named = {"parameter": error.name, "got": error.got, "valid": error.valid}
        return _problem(400, "invalid-parameter", "A parameter is not valid", str(error), request_id, named)
    if isinstance(error, UnknownFile):
        return _problem(404, "unknown-file", "There is no such file", str(error), request_id)
    if isinstance(error, WrongStatus):
        return _problem(409, "wrong-status", "The file's status forbids it", str(error), request_id, {"file_status": error.status})
    logger.exception("a request failed")
    detail = f"the API failed; the log of its function names the reason under correlation_id {request_id}"
    return _problem(500, "internal-error", "The API failed", detail, request_id)


def _problem(status: int, kind: str, title: str, detail: str, request_id: str, named: dict[str, Any] | None = None) -> Response:
    body = {"type": PROBLEM_TYPE + kind, "title": title, "status": status, "detail": detail, "request_id": request_id} | (named or {})
    return Response(body, {"Content-Type": "application/problem+json"}, status)


def _response(found: Any, request: Request) -> Response:
    if isinstance(found, Response) or request.method != "GET":
        return found if isinstance(found, Response) else Response(found)
    tag = f'"{hashlib.sha256(orjson.dumps(found, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]}"'
    known = {known.strip().removeprefix("W/") for known in request.headers.get("if-none-match", "").split(",")}
    return Response("", {"ETag": tag}, 304) if tag in known else Response(found, {"ETag": tag})


def _request_id(request: Request) -> str:
    """API Gateway's id of the request. Chalice's local server has none, so the function's id stands in."""
    return str(request.context.get("requestId") or cast(Any, request.lambda_context).aws_request_id)
