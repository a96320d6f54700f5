"""Contracts: one YAML a source table, after the Open Data Contract Standard v3 (https://bitol-io.github.io/open-data-contract-standard/).

Read with PyYAML into frozen dataclasses, because a Lambda pays for every import. ``dm contract check`` also holds the
files against the standard's own model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from lake.cdc import CDC_FIELDS
from lake.errors import TerminalError
from lake.types import ColumnType, UnknownType

EVOLUTIONS = ("evolve", "freeze", "discard_row", "discard_value")
MASKS = ("hash", "partial", "redact", "null")
CLASSIFICATIONS = ("public", "internal", "personal")
SEVERITIES = ("warn", "quarantine", "stop")
DEFAULT_REJECT_RATIO = 0.05
RESERVED = frozenset(
    {*CDC_FIELDS, "_extra", "created_at", "updated_at", "deleted_at", "cdc_generation", "cdc_missing", "cdc_origin", "valid_from", "valid_to", "is_current"}
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class InvalidContract(TerminalError):
    """A contract breaks a rule; the message gives file, property, value and what would be valid."""

    def __init__(self, source: str, subject: str, problem: str) -> None:
        super().__init__(f"{source}: {subject}: {problem}")


class UnknownTable(TerminalError):
    """The record names a table that no contract describes."""

    def __init__(self, table: str, known: Iterable[str]) -> None:
        super().__init__(f'table "{table}" has no contract; known: {", ".join(sorted(known)) or "none"}')


@dataclass(frozen=True)
class Reference:
    """A column that holds another table's key."""

    table: str
    column: str


@dataclass(frozen=True)
class QualityRule:
    """One quality rule of a column: ``kind`` is not_null, unique, range, accepted_values or reference."""

    name: str
    column: str
    kind: str
    severity: str
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[Any, ...] = ()
    reference: Reference | None = None


@dataclass(frozen=True)
class Column:
    """One column of a contract.

    ``key`` is its place in the primary key from 1, or None. ``classification`` is None where detection decides.
    ``may_be_unchanged`` tells that an update may leave it out. ``renamed_from`` is its earlier name.
    """

    name: str
    type: ColumnType
    required: bool = False
    key: int | None = None
    classification: str | None = None
    mask: str = "hash"
    may_be_unchanged: bool = False
    allow_nan: bool = False
    renamed_from: str | None = None
    description: str = ""
    reference: Reference | None = None
    quality: tuple[QualityRule, ...] = ()

    @property
    def may_be_personal(self) -> bool:
        """Whether detection has to decide on this column: free text, no classification, part of no key or reference."""
        return self.type.is_text and self.classification is None and self.key is None and self.reference is None


@dataclass(frozen=True)
class MonthPartition:
    """Rows lie by the UTC year and month of ``column``; its ``unit`` is epoch_seconds, or timestamp (dates too)."""

    column: str
    unit: str
    year_field: str
    month_field: str


@dataclass(frozen=True)
class Contract:
    """What the lake promises of one source table."""

    table: str
    version: str
    source_schema: str
    source_table: str
    columns: tuple[Column, ...]
    partition: MonthPartition | None = None
    evolution: str = "evolve"
    reject_ratio: float = DEFAULT_REJECT_RATIO
    cdc: bool = True
    history: bool = False
    export_watermark: str | None = None
    export_lateness: int = 0
    description: str = ""
    quality: tuple[QualityRule, ...] = ()
    by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    @property
    def key(self) -> tuple[Column, ...]:
        """The columns of the primary key, in its order."""
        return tuple(sorted((c for c in self.columns if c.key is not None), key=lambda c: c.key or 0))

    @property
    def partial_columns(self) -> tuple[Column, ...]:
        """The columns that an update may leave out (unchanged TOAST)."""
        return tuple(c for c in self.columns if c.may_be_unchanged)

    @property
    def detected_columns(self) -> tuple[Column, ...]:
        """The columns on which personal-data detection decides."""
        return tuple(c for c in self.columns if c.may_be_personal)

    @property
    def quality_rules(self) -> tuple[QualityRule, ...]:
        """Every quality rule, the table's and the columns'."""
        return self.quality + tuple(rule for column in self.columns for rule in column.quality)


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
                raise InvalidContract(name, f'physicalName "{".".join(origin)}"', f'already the source of table "{sources[origin]}"')
            tables[contract.table] = contract
            sources[origin] = contract.table
        for name, contract in ((c.table, c) for c in tables.values()):
            for column in contract.columns:
                if column.reference and column.reference.table not in tables:
                    raise InvalidContract(f"{name}.yaml", f'column "{column.name}"', f'refers to table "{column.reference.table}"; known: {", ".join(sorted(tables))}')
        return cls(digest.hexdigest()[:12], tables)

    @classmethod
    def from_directory(cls, folder: Path) -> ContractSet:
        """Read every ``*.yaml`` of a folder. Raises ``InvalidContract``."""
        files = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
        if not files:
            raise InvalidContract(str(folder), "contracts", "no *.yaml file here")
        return cls.of(files)


def parse_contract(text: str, source: str) -> Contract:
    """Read one contract. ``source`` is the file's name, for messages. Raises ``InvalidContract``."""
    return _Reader(source).contract(text)


def month_of(value: int | datetime, unit: str) -> tuple[int, int]:
    """The UTC (year, month) of a partition column's value."""
    moment = datetime.fromtimestamp(int(value), UTC) if unit == "epoch_seconds" else value
    assert isinstance(moment, datetime)
    return moment.year, moment.month


class _Reader:
    """Turns one YAML text into a ``Contract`` and names what is wrong where something is."""

    def __init__(self, source: str) -> None:
        self.source = source

    def wrong(self, subject: str, problem: str) -> InvalidContract:
        return InvalidContract(self.source, subject, problem)

    def choice(self, subject: str, value: Any, valid: Iterable[str]) -> str:
        if value not in valid:
            raise self.wrong(subject, f'got "{value}"; one of {", ".join(valid)}')
        return str(value)

    def contract(self, text: str) -> Contract:
        try:
            document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, the C one where it is built
        except yaml.YAMLError as error:
            raise self.wrong("file", f"no valid YAML: {' '.join(str(error).split())}") from error
        if not isinstance(document, dict):
            raise self.wrong("file", "a contract is a mapping with apiVersion, kind, schema")
        self.choice("kind", document.get("kind"), ("DataContract",))
        if not str(document.get("apiVersion", "")).startswith("v3."):
            raise self.wrong("apiVersion", f'got "{document.get("apiVersion")}"; one that begins with v3.')
        schemas = document.get("schema")
        if not isinstance(schemas, list) or len(schemas) != 1 or not isinstance(schemas[0], dict):
            raise self.wrong("schema", "exactly one table a file")
        return self.table(schemas[0], str(document.get("version", "")))

    def table(self, schema: dict[str, Any], version: str) -> Contract:
        name = str(schema.get("name") or "")
        if not name.isidentifier() or name != name.lower():
            raise self.wrong("schema.name", f'got "{name}"; a lower-case identifier')
        physical = str(schema.get("physicalName") or "")
        if physical.count(".") != 1:
            raise self.wrong("schema.physicalName", f'got "{physical}"; schema.table of the source')
        if not version:
            raise self.wrong("version", "missing; e.g. 1.0.0")
        properties = schema.get("properties")
        if not isinstance(properties, list) or not properties:
            raise self.wrong("schema.properties", "at least one column")
        columns = tuple(self.column(p) for p in properties)
        names = [c.name for c in columns]
        for column in columns:
            if names.count(column.name) > 1:
                raise self.wrong(f'column "{column.name}"', "named twice")
        custom = self.custom(
            schema, "schema", ("partition", "evolution", "rejectRatio", "cdc", "history", "exportWatermark", "exportLateness")
        )
        if not any(c.key for c in columns):
            raise self.wrong("schema.properties", "no column with primaryKey: true; rows are merged by their key")
        watermark = custom.get("exportWatermark")
        if watermark is not None and watermark not in names:
            raise self.wrong("exportWatermark", f'got "{watermark}"; a column of the table')
        ratio = custom.get("rejectRatio", DEFAULT_REJECT_RATIO)
        if not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
            raise self.wrong("rejectRatio", f'got "{ratio}"; a number from 0 to 1')
        source_schema, source_table = physical.split(".")
        return Contract(
            table=name,
            version=version,
            source_schema=source_schema,
            source_table=source_table,
            columns=columns,
            partition=self.partition(custom.get("partition"), {c.name: c for c in columns}),
            evolution=self.choice("evolution", custom.get("evolution", "evolve"), EVOLUTIONS),
            reject_ratio=float(ratio),
            cdc=self.flag("cdc", custom.get("cdc", True)),
            history=self.flag("history", custom.get("history", False)),
            export_watermark=watermark,
            export_lateness=self.whole("exportLateness", custom.get("exportLateness", 0)),
            description=str(schema.get("description") or ""),
            quality=self.rules(schema, None),
        )

    def column(self, prop: Any) -> Column:
        if not isinstance(prop, dict) or not prop.get("name"):
            raise self.wrong("schema.properties", f"got {prop!r}; a mapping with name and physicalType")
        name = str(prop["name"])
        subject = f'column "{name}"'
        if name in RESERVED or name.startswith(("cdc_", "_")):
            raise self.wrong(subject, "a name that the lake keeps for itself; rename it in the contract")
        try:
            column_type = ColumnType.parse(str(prop.get("physicalType") or ""))
        except UnknownType as error:
            raise self.wrong(subject, str(error)) from error
        if prop.get("logicalType") not in (None, column_type.rule.logical, "timestamp" if column_type.rule.logical == "date" else None):
            raise self.wrong(subject, f'logicalType "{prop["logicalType"]}" does not fit physicalType "{prop["physicalType"]}"; it is {column_type.rule.logical}')
        custom = self.custom(prop, subject, ("mask", "unchanged", "allowNaN", "renamedFrom"))
        key = self.whole(subject, prop.get("primaryKeyPosition", 1)) if self.flag(subject, prop.get("primaryKey", False)) else None
        classification = prop.get("classification")
        if classification is not None:
            self.choice(f"{subject} classification", classification, CLASSIFICATIONS)
        mask = self.choice(f"{subject} mask", custom.get("mask", "hash"), MASKS)
        reference = self.reference(prop, subject)
        if mask != "hash" and (key or reference):
            raise self.wrong(subject, f'mask "{mask}"; keys and references may only be hashed')
        if classification == "personal" and not column_type.is_text:
            raise self.wrong(subject, f'classification personal on {column_type.name}; only text columns can be masked')
        return Column(
            name=name,
            type=column_type,
            required=self.flag(f"{subject} required", prop.get("required", False)) or key is not None,
            key=key,
            classification=classification,
            mask=mask,
            may_be_unchanged=key is None and self.flag(f"{subject} unchanged", custom.get("unchanged", column_type.unbounded)),
            allow_nan=self.flag(f"{subject} allowNaN", custom.get("allowNaN", False)),
            renamed_from=custom.get("renamedFrom"),
            description=str(prop.get("description") or ""),
            reference=reference,
            quality=self.rules(prop, name),
        )

    def reference(self, prop: dict[str, Any], subject: str) -> Reference | None:
        for relation in prop.get("relationships") or ():
            target = str(relation.get("to", "")) if isinstance(relation, dict) else ""
            if target.count(".") != 1:
                raise self.wrong(f"{subject} relationships", f'got "{target}"; table.column')
            return Reference(*target.split("."))
        return None

    def partition(self, value: Any, columns: Mapping[str, Column]) -> MonthPartition | None:
        if value is None:
            return None
        if not isinstance(value, dict) or not {"column", "year", "month"} <= value.keys():
            raise self.wrong("partition", f"got {value!r}; a mapping with column, year, month (names of the fields) and unit")
        column = columns.get(value["column"])
        if column is None:
            raise self.wrong("partition.column", f'got "{value["column"]}"; one of {", ".join(columns)}')
        unit = "epoch_seconds" if column.type.name in ("integer", "bigint") else "timestamp"
        if column.type.name not in ("integer", "bigint", "date", "timestamp", "timestamptz"):
            raise self.wrong("partition.column", f'"{column.name}" is {column.type.name}; bigint (epoch seconds), date, timestamp or timestamptz')
        if value.get("unit", unit) != unit:
            raise self.wrong("partition.unit", f'got "{value["unit"]}"; {unit} for {column.type.name}')
        for name in (value["year"], value["month"]):
            if name in columns:
                raise self.wrong("partition", f'field "{name}" is a column of the table; choose another name')
        return MonthPartition(column.name, unit, value["year"], value["month"])

    def rules(self, owner: dict[str, Any], column: str | None) -> tuple[QualityRule, ...]:
        rules = []
        for number, entry in enumerate(owner.get("quality") or (), start=1):
            subject = f'column "{column}" quality {number}' if column else f"quality {number}"
            if not isinstance(entry, dict):
                raise self.wrong(subject, f"got {entry!r}; a mapping")
            rules.append(self.rule(entry, column, subject, number))
        return tuple(rules)

    def rule(self, entry: dict[str, Any], column: str | None, subject: str, number: int) -> QualityRule:
        metric = entry.get("metric") or entry.get("rule")
        kinds = {"nullValues": "not_null", "duplicateValues": "unique", "invalidValues": "accepted_values", "range": "range", "reference": "reference"}
        self.choice(f"{subject} metric", metric, kinds)
        arguments = entry.get("arguments") or {}
        target = column or str(arguments.get("column") or "")
        severity = self.choice(f"{subject} severity", entry.get("severity", "warn"), SEVERITIES)
        bounds = entry.get("mustBeBetween") or (arguments.get("minimum"), arguments.get("maximum"))
        reference = None
        if metric == "reference":
            to = str(arguments.get("to", ""))
            if to.count(".") != 1:
                raise self.wrong(subject, f'arguments.to is "{to}"; table.column')
            reference = Reference(*to.split("."))
        if metric == "range" and bounds == (None, None):
            raise self.wrong(subject, "a range needs mustBeBetween: [low, high] or arguments with minimum or maximum")
        values = tuple(arguments.get("validValues") or ())
        if metric == "invalidValues" and not values:
            raise self.wrong(subject, "invalidValues needs arguments.validValues")
        return QualityRule(
            name=str(entry.get("name") or f"{target}_{kinds[metric]}_{number}"),
            column=target,
            kind=kinds[metric],
            severity=severity,
            minimum=bounds[0] if metric == "range" else None,
            maximum=bounds[1] if metric == "range" else None,
            values=values,
            reference=reference,
        )

    def custom(self, owner: dict[str, Any], subject: str, known: tuple[str, ...]) -> dict[str, Any]:
        found = {}
        for entry in owner.get("customProperties") or ():
            name = entry.get("property") if isinstance(entry, dict) else None
            self.choice(f"{subject} customProperties", name, known)
            found[str(name)] = entry.get("value")
        return found

    def flag(self, subject: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(subject, f'got "{value}"; true or false')
        return value

    def whole(self, subject: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.wrong(subject, f'got "{value}"; a whole number')
        return value
