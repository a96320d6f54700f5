"""Contracts: one YAML file per source table, after the Open Data Contract Standard v3.

The standard: https://bitol-io.github.io/open-data-contract-standard/. PyYAML reads the files into frozen dataclasses,
because a Lambda pays for every import. ``dm contract check`` also validates them against the standard's own model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lake.contract.derived import FOLDER, DerivedTable, Join, check_derived, parse_derived
from lake.contract.model import Column, Contract, InvalidContract, MonthPartition, QualityRule, Reference, UnknownTable, joined_name
from lake.contract.reader import parse_contract
from lake.contract.renames import refuse_ambiguous_renames


@dataclass(frozen=True)
class ContractSet:
    """All contracts of one published version, and the tables derived from them."""

    version: str
    tables: Mapping[str, Contract]
    derived: Mapping[str, DerivedTable] = field(default_factory=dict)

    def table(self, name: str) -> Contract:
        """The contract of a lake table. Raises ``UnknownTable``."""
        try:
            return self.tables[name]
        except KeyError:
            raise UnknownTable(name, self.tables) from None

    def months_of(self, table: str) -> tuple[str, str]:
        """The year and month columns of a derived table, or of a contract with a partition. Raises ``UnknownTable``."""
        if table in self.derived:
            return self.derived[table].partition
        partition = self.table(table).partition
        assert partition is not None  # noqa: S101 - no fact without one: ``check_derived``
        return partition.fields

    def built_from(self, table: str) -> tuple[DerivedTable, ...]:
        """The derived tables that read a table."""
        return tuple(derived for derived in self.derived.values() if table in derived.sources)

    @classmethod
    def of(cls, files: Mapping[str, str], strict: bool = False) -> ContractSet:
        """Parse the texts of contracts and derived tables by file name. Raises ``InvalidContract``.

        Published texts must stay readable. ``from_directory`` therefore makes the stricter checks, and this function does not.
        The version is a digest of names and texts: the same contracts always have the same version.
        """
        digest = hashlib.sha256()
        tables: dict[str, Contract] = {}
        sources: dict[tuple[str, str], str] = {}
        for name in sorted(files):
            digest.update(f"{name}\0{files[name]}\0".encode())
            if name.startswith(FOLDER):
                continue
            contract = parse_contract(files[name], name, strict)
            if contract.table in tables:
                raise InvalidContract(name, f'table "{contract.table}"', "already described by another contract; table names are unique")
            origin = (contract.source_schema, contract.source_table)
            if origin in sources:
                raise InvalidContract(name, f"physicalName '{joined_name(*origin)}'", f'already the source of table "{sources[origin]}"')
            tables[contract.table] = contract
            sources[origin] = contract.table
        for name, contract in ((c.table, c) for c in tables.values()):
            for column in contract.columns:
                if column.reference and column.reference.table not in tables:
                    raise InvalidContract(
                        f"{name}.yaml",
                        f'column "{column.name}"',
                        f'refers to table "{column.reference.table}"; known: {", ".join(sorted(tables))}',
                    )
        parsed = (parse_derived(name, files[name]) for name in sorted(files) if name.startswith(FOLDER))
        derived = {table.name: table for table in parsed}
        check_derived(derived, tables)
        version = digest.hexdigest()[:12]
        return cls(version, {table: replace(contract, set_version=version) for table, contract in tables.items()}, derived)

    @classmethod
    def from_directory(cls, folder: Path) -> ContractSet:
        """Read every ``*.yaml`` and ``derived/*.sql`` of a folder. Raises ``InvalidContract``."""
        contracts = cls.of(contract_files(folder), strict=True)
        for contract in contracts.tables.values():
            refuse_ambiguous_renames(contract)
            _refuse_lost_targets(contract, contracts.tables)
        _refuse_own_tables(contracts.tables)
        return contracts


def contract_files(folder: Path) -> dict[str, str]:
    """The texts of a folder's contracts and derived tables, by relative path. Raises ``InvalidContract``."""
    paths = [*sorted(folder.glob("*.yaml")), *sorted(folder.glob(f"{FOLDER}*.sql"))]
    if not any(path.suffix == ".yaml" for path in paths):
        raise InvalidContract(str(folder), "contracts", "no *.yaml file here; dm contract init SCHEMA.TABLE writes one")
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _refuse_lost_targets(contract: Contract, tables: Mapping[str, Contract]) -> None:
    """Refuse a reference, of a column or of a quality rule, to a column that no contract describes."""
    of_columns = ((f'column "{column.name}" relationships', column.reference) for column in contract.columns)
    of_rules = ((f'quality rule "{rule.name}"', rule.reference) for rule in contract.quality_rules)
    for subject, target in (*of_columns, *of_rules):
        if target is not None and (target.table not in tables or target.column not in tables[target.table].by_name):
            known = tables[target.table].by_name if target.table in tables else sorted(tables)
            raise InvalidContract(
                f"{contract.table}.yaml", subject, f'refers to "{target.table}.{target.column}"; known: {", ".join(known)}'
            )


def _refuse_own_tables(tables: Mapping[str, Contract]) -> None:
    """Refuse a table if the jobs keep a table of this name beside another one."""
    for contract in tables.values():
        for own in contract.beside:
            if own in tables:
                raise InvalidContract(
                    f"{own}.yaml",
                    f'table "{own}"',
                    f'the lake keeps a table of this name beside "{contract.table}"; give one of both another schema.name, '
                    "physicalName names the source",
                )


__all__ = [
    "Column",
    "Contract",
    "ContractSet",
    "DerivedTable",
    "InvalidContract",
    "Join",
    "MonthPartition",
    "QualityRule",
    "Reference",
    "UnknownTable",
    "contract_files",
    "parse_contract",
]
