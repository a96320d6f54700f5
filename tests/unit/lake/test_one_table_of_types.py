"""A type is added in one table: every stage takes it from there, and none asks for types by name."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from convert.parse import field_values
from ingest.normalisers import NORMALISERS
from lake.types import FORMS, RULE_BY_SPELLING

ROOT = Path(__file__).resolve().parents[3]
STAGES = ("lake", "ingest-router/ingest", "converter/convert", "control-api", "emr-jobs/jobs", "export", "datamaster", "examples/beer")
NAMES = {*RULE_BY_SPELLING, *(form.name for form in FORMS.values()), *(form.iceberg for form in FORMS.values())} | {"text[]"}
OWN = {
    "lake/types.py": "the table",
    "datamaster/verify/derived_tables.py": "verify has rules of its own, so that it sees what the table gets wrong",
    "datamaster/verify/source_snapshot.py": "verify has rules of its own",
    "datamaster/verify/values.py": "verify has rules of its own",
    "datamaster/source/value_forms.py": "names of pg_type, in DMS's own table of forms",
    "datamaster/source/introspect.py": "names of DMS's forms",
    "datamaster/platform/query.py": "Athena's names of what it answers",
    "datamaster/athena/information_schema.py": "Athena's names of what it answers",
    "datamaster/athena/result_values.py": "DuckDB's names and Athena's",
    "datamaster/laptop/delivery/prefix.py": "Firehose's namespace in a prefix",
    "emr-jobs/jobs/iceberg/staging.py": "an engine's own fault with its type binary",
}
NO_TYPES = {
    "json": "a format of files and answers",
    "date": "a unit of the cost table, and of a partition",
    "enum": "a word of JSON Schema",
}


def _compared(tree: ast.Module) -> Iterator[str]:
    """The texts that code compares with, looks for, or matches."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                yield from (c.value for c in ast.walk(side) if isinstance(c, ast.Constant) and isinstance(c.value, str))
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "startswith":
            yield from (c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str))


def test_no_module_outside_the_table_asks_for_a_type_by_its_name() -> None:
    asking = {}
    for path in (path for stage in STAGES for path in (ROOT / stage).rglob("*.py") if "vendor" not in path.parts):
        names = (set(_compared(ast.parse(path.read_text()))) & NAMES) - set(NO_TYPES)
        if names:
            asking[str(path.relative_to(ROOT))] = names

    assert {path: names for path, names in asking.items() if path not in OWN} == {}
    assert {path for path in OWN if path not in asking} <= {"lake/types.py"}, "a module that asks no longer needs no reason"


def test_every_form_has_its_functions_in_the_router_and_in_both_grammars() -> None:
    of_change_records = {"operation", "position", "names"}

    assert set(NORMALISERS) == set(FORMS)
    assert set(field_values.JSON_READERS) == set(field_values.CSV_READERS) == set(FORMS) | of_change_records


def test_a_line_in_the_table_adds_a_type(tmp_path: Path) -> None:
    """A type ``harvest``, written as a date is, in contracts, router, parsers, silver, Athena, introspection and on the page."""
    table = tmp_path / "types.py"
    begin = "RULES: tuple[TypeRule, ...] = (\n"
    text = (ROOT / "lake/types.py").read_text()
    assert begin in text
    line = '    TypeRule("harvest", ("vintage",), DATE, ("date",), free_text=True, units=("date",)),\n'
    table.write_text(text.replace(begin, begin + line))

    stages = [sys.executable, "-m", "tests.unit.lake.pretend_type", str(table)]
    done = subprocess.run(stages, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stderr
