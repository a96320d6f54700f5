"""The access matrix: roles, layers, tables and actions, read from governance/access.yaml and checked.

It does not list a database's tables. They come from the environment's contracts and derived tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datamaster.project import PROJECT, demo_contracts
from lake.contract import ContractSet
from lake.contract.derived import LAYERS
from lake.errors import TerminalError

MATRIX = PROJECT / "governance" / "access.yaml"
EVERY_TABLE = "*"
ACTIONS = {
    "objects": ("read", "write", "delete", "list", "tag"),
    "tables": ("describe", "select", "alter"),
    "stream": ("read", "write"),
    "items": ("read", "write"),
    "secret": ("read",),
    "work_group": ("query",),
}
"""The actions on each kind of resource in a layer."""
PERSONAL = ("clear", "masked", "none")


class InvalidMatrix(TerminalError):
    """The access matrix names something unknown. The message gives the place, the name and the valid names."""

    def __init__(self, source: str, subject: str, problem: str) -> None:
        super().__init__(f"{source}: {subject}: {problem}")


@dataclass(frozen=True)
class Layer:
    """A part of the platform. ``bucket`` and ``prefix`` are set if it has objects, ``database`` and ``tables`` if it has tables."""

    name: str
    personal: str
    bucket: str | None = None
    prefix: str | None = None
    database: str | None = None
    tables: tuple[str, ...] = ()
    stream: str | None = None
    items: str | None = None
    secret: str | None = None
    work_group: str | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its resources, as named in ``ACTIONS``."""
        found = {
            "objects": self.bucket,
            "tables": self.database,
            "stream": self.stream,
            "items": self.items,
            "secret": self.secret,
            "work_group": self.work_group,
        }
        return tuple(kind for kind, value in found.items() if value)

    @property
    def actions(self) -> tuple[str, ...]:
        """Every action on its resources."""
        return tuple(dict.fromkeys(action for kind in self.kinds for action in ACTIONS[kind]))


@dataclass(frozen=True, order=True)
class Cell:
    """One square of the matrix: an action on a layer, or on one of its tables. ``table`` is None for an action without a table."""

    layer: str
    kind: str
    action: str
    table: str | None = None

    def __str__(self) -> str:
        return f"{self.action} {self.layer}{'.' + self.table if self.table else ''}"


@dataclass(frozen=True)
class CellsFilter:
    """The columns that a role does not see of a table, and the rows that it sees by the values of one column."""

    role: str
    layer: str
    table: str
    hide: tuple[str, ...]
    row_column: str
    row_values: tuple[str, ...]

    @property
    def expression(self) -> str:
        """The remaining rows as a PartiQL predicate for Lake Formation."""
        return f"{self.row_column} IN ({', '.join(repr(value) for value in self.row_values)})"


@dataclass(frozen=True)
class Role:
    """A role of a person or process: its principal's template and logical id, and its allowed squares."""

    name: str
    person: bool
    template: str
    principal: str
    allowed: frozenset[Cell]


@dataclass(frozen=True)
class Matrix:
    """The whole matrix. ``no_data`` names the templates' other roles, each with the reason why the matrix leaves it out."""

    layers: Mapping[str, Layer]
    roles: Mapping[str, Role]
    filters: tuple[CellsFilter, ...]
    personal_columns: Mapping[str, tuple[str, ...]]
    no_data: Mapping[str, str]

    @property
    def people(self) -> tuple[Role, ...]:
        """The roles for people."""
        return tuple(role for role in self.roles.values() if role.person)

    def cells(self) -> Iterator[Cell]:
        """Every square of the matrix."""
        for layer in self.layers.values():
            for kind in layer.kinds:
                for action in ACTIONS[kind]:
                    for table in layer.tables if kind == "tables" else (None,):
                        yield Cell(layer.name, kind, action, table)

    def allows(self, role: str, cell: Cell) -> bool:
        """Whether ``role`` may do the cell's action."""
        return cell in self.roles[role].allowed

    def filter_of(self, role: str, layer: str, table: str) -> CellsFilter | None:
        """The filter of a table for a role, or None if the role sees all of it."""
        return next((f for f in self.filters if (f.role, f.layer, f.table) == (role, layer, table)), None)


def load_matrix(path: Path = MATRIX, contracts: ContractSet | None = None) -> Matrix:
    """Read the matrix over the tables of ``contracts``. The default is the demo's contracts.

    Raises ``InvalidMatrix`` for an unknown layer, table, action, role or kind.
    """
    known = contracts or ContractSet.from_directory(demo_contracts())
    return _MatrixReader(path.name, yaml.safe_load(path.read_text()), tables_of(known)).matrix()


def tables_of(contracts: ContractSet) -> dict[str, tuple[str, ...]]:
    """The tables of each database, from contracts and derived tables."""
    derived = {layer: [table.name for table in contracts.derived.values() if table.layer == layer] for layer in LAYERS}
    return {
        "dm_bronze": tuple(sorted(contracts.tables)),
        "dm_silver": tuple(sorted([*contracts.tables, *derived["silver"]])),
        "dm_gold": tuple(sorted(derived["gold"])),
    }


class _MatrixReader:
    def __init__(self, source: str, document: Any, tables: Mapping[str, tuple[str, ...]]) -> None:
        self.source = source
        self.tables = tables
        self.document = document if isinstance(document, dict) else {}

    def matrix(self) -> Matrix:
        self._known("the matrix", self.document, ("layers", "personal_columns", "people", "cells", "pipeline", "no_data"), "part")
        layers = {name: self._layer(name, entry) for name, entry in self._section("layers").items()}
        roles = {
            name: self._role(name, entry, layers, person)
            for section, person in (("people", True), ("pipeline", False))
            for name, entry in self._section(section).items()
        }
        filters = tuple(self._filter(entry, layers, roles) for entry in self.document.get("cells") or [])
        columns = {table: tuple(names) for table, names in self._section("personal_columns").items()}
        tables = {table for layer in layers.values() for table in layer.tables}
        for table in columns:
            self._one_of(f"personal_columns.{table}", "table", table, tables)
        return Matrix(layers, roles, filters, columns, self._section("no_data"))

    def _layer(self, name: str, entry: dict[str, Any]) -> Layer:
        subject = f"layers.{name}"
        self._known(subject, entry, ("objects", "database", "stream", "items", "secret", "work_group", "personal"), "property")
        self._one_of(subject, "personal", entry.get("personal"), PERSONAL)
        bucket, _, prefix = str(entry.get("objects", "")).partition("/")
        layer = Layer(
            name=name,
            personal=entry["personal"],
            bucket=bucket or None,
            prefix=f"{prefix}/" if prefix else None,
            database=entry.get("database"),
            tables=self.tables.get(entry.get("database", ""), ()),
            **{kind: entry.get(kind) for kind in ("stream", "items", "secret", "work_group")},
        )
        if not layer.kinds:
            raise InvalidMatrix(self.source, subject, f"says not what it is made of; one of {', '.join(ACTIONS)}")
        return layer

    def _role(self, name: str, entry: dict[str, Any], layers: Mapping[str, Layer], person: bool) -> Role:
        section = "people" if person else "pipeline"
        subject = f"{section}.{name}"
        self._known(subject, entry, ("template", "principal", "grants"), "property")
        for word in ("template", "principal"):
            if not entry.get(word):
                raise InvalidMatrix(self.source, subject, f'has no "{word}"')
        allowed: set[Cell] = set()
        for layer_name, grant in (entry.get("grants") or {}).items():
            self._one_of(f"{subject}.grants", "layer", layer_name, layers)
            layer = layers[layer_name]
            by_table = grant if isinstance(grant, dict) else {EVERY_TABLE: grant}
            for table, actions in by_table.items():
                allowed.update(self._cells(f"{subject}.grants.{layer_name}", layer, table, actions))
        return Role(name, person, entry["template"], entry["principal"], frozenset(allowed))

    def _cells(self, subject: str, layer: Layer, table: str, actions: Iterable[str]) -> Iterator[Cell]:
        if table != EVERY_TABLE:
            self._one_of(subject, "table", table, layer.tables)
        for action in actions:
            self._one_of(f"{subject}.{table}", "action", action, layer.actions)
            for kind in layer.kinds:
                if action not in ACTIONS[kind]:
                    continue
                if kind != "tables":
                    yield Cell(layer.name, kind, action)
                    continue
                for name in layer.tables if table == EVERY_TABLE else (table,):
                    yield Cell(layer.name, kind, action, name)

    def _filter(self, entry: dict[str, Any], layers: Mapping[str, Layer], roles: Mapping[str, Role]) -> CellsFilter:
        self._known("cells", entry, ("role", "table", "hide", "rows"), "property")
        layer_name, _, table = str(entry.get("table")).partition(".")
        subject = f"cells of {entry.get('role')} on {entry.get('table')}"
        self._one_of(subject, "role", entry.get("role"), roles)
        self._one_of(subject, "layer", layer_name, [layer.name for layer in layers.values() if layer.tables])
        self._one_of(subject, "table", table, layers[layer_name].tables)
        role = roles[entry["role"]]
        if Cell(layer_name, "tables", "select", table) not in role.allowed:
            raise InvalidMatrix(self.source, subject, f"limits a table that is not granted; grant select on it to {role.name}")
        rows = entry.get("rows") or {}
        if not rows.get("column") or not rows.get("one_of"):
            raise InvalidMatrix(self.source, subject, 'rows need "column" and "one_of"')
        return CellsFilter(role.name, layer_name, table, tuple(entry.get("hide") or ()), rows["column"], tuple(rows["one_of"]))

    def _section(self, name: str) -> dict[str, Any]:
        section = self.document.get(name) or {}
        if not isinstance(section, dict):
            raise InvalidMatrix(self.source, name, f"is a {type(section).__name__}; names with their values expected")
        return section

    def _known(self, subject: str, entry: Mapping[str, Any], valid: Iterable[str], what: str) -> None:
        for name in entry:
            self._one_of(subject, what, name, valid)

    def _one_of(self, subject: str, what: str, value: Any, valid: Iterable[Any]) -> None:
        names = list(valid)
        if value not in names:
            raise InvalidMatrix(self.source, subject, f'unknown {what} "{value}"; one of {", ".join(sorted(map(str, names)))}')
