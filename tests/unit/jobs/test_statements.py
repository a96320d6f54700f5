"""The SQL files of the jobs are SQL for any contract, and nothing of a statement is left in the session."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from jobs.iceberg import statements
from jobs.silver import changes, history, merge
from lake.contract import Contract, parse_contract
from lake.contract.names import column_problem

ROOT = Path(__file__).resolve().parents[3]
JOBS = ROOT / "emr-jobs/jobs"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = """\
apiVersion: v3.0.2
kind: DataContract
id: note
version: 1.0.0
schema:
  - name: note
    physicalName: app.note
    customProperties: [{property: history, value: true}]
    properties:
      - {name: part, physicalType: varchar(10), primaryKey: true, primaryKeyPosition: 1}
      - {name: note_id, physicalType: bigint, primaryKey: true, primaryKeyPosition: 2}
"""
WIDE = """\
      - {name: share, physicalType: real}
      - {name: body, physicalType: text, classification: public}
      - {name: photo, physicalType: bytea}
"""
NAMES = sorted(path.relative_to(JOBS).with_suffix("").as_posix() for path in JOBS.rglob("*.sql"))
KINDS = {"merge": exp.Merge, "retire": exp.Update, "overwrite": exp.Insert}
TABLE = "lake.dm_silver.note"


class Recorder:
    """Stands for a session: keeps the statement that it is given."""

    def __init__(self) -> None:
        self.text = ""

    def sql(self, text: str, _arguments: None, **frames: str) -> Recorder:
        self.text = text.format(**frames)
        return self


def parts_of(name: str, contract: Contract) -> dict[str, Any]:
    """The parts that the job gives a statement."""
    columns = [c.name for c in contract.columns]
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "iceberg/overwrite": lambda: {"table": TABLE, "columns": statements.listed(columns)},
        "silver/fold": lambda: changes.fold_parts(contract),
        "silver/history_log": lambda: history.log_parts(contract),
        "silver/history_log_merge": lambda: history.log_merge_parts(contract, TABLE, [*columns, "cdc_generation"], "1", "2"),
        "silver/history_versions": lambda: history.version_parts(contract, 5),
        "silver/history_versions_merge": lambda: history.versions_merge_parts(TABLE, [*columns, "valid_to"], ["note_id"]),
        "silver/merge": lambda: merge.merge_parts(TABLE, contract, None, MOMENT, 5),
        "silver/retire": lambda: merge.retire_parts(TABLE, MOMENT, 5),
    }
    return parts[name]()


def written(name: str, contract: Contract) -> exp.Expr:
    """The statement that the job gives the engine, with a table's name for the rows that it reads."""
    session = Recorder()
    parts = parts_of(name, contract)
    fields = {field for _, field, _, _ in Formatter().parse((JOBS / f"{name}.sql").read_text()) if field}
    assert parts.keys() <= fields, "a part has no place"
    statements.query(session, name, parts, **dict.fromkeys(fields - parts.keys(), "delivered_rows"))
    (statement,) = sqlglot.parse(session.text, read="spark")
    assert statement is not None
    return statement


@pytest.mark.parametrize("columns", ["", WIDE], ids=["only a key", "every kind of column"])
@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_one_statement_over_the_rows_that_it_is_given(name: str, columns: str) -> None:
    contract = parse_contract(HEAD + columns, "note.yaml")

    statement = written(name, contract)

    assert isinstance(statement, KINDS.get(name.split("/")[1].split("_")[-1], exp.Select))
    steps = {step.alias for step in statement.find_all(exp.CTE)}
    read = {table.name for table in statement.find_all(exp.Table)} - steps
    assert read == {"delivered_rows"} if isinstance(statement, exp.Select) else read <= {"delivered_rows", "note"}
    own = {alias.alias for alias in statement.find_all(exp.Alias)} - {column.name for column in contract.columns}
    assert {name for name in own if column_problem(name) is None} == set(), "a contract may give a column this name"


def test_no_statement_leaves_a_name_in_the_session() -> None:
    calls = {
        node.attr for module in JOBS.rglob("*.py") for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Attribute)
    }

    assert not {name for name in calls if "TempView" in name}
