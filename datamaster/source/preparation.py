"""A user's own database as the source: what it lacks, and contracts for the chosen tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datamaster.replicator.task import PUBLICATION, SLOT
from datamaster.source.introspect import contract_yaml
from datamaster.source.preflight import Finding, check, forget
from lake.contract import Contract, ContractSet, parse_contract


def prepare(dsn: str, tables: Sequence[str], contracts: Path) -> list[Finding]:
    """Write a contract for each chosen table (schema.table) that has none, unless the database lacks something that blocks.

    What an earlier platform left in the database is removed: its lake is gone, so the tables are loaded anew.
    Returns what the database lacks, each with the statement or setting that gives it; where one of them blocks, nothing was written.
    Raises ``SourceUnreachable``, ``SlotInUse``, ``InvalidContract``.
    """
    known = {f"{c.source_schema}.{c.source_table}" for c in _known(contracts)}
    chosen = sorted({*tables, *known})
    findings = check(dsn, chosen, SLOT, PUBLICATION)
    if any(finding.blocking for finding in findings):
        return findings
    forget(dsn, SLOT, PUBLICATION)
    contracts.mkdir(parents=True, exist_ok=True)
    for table in tables:
        if table not in known:
            name = table.split(".")[-1]
            text = contract_yaml(dsn, table)
            parse_contract(text, f"{name}.yaml")
            (contracts / f"{name}.yaml").write_text(text, encoding="utf-8")
    return findings


def _known(contracts: Path) -> list[Contract]:
    return list(ContractSet.from_directory(contracts).tables.values()) if any(contracts.glob("*.yaml")) else []
