"""Derived tables: one SQL file each in the contracts' folder ``derived/``, built month by month from other tables.

A file begins with comment lines ``-- name: value`` and holds one SELECT. It reads its sources by their own names. It sees
the live rows of a contract's table, and the rows of the months to build of the fact.

    -- description: Orders and their value by month.
    -- layer: gold
    -- fact: orders
    -- join: customer on customer_id = id
    -- partition: ordered_year, ordered_month
    SELECT …

A changed row of the fact rebuilds its months. A changed row of a joined table rebuilds the months of the facts that name it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lake.contract.model import Contract, InvalidContract
from lake.contract.names import OWN, QUALITY_RESULTS

FOLDER = "derived/"
SILVER, GOLD = LAYERS = ("silver", "gold")
_FRONT_MATTER = re.compile(r"^--\s*(?P<name>[a-z]+):\s*(?P<value>.+?)\s*$")
_REQUIRED = ("description", "layer", "fact", "partition")
_JOIN = re.compile(r"^(?P<dimension>\w+)\s+on\s+(?P<pairs>\w+\s*=\s*\w+(?:\s*,\s*\w+\s*=\s*\w+)*)$")


@dataclass(frozen=True)
class Join:
    """A table whose rows the fact refers to. ``columns`` pairs each column of the fact with the key column that it holds."""

    dimension: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DerivedTable:
    """One derived table. ``partition`` names its year and month columns, which hold the fact's."""

    name: str
    description: str
    layer: str
    fact: str
    joins: tuple[Join, ...]
    partition: tuple[str, str]
    sql: str

    @property
    def definition(self) -> str:
        """A digest of the file. A new digest rebuilds the whole table."""
        return hashlib.sha256(self.sql.encode()).hexdigest()[:16]

    @property
    def target(self) -> str:
        """The table with its layer, as batches name it."""
        return f"{self.layer}/{self.name}"

    @property
    def sources(self) -> tuple[str, ...]:
        """The tables that it reads, the fact first."""
        return tuple(dict.fromkeys((self.fact, *(join.dimension for join in self.joins))))


def parse_derived(path: str, text: str) -> DerivedTable:
    """Parse one file. ``path`` is its name below the contracts, ``derived/<table>.sql``. Raises ``InvalidContract``."""
    name = path.removeprefix(FOLDER).removesuffix(".sql")
    if not name.isidentifier() or name != name.lower():
        raise InvalidContract(path, "file name", f'got "{name}"; a lower-case identifier, the name of the table')
    front, joins = _front_matter(path, text)
    if front["layer"] not in LAYERS:
        raise InvalidContract(path, "layer", f'got "{front["layer"]}"; one of {", ".join(LAYERS)}')
    partition = tuple(part.strip() for part in front["partition"].split(","))
    if len(partition) != 2:
        raise InvalidContract(path, "partition", f'got "{front["partition"]}"; two columns, year and month')
    months = (partition[0], partition[1])
    return DerivedTable(name, front["description"], front["layer"], front["fact"], joins, months, text)


def _front_matter(path: str, text: str) -> tuple[dict[str, str], tuple[Join, ...]]:
    front: dict[str, str] = {}
    joins: list[Join] = []
    for line in text.splitlines():
        match = _FRONT_MATTER.match(line)
        if match is None:
            break
        if match["name"] == "join":
            joins.append(_join(path, match["value"]))
        elif match["name"] in _REQUIRED and match["name"] not in front:
            front[match["name"]] = match["value"]
        else:
            raise InvalidContract(
                path,
                f'"-- {match["name"]}:"',
                f"given twice or unknown; one each of {', '.join(_REQUIRED)}, and a join for each further table",
            )
    missing = [wanted for wanted in _REQUIRED if wanted not in front]
    if missing:
        raise InvalidContract(path, missing[0], f'no "-- {missing[0]}: …" in the comment lines at its top')
    return front, tuple(joins)


def _join(path: str, value: str) -> Join:
    match = _JOIN.match(value)
    if match is None:
        raise InvalidContract(path, "join", f'got "{value}"; <table> on <column of the fact> = <column of the table\'s key>')
    pairs = (pair.split("=") for pair in match["pairs"].split(","))
    return Join(match["dimension"], tuple((column.strip(), key.strip()) for column, key in pairs))


def check_derived(derived: Mapping[str, DerivedTable], contracts: Mapping[str, Contract]) -> None:
    """Check derived tables against the contracts whose tables they read. Raises ``InvalidContract``."""
    silver = {table.name for table in derived.values() if table.layer == SILVER}
    taken = {QUALITY_RESULTS, *contracts, *(own for contract in contracts.values() for own in contract.beside)}
    for table in derived.values():
        path = f"{FOLDER}{table.name}.sql"
        if table.name in taken or OWN in table.name:
            raise InvalidContract(path, "file name", f'"{table.name}" is a table of the lake already; choose another name')
        facts = set(contracts) | (silver if table.layer == GOLD else set())
        if table.fact not in facts:
            raise InvalidContract(path, "fact", f'got "{table.fact}"; for a table of layer {table.layer} one of {_names(facts)}')
        if table.fact in contracts and contracts[table.fact].partition is None:
            raise InvalidContract(
                path, "fact", f'"{table.fact}" has no partition in its contract, so there are no months to build by; give it one'
            )
        for join in table.joins:
            _check_join(path, table, join, contracts)


def _check_join(path: str, table: DerivedTable, join: Join, contracts: Mapping[str, Contract]) -> None:
    subject = f'join "{join.dimension}"'
    if join.dimension not in contracts:
        raise InvalidContract(path, subject, f"no contract describes it; one of {_names(contracts)}")
    key = sorted(column.name for column in contracts[join.dimension].key)
    if sorted(name for _, name in join.columns) != key:
        raise InvalidContract(
            path, subject, f"on {', '.join(name for _, name in join.columns)}; it is joined by its whole key alone: {', '.join(key)}"
        )
    fact = contracts.get(table.fact)
    unknown = [column for column, _ in join.columns if fact is not None and column not in fact.by_name]
    if unknown:
        raise InvalidContract(
            path, subject, f'"{table.fact}" has no column "{unknown[0]}"; one of {", ".join(fact.by_name if fact else ())}'
        )


def _names(tables: Iterable[str]) -> str:
    return ", ".join(sorted(tables)) or "none"
