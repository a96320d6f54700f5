"""Errors of the logic in HTTP's terms."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from chalice.app import BadRequestError, NotFoundError, Response

from control_api.parameters import InvalidParameter
from lake.control import UnknownFile, WrongStatus

P = ParamSpec("P")


def in_http(view: Callable[P, Any]) -> Callable[P, Any]:
    """400 for a wrong parameter, 404 for an unknown file, 409 with the file's status where that forbids the change."""

    @wraps(view)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return view(*args, **kwargs)
        except InvalidParameter as error:
            raise BadRequestError(str(error)) from error
        except UnknownFile as error:
            raise NotFoundError(str(error)) from error
        except WrongStatus as error:
            return Response({"Code": "ConflictError", "Message": str(error), "status": error.status}, status_code=409)

    return answer
