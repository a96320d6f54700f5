"""Prepare a user's own database as the source: its tables, those that can be replicated, and their contracts.

Nothing is written before everything is checked. A table that cannot be replicated is reported with its reason and cure, and stops no other.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datamaster.source.connection import connected
from datamaster.source.introspect import contract_yaml
from datamaster.source.naming import SourceName, table_names
from datamaster.source.pg_catalog import PUBLICATION, SLOT, Cursor
from datamaster.source.preflight import ALONE, Finding, server_findings, table_findings
from datamaster.source.survey import Choice, SourceTable, survey
from lake.contract import ContractSet
from lake.errors import LakeError
from lake.source_session import SESSION_OPTIONS


@dataclass(frozen=True)
class Preparation:
    """What taking the chosen tables means.

    ``findings`` concern the whole database, ``tables`` are all its tables, ``names`` the lake names of the accepted ones. ``refused`` holds
    requested tables with their findings. ``contracts`` holds the files to write, by name. ``known`` are the tables that already have a
    contract.
    """

    findings: tuple[Finding, ...]
    tables: tuple[SourceTable, ...] = ()
    names: Mapping[SourceName, str] = field(default_factory=dict)
    refused: Mapping[SourceName, tuple[Finding, ...]] = field(default_factory=dict)
    contracts: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[SourceName] = frozenset()

    @property
    def possible(self) -> bool:
        """Whether at least one table can be taken, and every table with a contract."""
        fit = not any(finding.blocking for finding in self.findings)
        return fit and bool(self.names) and self.known.isdisjoint(self.refused)

    def write(self, folder: Path) -> None:
        """Write the new contracts."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.contracts.items():
            (folder / name).write_text(text, encoding="utf-8")

    def undo(self, folder: Path) -> None:
        """Remove the contracts of ``write``."""
        for name in self.contracts:
            (folder / name).unlink(missing_ok=True)


def plan(dsn: str, choice: Choice, folder: Path, slot: str = SLOT, publication: str = PUBLICATION, *, running: bool = False) -> Preparation:
    """Look at the database and say what would be taken; nothing is written.

    Tables with contracts in ``folder`` are always included. They are the only ones if nothing else is chosen. A ``running`` platform
    already replicates, so its server is not checked again. Raises ``SourceRefused``, ``SourceUnreachable``, ``InvalidContract``.
    """
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
    of_folder = ContractSet.of(texts).tables.values()
    known = {SourceName(c.source_schema, c.source_table): c.table for c in of_folder}
    exported = {SourceName(c.source_schema, c.source_table) for c in of_folder if not c.cdc}  # nothing of these is published
    with connected(dsn, SESSION_OPTIONS) as connection, connection.cursor() as cursor:
        findings = () if running else tuple(server_findings(dsn, cursor, slot))
        if any(finding.subject in ALONE for finding in findings):
            return Preparation(findings)
        tables = tuple(survey(cursor))
        chosen = {table.name for table in tables if _chosen(table, choice, known)}
        refused = _refused(cursor, tables, {*chosen, *choice.tables, *known} - exported, publication)
    new, contracts = table_names(chosen - refused.keys(), known), {}
    for name in sorted(new.keys() - known.keys()):
        try:
            contracts[f"{new[name]}.yaml"] = contract_yaml(dsn, str(name), names=new)
        except LakeError as error:
            refused[name] = (Finding(f"table {name}", str(error), "write its contract by hand: dm contract init prints a draft"),)
            del new[name]
    ContractSet.of(texts | contracts)
    return Preparation(findings, tables, new, refused, contracts, frozenset(known))


def _chosen(table: SourceTable, choice: Choice, known: Iterable[SourceName]) -> bool:
    if table.name in choice.tables:
        return True
    asked = choice != Choice() or not known
    return asked and choice.takes(table.name) and not (table.obstacle or table.extension)


def _refused(
    cursor: Cursor, tables: Iterable[SourceTable], wanted: Iterable[SourceName], publication: str
) -> dict[SourceName, tuple[Finding, ...]]:
    """The requested tables that cannot be taken, each with all its findings."""
    there = {table.name: table for table in tables}
    refused: dict[SourceName, tuple[Finding, ...]] = {}
    for name in wanted:
        if name not in there:
            near = [str(other) for other in there if other.table == name.table] or difflib.get_close_matches(str(name), map(str, there), 1)
            remedy = f"{near[0]} is there" if near else "dm up --source URL without --table lists what is there"
            refused[name] = (Finding(f"table {name}", "there is no such table", remedy),)
        elif there[name].obstacle:
            refused[name] = (Finding(f"table {name}", there[name].obstacle, "take the tables that its rows come from"),)
    found = table_findings(cursor, [str(name) for name in wanted if name not in refused], publication)
    for name in wanted:
        if blocking := tuple(finding for finding in found.get(str(name), ()) if finding.blocking):
            refused[name] = blocking
    return refused
