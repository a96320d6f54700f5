"""The catalogue of metrics against the code that emits them: nothing emitted unlisted, nothing listed unemitted."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from ingest import registration, sweep, transformation
from lake.metrics_catalogue import CATALOGUE, CONTROL, CONVERTER, ROUTER, metrics_page

ROOT = Path(__file__).resolve().parents[3]
NO_UNIT = "Count"


def emissions(app: str) -> list[tuple[str, str, frozenset[str]]]:
    """Every call of ``lake.telemetry.count`` in an app: the name as written (``*`` for what is put in), unit, dimensions."""
    found = []
    for path in sorted((ROOT / app).rglob("*.py")):
        if "vendor" in path.relative_to(ROOT / app).parts:
            continue
        tree = ast.parse(path.read_text())
        imported = any(isinstance(node, ast.ImportFrom) and node.module == "lake.telemetry" for node in ast.walk(tree))
        for node in ast.walk(tree):
            if imported and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count":
                found.append((written(node.args[0]), unit(node), frozenset(word.arg for word in node.keywords if word.arg)))
    return found


def written(name: ast.expr) -> str:
    if isinstance(name, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in name.values)
    assert isinstance(name, ast.Constant), "a metric's name is a text or a formatted text"
    return str(name.value)


def unit(call: ast.Call) -> str:
    return call.args[2].attr if len(call.args) > 2 and isinstance(call.args[2], ast.Attribute) else NO_UNIT


@pytest.fixture
def expanded():
    """What an app emits, names with a place for something written out."""
    router = {
        "transform_*": [field.name for field in fields(transformation.Counts)],
        "files_*": [getattr(registration, name) for name in ("REGISTERED", "FAILED", "KNOWN", "IGNORED")],
        "sweep_*": [f.name for f in fields(sweep.Swept) if f.name not in ("next_key", "unsettled_seconds")],
    }

    def of(app):
        found = set()
        for name, kind, dimensions in emissions(app):
            names = [name.replace("*", word) for word in router[name]] if "*" in name else [name]
            found |= {(each, kind, dimensions | {"service"}) for each in names}
        return found

    return of


@pytest.mark.parametrize("app", [ROUTER, CONVERTER, CONTROL])
def test_an_app_emits_what_the_catalogue_lists_and_nothing_else(app, expanded):
    listed = {(metric.name, metric.unit, frozenset(metric.dimensions)) for metric in CATALOGUE if metric.app == app}

    assert expanded(app) == listed


def test_only_the_apps_emit_metrics():
    elsewhere = [folder for folder in ("lake", "emr-jobs", "datamaster") if emissions(folder)]

    assert elsewhere == []


def test_no_metric_is_listed_twice():
    names = [metric.name for metric in CATALOGUE]

    assert sorted(set(names)) == sorted(names)


def test_a_metric_is_sent_by_a_function_that_its_app_has():
    functions = {app: "\n".join(path.read_text() for path in (ROOT / app).rglob("*.py")) for app in (ROUTER, CONVERTER, CONTROL)}

    for metric in CATALOGUE:
        for sender in metric.sender.split(", "):
            assert f"def {sender}(" in functions[metric.app], metric.name


def test_the_page_of_metrics_is_the_catalogue():
    assert (ROOT / "docs" / "metrics.md").read_text() == metrics_page()
