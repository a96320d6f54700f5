"""What the jobs name in their SQL cannot be the name of a contract's column."""

from __future__ import annotations

import re
from pathlib import Path

from lake.contract.names import column_problem

ROOT = Path(__file__).resolve().parents[3]
_STRINGS = re.compile(r'"([^"\n]*)"')
_ALIAS = re.compile(r"\bas ([A-Za-z_]\w*)")
SQL_TYPES = {"bigint", "string", "int", "double", "timestamp"}  # of casts
APART = {"checked", "year", "month"}
"""Of rows that hold no column of a contract."""


def test_every_alias_in_silvers_sql_is_a_name_that_no_contract_can_have() -> None:
    found = {}
    for path in sorted((ROOT / "emr-jobs/jobs/silver").glob("*.py")):
        for text in _STRINGS.findall(re.sub(r'"""(?:.|\n)*?"""', "", path.read_text())):
            for alias in set(_ALIAS.findall(text)) - SQL_TYPES - APART:
                if column_problem(alias) is None:
                    found[f"{path.name}: {alias}"] = text
    assert found == {}
