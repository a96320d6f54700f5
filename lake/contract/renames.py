"""One name, one column: the rules that keep one column's values from coming under another.

Data written before a rename is read by the former name: messages on their way, raw lines, bronze files, the silver table.
A name therefore never passes to another column. In the source it may, behind a load that reads the table anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from lake.contract.model import Column, Contract, InvalidContract


@dataclass(frozen=True)
class KnownNames:
    """The column, by its id, that each name of a table has meant in the lake and in the source, the oldest name first."""

    lake: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> KnownNames:
        """Parse the JSON form, which ``asdict`` gives."""
        return cls(document["lake"], document["source"])

    def with_names_of(self, contract: Contract) -> KnownNames:
        """These names, and those that a contract gives."""
        lake = {name: c.id for c in contract.columns for name in (*reversed(c.former_names), c.name)}
        formers = {name: c.id for c in contract.columns for name in reversed(contract.former_sources(c))}
        return KnownNames({**self.lake, **lake}, {**self.source, **formers, **{c.source_name: c.id for c in contract.columns}})

    def exchanged(self, contract: Contract) -> dict[str, str]:
        """The source's names that the contract gives to another column than before, with the id of the one before."""
        owners = {c.source_name: self.source.get(c.source_name, c.id) for c in contract.columns}
        return {c.source_name: owners[c.source_name] for c in contract.columns if owners[c.source_name] != c.id}


def names_of(tables: Mapping[str, Contract], known: Mapping[str, KnownNames] = MappingProxyType({})) -> dict[str, KnownNames]:
    """The names of these tables, with those of them that are ``known`` already."""
    return {table: known.get(table, KnownNames()).with_names_of(contract) for table, contract in tables.items()}


def refuse_ambiguous_renames(contract: Contract) -> None:
    """Refuse a former name that another column has or had, and two columns of one source's. Raises ``InvalidContract``."""
    sources: dict[str, str] = {}
    for column in contract.columns:
        if (other := sources.setdefault(column.source_name, column.name)) != column.name:
            raise InvalidContract(
                f"{contract.table}.yaml", f'column "{column.name}"', f'the source\'s "{column.source_name}" is column "{other}" already'
            )
    for column in contract.columns:
        for former in column.former_names:
            if problem := _of_present(contract, column, former):
                _refuse_former(contract, column, "renamedFrom", former, problem)
    for prop, formers in (("renamedFrom", "former_names"), ("physicalRenamedFrom", "former_sources")):
        claimed: dict[str, str] = {}
        for column in contract.columns:
            for former in getattr(column, formers):
                if (other := claimed.setdefault(former, column.name)) != column.name:
                    _refuse_former(contract, column, prop, former, f'as does "{other}"; a name was one column\'s')


def _refuse_former(contract: Contract, column: Column, prop: str, former: str, problem: str) -> None:
    raise InvalidContract(f"{contract.table}.yaml", f'column "{column.name}" {prop}', f'comes from "{former}", {problem}')


def _of_present(contract: Contract, column: Column, former: str) -> str | None:
    holder = contract.by_name.get(former)
    if holder is None or holder is column:
        return None
    if column.name in holder.former_names:
        return f'and "{former}" from "{column.name}": leave both names and exchange their physicalName'
    return f'which the column "{former}" has now. Give that one a name of its own, with physicalName: {holder.source_name}'


def known_names(known: Mapping[str, KnownNames], new: Mapping[str, Contract], reloaded: Collection[str] = ()) -> dict[str, KnownNames]:
    """All names after new contracts. Tables without a contract are forgotten.

    Refuses a name that was another column's, and a column that loses an earlier name. A name of the source may pass to another
    column in the tables ``reloaded``, which their caller loads anew. Raises ``InvalidContract``.
    """
    after = {}
    for table, contract in new.items():
        before = known.get(table, KnownNames())
        if table in reloaded:
            before = KnownNames(before.lake)
        for column in contract.columns:
            _refuse_foreign_name(table, before, column)
            _refuse_lost_name(table, before, column)
            _refuse_lost_source(table, before, contract, column)
        for source, owner in before.exchanged(contract).items():
            (column,) = (c for c in contract.columns if c.source_name == source)
            raise InvalidContract(
                f"{table}.yaml",
                f'column "{column.name}"',
                f'is the source\'s "{source}" now, which was "{owner}" before: changes on their way would be read under the wrong one. '
                f"Once the source has changed, dm contract publish --reload {table} puts it in force and loads the table anew",
            )
        after[table] = before.with_names_of(contract)
    return after


def _refuse_foreign_name(table: str, known: KnownNames, column: Column) -> None:
    """Refuse a name that another column has had, or that is this column's but for a history that the contract leaves out."""
    for name in (column.name, *column.former_names):
        owner = known.lake.get(name, column.id)
        if owner != column.id:
            raise InvalidContract(
                f"{table}.yaml",
                f'column "{column.name}"',
                f'"{name}" is a name of the column that was "{owner}" first. For that column write '
                f"renamedFrom: [{', '.join(_history(known, column, owner))}]; another one needs a name that was none's, "
                f"with physicalName: {column.source_name}",
            )


def _refuse_lost_name(table: str, known: KnownNames, column: Column) -> None:
    given = {column.name, *column.former_names}
    if lost := [name for name, owner in known.lake.items() if owner == column.id and name not in given]:
        raise InvalidContract(
            f"{table}.yaml",
            f'column "{column.name}"',
            f"had the name {' and '.join(lost)} before. For that column write "
            f"renamedFrom: [{', '.join(_history(known, column, column.id))}]; another one needs a name that was none's, "
            f"with physicalName: {column.source_name}",
        )


def _history(known: KnownNames, column: Column, owner: str) -> list[str]:
    """The names that ``renamedFrom`` lists if the column is the one with the id ``owner``."""
    names = [name for name in reversed([*known.lake]) if known.lake[name] == owner and name != owner]
    return [*(name for name in dict.fromkeys([*column.former_names, *names]) if name not in (column.name, owner)), owner]


def _refuse_lost_source(table: str, known: KnownNames, contract: Contract, column: Column) -> None:
    taken = {c.source_name for c in contract.columns} | set(column.former_sources)
    if lost := [name for name, owner in reversed([*known.source.items()]) if owner == column.id and name not in taken]:
        raise InvalidContract(
            f"{table}.yaml",
            f'column "{column.name}" physicalRenamedFrom',
            f"was {' and '.join(lost)} in the source before, and changes of then may be on their way; "
            f"write physicalRenamedFrom: [{', '.join(dict.fromkeys([*column.former_sources, *lost]))}]",
        )
