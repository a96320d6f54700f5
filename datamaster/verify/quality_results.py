"""Check ``dm_silver.quality_results``: the lake counted every row that breaks a rule at the source.

The rules run here over the source's rows in DuckDB's SQL, and in the jobs over each batch's images in Spark's. The lake may have counted
more, because it also saw values that the source has corrected since. It may not have counted less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datamaster.platform.query import Athena, QueryFailed
from datamaster.verify.report import Difference, TableReport
from datamaster.verify.silver import source_table, unread
from datamaster.verify.workbench import Workbench, quoted, text
from lake.contract import Contract, ContractSet, QualityRule

RESULTS = "dm_silver.quality_results"


def has_rules(contracts: ContractSet) -> bool:
    """Whether any contract has a rule."""
    return any(contract.quality_rules for contract in contracts.tables.values())


def compare_quality(bench: Workbench, athena: Athena, contracts: ContractSet, masks: Mapping[str, Mapping[str, str]]) -> TableReport:
    """Compare the lake's counts with the source's rows, which ``compare_silver`` left on the bench.

    Rules of masked columns are skipped except not_null. The lake checks values, and the bench has their masks.
    """
    path = bench.folder / "quality.csv"
    try:
        athena.download(f"SELECT table_name, rule, rows_failed FROM {RESULTS}", path)
    except QueryFailed as error:
        return unread(RESULTS, error)
    values = {"table_name": "table_name", "rule": "rule", "rows_failed": "TRY_CAST(rows_failed AS BIGINT)"}
    bench.load("results", path, tuple(values), values)
    counted = {
        (table, rule): int(failed)
        for table, rule, failed in bench.rows("SELECT table_name, rule, coalesce(sum(rows_failed), 0) FROM results GROUP BY ALL")
    }
    rules = [
        (contract, rule)
        for contract in contracts.tables.values()
        for rule in contract.quality_rules
        if rule.column not in masks[contract.table] or rule.kind == "not_null"
    ]
    differences = []
    for contract, rule in rules:
        broken, seen = _broken(bench, contract, rule), counted.get((contract.table, rule.name), 0)
        if seen < broken:
            key = f"{contract.table}, {rule.name}"
            differences.append(Difference(RESULTS, key, "rows_failed", f"{broken} or more", str(seen)))
    counts = {"rows_failed": len(differences)} if differences else {}
    return TableReport(RESULTS, len(rules), sum((c.table, r.name) in counted for c, r in rules), counts, tuple(differences[:5]))


def _broken(bench: Workbench, contract: Contract, rule: QualityRule) -> int:
    """The number of the source's rows that break a rule. Of rows with a duplicate unique value, all but one count."""
    table, column = quoted(source_table(contract.table)), quoted(rule.column)
    if rule.kind == "unique":
        return int(bench.rows(f"SELECT count({column}) - count(DISTINCT {column}) FROM {table}")[0][0])
    conditions = {
        "not_null": f"{column} IS NULL",
        "range": f"NOT ({column} BETWEEN {_bound(rule.minimum, '-')} AND {_bound(rule.maximum, '')})",
        "accepted_values": f"{column} NOT IN ({', '.join(_literal(value) for value in rule.values)})",
        "reference": _dangling(rule, column),
    }
    return int(bench.rows(f"SELECT count(*) FROM {table} WHERE {conditions[rule.kind]}")[0][0])


def _dangling(rule: QualityRule, column: str) -> str:
    if rule.reference is None:
        return "FALSE"
    held = f"SELECT {quoted(rule.reference.column)} FROM {quoted(source_table(rule.reference.table))}"
    return f"{column} IS NOT NULL AND {column} NOT IN ({held})"


def _bound(value: float | None, sign: str) -> str:
    return f"'{sign}Infinity'::DOUBLE" if value is None else str(value)


def _literal(value: Any) -> str:
    return text(value) if isinstance(value, str) else str(value)
