"""Each value ends under the column that it belongs to, or the change of the contract is refused.

A source's columns are renamed, swapped, added, dropped and added again under former names. Contracts follow before, with or
after the source. Rows are written under the contract that the router has, converted under a later one and read by a job under
the last. Every value is distinct, so that none can pass for another.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import orjson
import pyarrow.parquet as pq
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.io import load_file_io
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import update_table_metadata

from convert.engine import ConversionPlan, convert
from ingest.dms_messages import NotUnderstood
from ingest.routing import Router
from jobs.iceberg import tables
from jobs.silver import bronze
from lake.contract import Column, Contract, ContractSet, InvalidContract
from lake.contract.renames import KnownNames, known_names, refuse_ambiguous_renames
from lake.control.records import JSON_LINES

NAMES = ("a", "b", "c")
LOAD = {
    "timestamp": "2024-07-29T00:58:17Z",
    "record-type": "data",
    "operation": "load",
    "schema-name": "shop",
    "table-name": "thing",
}


@dataclass(frozen=True)
class Declared:
    """A column of a contract. ``origin`` is the number of the source's column that its author means."""

    name: str
    source: str
    origin: int
    formers: tuple[str, ...] = ()
    former_sources: tuple[str, ...] = ()
    type: str = "integer"

    @property
    def property(self) -> dict[str, Any]:
        custom = [{"property": "renamedFrom", "value": list(self.formers)}] if self.formers else []
        if self.former_sources:
            custom.append({"property": "physicalRenamedFrom", "value": list(self.former_sources)})
        return {"name": self.name, "physicalName": self.source, "physicalType": self.type, "customProperties": custom}


def contracts_of(columns: tuple[Declared, ...]) -> ContractSet:
    key = {"name": "id", "physicalType": "bigint", "primaryKey": True}
    table = {"name": "thing", "physicalName": "shop.thing", "properties": [key, *(column.property for column in columns)]}
    document = {"apiVersion": "v3.0.2", "kind": "DataContract", "version": "1.0.0", "schema": [table]}
    return ContractSet.of({"thing.yaml": yaml.safe_dump(document)})


class InMemory(NoopCatalog):
    """A catalog of one table, whose metadata nothing but the table holds."""

    def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:
        return CommitTableResponse.model_validate({"metadata": update_table_metadata(table.metadata, updates), "metadata-location": ""})


def silver_table(contract: Contract) -> Table:
    schema = tables.iceberg_schema(tables.silver_fields(contract))
    metadata = new_table_metadata(schema, UNPARTITIONED_PARTITION_SPEC, UNSORTED_SORT_ORDER, "memory")
    return Table(("dm_silver", "thing"), metadata, "", load_file_io(), InMemory("memory"))


class Memory(dict[str, io.BytesIO]):
    """A sink that keeps the bytes of its objects."""

    def open(self, name: str) -> io.BytesIO:
        self[name] = Kept()
        return self[name]


class Kept(io.BytesIO):
    def close(self) -> None: ...


@dataclass
class Row:
    """A row of the source: the value of each of its columns by number, and its raw line.

    ``known`` are the contract's columns, by id, that it or the one before had under the source's names. ``is_true`` is False if the
    source had given a name of the contract to another column before the contract followed, or the contract took a name of the source
    that was still another column's. Only a load cures such a row.
    """

    values: Mapping[int, int]
    known: set[str]
    line: bytes
    is_true: bool


@dataclass
class World:
    """The source, the contracts so far, and the files that wait for a job."""

    source: dict[str, int] = field(default_factory=dict)
    declared: tuple[Declared, ...] = ()
    versions: list[ContractSet] = field(default_factory=list)
    known: dict[str, KnownNames] = field(default_factory=dict)
    meant: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    rows: dict[int, Row] = field(default_factory=dict)
    raw: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    files: list[tuple[list[int], pq.ParquetFile]] = field(default_factory=list)
    silver: Table | None = None
    fields: dict[str, int] = field(default_factory=dict)
    astray: bool = False
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def contract(self) -> Contract:
        return self.versions[-1].tables["thing"]

    def publish(self, declared: tuple[Declared, ...], reloaded: bool = False) -> bool:
        """Put the columns in force if the checks allow it."""
        try:
            contracts = contracts_of(declared)
            refuse_ambiguous_renames(contracts.tables["thing"])
            known = known_names(self.known, contracts.tables, ("thing",) if reloaded else ())
        except InvalidContract as error:
            event(f"refused: {str(error).split(': ', 2)[-1][:24]}")
            return False
        self.versions.append(contracts)
        self.declared, self.known = declared, known
        for column, of in zip(declared, self.contract.columns[1:], strict=True):
            self.meant[of.id].add(column.origin)
        return True

    def alter(self, source: dict[str, int]) -> None:
        """Change the source, which may give a name of the contract to another column."""
        self.source = source
        self.look()

    def look(self) -> None:
        """Note whether a name of the contract belongs to another column of the source than the contract means."""
        sources = {of.source_name: of.id for of in self.contract.columns}
        self.astray = any(origin not in self.meant[sources[name]] for name, origin in self.source.items() if name in sources)

    def write(self) -> None:
        """A row of the source as it is now, through the router with the contract in force."""
        number = next(self.numbers)
        values = {origin: next(self.numbers) for origin in self.source.values()}
        body = {"id": number, **{name: values[origin] for name, origin in self.source.items()}}
        named = {of.id for contracts in self.versions[-2:] for of in contracts.tables["thing"].columns if self._is_named(of, contracts)}
        known = named & {of.id for of in self.contract.columns}
        try:
            line = Router(self.versions[-1]).route(orjson.dumps({"data": body, "metadata": LOAD})).lines
        except NotUnderstood:
            assert self.astray or any(of.source_name not in self.source for of in self.contract.columns)
            event("a row is refused")
            return
        self.rows[number] = Row(values, known, line, not self.astray)
        self.raw[len(self.versions) - 1].append(number)

    def _is_named(self, of: Column, contracts: ContractSet) -> bool:
        names = (of.source_name, *contracts.tables["thing"].former_sources(of))
        return any(self.source.get(name) in self.meant[of.id] for name in names)

    def merge(self) -> None:
        """The job brings silver's columns to the contract. Each keeps its field, which holds its values."""
        self.silver = self.silver or silver_table(self.contract)
        try:
            tables._evolve(self.silver, tables.silver_fields(self.contract))
        except tables.UnsafeEvolution:
            event("a narrower type is refused")
            return
        for column in self.contract.columns:
            identity = self.silver.schema().find_field(column.name).field_id
            assert self.fields.setdefault(column.id, identity) == identity, f"{column.id} has another field: {self._told()}"
        assert len(set(self.fields.values())) == len(self.fields), f"two columns in one field: {self._told()}"

    def convert(self) -> None:
        """Every raw file under the contract in force. A file holds the lines of one version."""
        now = self.versions[-1]
        for version, numbers in self.raw.items():
            then = self.versions[version]
            contract = now.tables["thing"]
            if then.version != now.version:
                contract = contract.named_as(then.tables["thing"])
            sink = Memory()
            plan = ConversionPlan("f", contract, now.version, JSON_LINES, "f", {}, "part-{}".format, "quarantine", bytes(32))
            convert(plan, Packed(b"".join(self.rows[number].line for number in numbers)), sink, 1, lambda: None)
            for number in numbers:  # a value of a column that the contract has dropped by now goes to _extra
                self.rows[number].known &= {column.id for column in now.tables["thing"].columns}
            self.files += [(numbers, pq.ParquetFile(io.BytesIO(part.getvalue()))) for part in sink.values()]
        self.raw.clear()

    def reload(self) -> None:
        """A load replaces everything that came before its fence."""
        self.rows.clear()
        self.raw.clear()
        self.files.clear()

    def check(self) -> None:
        """What a job reads and writes under the contract in force."""
        self.convert()
        self.merge()
        for numbers, file in self.files:
            names = set(file.schema_arrow.names)
            stored = {column: bronze._stored_name(self.contract, column, names) for column in self.contract.columns}
            for row in file.read().to_pylist():
                assert row["id"] in numbers
                if self.rows[row["id"]].is_true:
                    self._check_row(self.rows[row["id"]], {column.id: row[name] if name else None for column, name in stored.items()})

    def _check_row(self, row: Row, found: Mapping[str, Any]) -> None:
        for identity, value in found.items():
            if identity == "id":
                continue
            own = {row.values[origin] for origin in self.meant[identity] if origin in row.values}
            assert value in own | {None}, f"{value} of another column under {identity}: {self._told()}"
            assert value is not None or identity not in row.known, f"{identity} lost its value: {self._told()}"

    def _told(self) -> str:
        return "\n".join(
            str([(c.name, c.former_names, c.source_name, c.former_sources) for c in contracts.tables["thing"].columns[1:]])
            for contracts in self.versions
        )


class Packed(io.BytesIO):
    """Bytes as a gzip stream."""

    def __init__(self, body: bytes) -> None:
        import gzip

        super().__init__(gzip.compress(body, 1))


def renamed(column: Declared, source: str, in_lake: bool, keeps: bool) -> Declared:
    """The column after a rename in the source. Its author may rename it in the lake too, and may leave the history out."""
    names = {"name": source, "formers": (column.name, *column.formers) if keeps else ()} if in_lake else {}
    sources = (column.source, *column.former_sources) if keeps else ()
    return replace(column, source=source, former_sources=tuple(dict.fromkeys(sources)), **names)


@st.composite
def histories(draw: st.DrawFn) -> World:
    world = World()
    world.source = {name: next(world.numbers) for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True))}
    assert world.publish(tuple(Declared(name, name, origin) for name, origin in world.source.items()))
    world.write()
    for _ in range(draw(st.integers(1, 6))):
        source, wanted = step(draw, world, draw(st.sampled_from(["rename", "rename in the lake", "swap", "add", "drop", "widen"])))
        order = draw(st.sampled_from(["contract first", "contract first", "source first", "behind a load"]))
        if order == "contract first":
            if world.publish(wanted):
                world.look()  # the name may still be that of a column of the source which no contract ever had
                world.write()
                world.alter(source)
        else:
            world.alter(source)
            world.write()
            if world.publish(wanted, reloaded=order == "behind a load"):
                world.look()
                if order == "behind a load":
                    world.reload()
        world.write()
        if draw(st.booleans()):
            world.convert()
        if draw(st.booleans()):
            world.merge()
    return world


def step(draw: st.DrawFn, world: World, kind: str) -> tuple[dict[str, int], tuple[Declared, ...]]:
    """The source after a change, and the contract's columns that its author writes for it."""
    source, columns = dict(world.source), list(world.declared)
    free = [name for name in NAMES if name not in source]
    keeps = draw(st.booleans())
    if kind == "add" and free:
        name = draw(st.sampled_from(free))
        source[name] = next(world.numbers)
        own = draw(st.sampled_from([name, f"{name}_{source[name]}"]))
        columns.append(Declared(own, name, source[name]))
    elif kind == "drop" and len(source) > 1:
        name = draw(st.sampled_from(sorted(source)))
        origin = source.pop(name)
        columns = [column for column in columns if column.origin != origin]
    elif kind == "rename" and free:
        old, new = draw(st.sampled_from(sorted(source))), draw(st.sampled_from(free))
        source = {new if name == old else name: origin for name, origin in source.items()}
        in_lake = draw(st.booleans())
        columns = [renamed(column, new, in_lake, keeps) if column.origin == source[new] else column for column in columns]
    elif kind == "swap" and len(source) > 1:
        one, two = draw(st.lists(st.sampled_from(sorted(source)), min_size=2, max_size=2, unique=True))
        source[one], source[two] = source[two], source[one]
        in_lake = draw(st.booleans())
        by_origin = {origin: name for name, origin in source.items()}
        columns = [
            renamed(column, by_origin[column.origin], in_lake, keeps) if column.origin in (source[one], source[two]) else column
            for column in columns
        ]
    elif kind == "rename in the lake" and columns:
        place = draw(st.integers(0, len(columns) - 1))
        column, new = columns[place], draw(st.sampled_from(NAMES))
        columns[place] = replace(column, name=new, formers=(column.name, *column.formers) if keeps else ())
    elif kind == "widen" and columns:
        place = draw(st.integers(0, len(columns) - 1))
        columns[place] = replace(columns[place], type="bigint")
    return source, tuple(columns)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories())
def test_each_value_ends_under_its_own_column_or_the_change_is_refused(world: World) -> None:
    world.check()
