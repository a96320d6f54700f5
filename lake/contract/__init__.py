"""Contracts: one YAML a source table, after the Open Data Contract Standard v3 (https://bitol-io.github.io/open-data-contract-standard/).

Read with PyYAML into frozen dataclasses, because a Lambda pays for every import. ``dm contract check`` also holds the
files against the standard's own model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lake.contract.model import Column, Contract, InvalidContract, MonthPartition, QualityRule, Reference, UnknownTable, joined_name
from lake.contract.reader import parse_contract


@dataclass(frozen=True)
class ContractSet:
    """All contracts of one published version."""

    version: str
    tables: Mapping[str, Contract]

    def table(self, name: str) -> Contract:
        """The contract of a lake table. Raises ``UnknownTable``."""
        try:
            return self.tables[name]
        except KeyError:
            raise UnknownTable(name, self.tables) from None

    def by_source(self, schema: str, table: str) -> Contract | None:
        """The contract whose source is ``schema.table``, if there is one."""
        return next((c for c in self.tables.values() if (c.source_schema, c.source_table) == (schema, table)), None)

    @classmethod
    def of(cls, files: Mapping[str, str]) -> ContractSet:
        """Parse contract texts by file name. Raises ``InvalidContract``.

        The version is a digest of names and texts: the same contracts always have the same version.
        """
        digest = hashlib.sha256()
        tables: dict[str, Contract] = {}
        sources: dict[tuple[str, str], str] = {}
        for name in sorted(files):
            digest.update(f"{name}\0{files[name]}\0".encode())
            contract = parse_contract(files[name], source=name)
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
        _refuse_own_tables(tables)
        return cls(digest.hexdigest()[:12], tables)

    @classmethod
    def from_directory(cls, folder: Path) -> ContractSet:
        """Read every ``*.yaml`` of a folder. Raises ``InvalidContract``."""
        files = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
        if not files:
            raise InvalidContract(str(folder), "contracts", "no *.yaml file here")
        return cls.of(files)


def _refuse_own_tables(tables: Mapping[str, Contract]) -> None:
    """Refuse a table whose name the jobs give to a table that they keep beside another."""
    for contract in tables.values():
        for own in contract.beside:
            if own in tables:
                raise InvalidContract(
                    f"{own}.yaml",
                    f'table "{own}"',
                    f'the lake keeps a table of this name beside "{contract.table}"; give one of both another schema.name, '
                    "physicalName names the source",
                )


def month_of(value: int | datetime) -> tuple[int, int]:
    """The UTC (year, month) of a partition column's value: seconds since 1970, or a time."""
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return moment.year, moment.month


__all__ = [
    "Column",
    "Contract",
    "ContractSet",
    "InvalidContract",
    "MonthPartition",
    "QualityRule",
    "Reference",
    "UnknownTable",
    "month_of",
    "parse_contract",
]
