"""openapi.yaml and the code say the same: routes, methods, parameters, fields."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from control_api import file_answers, refused_answers
from control_api.parameters import DEFAULT_LIMIT, MAX_LIMIT

OPENAPI = yaml.safe_load((Path(__file__).resolve().parents[3] / "control-api" / "openapi.yaml").read_text())
METHODS = ("get", "post", "put", "patch", "delete")

pytestmark = pytest.mark.integration


def described():
    return {
        (path, method.upper()): operation
        for path, operations in OPENAPI["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    }


def parameters(path, method, place):
    given = described()[path, method].get("parameters", [])
    named = [OPENAPI["components"]["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in given]
    return {parameter["name"] for parameter in named if parameter["in"] == place}


def test_routes_methods_and_handlers_are_equal(control_app):
    coded = {(path, method): entry.view_name for path, methods in control_app.app.routes.items() for method, entry in methods.items()}
    assert {route: operation["operationId"] for route, operation in described().items()} == coded


def test_every_route_wants_a_signed_request(control_app):
    assert OPENAPI["security"] == [{"iam": []}]
    assert all(entry.authorizer is control_app.signed for methods in control_app.app.routes.values() for entry in methods.values())


def test_path_parameters_are_equal(control_app):
    for path, methods in control_app.app.routes.items():
        for method, entry in methods.items():
            assert parameters(path, method, "path") == set(entry.view_args)


def test_query_parameters_are_equal(control_app):
    filters = file_answers.FILTERS
    assert parameters("/files", "GET", "query") == set(filters)
    assert parameters("/files/{file_id}/retry", "POST", "query") == {"force"}
    for path in ("/errors", "/errors/records"):
        assert parameters(path, "GET", "query") >= set(refused_answers.FILTERS)
    for path in ("/errors/redrive", "/errors/drop"):
        assert parameters(path, "POST", "query") >= set(refused_answers.FILTERS)
    for path in ("/tables", "/troubles", "/health", "/files/{file_id}"):
        assert parameters(path, "GET", "query") == set()


def test_limits_are_equal(control_app):
    limit = next(parameter["schema"] for parameter in described()["/files", "GET"]["parameters"] if parameter.get("name") == "limit")
    assert (limit["maximum"], limit["default"]) == (MAX_LIMIT, DEFAULT_LIMIT)


def test_the_fields_of_a_file_are_equal(control_app):
    schema = OPENAPI["components"]["schemas"]["File"]
    fields = set(file_answers.FILE_FIELDS)
    assert set(schema["properties"]) == set(schema["required"]) == fields


def test_statuses_are_equal(control_app):
    from lake.control.records import STATUSES

    assert tuple(OPENAPI["components"]["schemas"]["Status"]["enum"]) == STATUSES
    assert set(OPENAPI["components"]["schemas"]["FileCounts"]["properties"]) == set(STATUSES)
