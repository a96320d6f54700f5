"""The SQL files of the silver job are SQL for any contract, and nothing of a statement is left in the session."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from jobs.silver import changes, history, statements
from lake.contract import Contract, parse_contract
from lake.contract.names import column_problem

ROOT = Path(__file__).resolve().parents[3]
SILVER = ROOT / "emr-jobs/jobs/silver"
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
NAMES = sorted(path.stem for path in SILVER.glob("*.sql"))


class Recorder:
    """Stands for a session: keeps the statement that it is given."""

    def __init__(self) -> None:
        self.text = ""

    def sql(self, text: str, _arguments: None, **frames: str) -> Recorder:
        self.text = text.format(**frames)
        return self


def written(name: str, contract: Contract) -> str:
    """The statement that the job gives the engine, with a table's name for the rows that it reads."""
    session = Recorder()
    if name == "fold":
        changes.fold(session, "delivered_rows", contract)
    else:
        parts = history.log_parts(contract) if name == "history_log" else history.version_parts(contract, 5)
        statements.query(session, name, parts, **{"delivered" if name == "history_log" else "placed": "delivered_rows"})
    return session.text


@pytest.mark.parametrize("columns", ["", WIDE], ids=["only a key", "every kind of column"])
@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_one_query_of_the_rows_that_it_is_given(name: str, columns: str) -> None:
    contract = parse_contract(HEAD + columns, "note.yaml")

    (query,) = sqlglot.parse(written(name, contract), read="spark")

    assert isinstance(query, exp.Select)
    steps = {step.alias for step in query.find_all(exp.CTE)}
    assert {table.name for table in query.find_all(exp.Table)} - steps == {"delivered_rows"}
    own = {alias.alias for alias in query.find_all(exp.Alias)} - {column.name for column in contract.columns}
    assert {name for name in own if column_problem(name) is None} == set(), "a contract may give a column this name"


def test_the_fold_and_the_history_name_nothing_in_the_session() -> None:
    calls = {
        node.attr
        for module in ("changes", "history", "statements", "lineage", "inheritance", "quality", "months")
        for node in ast.walk(ast.parse((SILVER / f"{module}.py").read_text()))
        if isinstance(node, ast.Attribute)
    }

    assert not {name for name in calls if "TempView" in name}
