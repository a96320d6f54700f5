"""Parses one contract's YAML. An error names the property, its value and the valid values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from lake.contract import names as lake_names
from lake.contract.model import (
    DEFAULT_REJECT_RATIO,
    Column,
    Contract,
    InvalidContract,
    MonthPartition,
    QualityRule,
    Reference,
    split_physical_name,
)
from lake.types import RULES, ColumnType, UnknownType

EVOLUTIONS = ("evolve", "freeze", "discard_row", "discard_value")
MASKS = ("hash", "partial", "redact", "null")
CLASSIFICATIONS = ("public", "internal", "personal")
SEVERITIES = ("warn", "quarantine", "stop")
METRICS = {
    "nullValues": "not_null",
    "duplicateValues": "unique",
    "invalidValues": "accepted_values",
    "range": "range",
    "reference": "reference",
}
RESERVED = lake_names.COLUMNS
SHORT_UNITS = {"epoch_millis": "epoch_milliseconds", "epoch_micros": "epoch_microseconds"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_contract(text: str, source: str) -> Contract:
    """Parse one contract. ``source`` is the file's name, for messages. Raises ``InvalidContract``."""
    return _Reader(source).contract(text)


class _Reader:
    """Parses one YAML text into a ``Contract``."""

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
            document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, in C if available
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
        if name == lake_names.QUALITY_RESULTS or lake_names.OWN in name:
            raise self.wrong(
                "schema.name", f'got "{name}", a table that the lake keeps itself; choose another, physicalName names the source'
            )
        physical = str(schema.get("physicalName") or "")
        source = split_physical_name(physical)
        if source is None:
            raise self.wrong("schema.physicalName", f"got '{physical}'; schema.table of the source, a part with a dot in double quotes")
        if not version:
            raise self.wrong("version", "missing; e.g. 1.0.0")
        properties = schema.get("properties")
        if not isinstance(properties, list) or not properties:
            raise self.wrong("schema.properties", "at least one column")
        columns = tuple(self.column(p) for p in properties)
        names = [c.name for c in columns]
        self.distinct(columns)
        custom = self.custom(
            schema, "schema", ("partition", "evolution", "rejectRatio", "cdc", "history", "exportWatermark", "exportLateness")
        )
        cdc, history = self.flag("cdc", custom.get("cdc", True)), self.flag("history", custom.get("history", False))
        if not any(c.key for c in columns):
            if cdc or history:
                rule = "rows are merged by their key. A table without one is exported whole: cdc: false, no history"
                raise self.wrong("schema.properties", f"no column with primaryKey: true; {rule}")
            columns += (Column(lake_names.ROW, ColumnType.parse("bigint"), required=True, key=1),)
        watermark = custom.get("exportWatermark")
        if watermark is not None and watermark not in names:
            raise self.wrong("exportWatermark", f'got "{watermark}"; a column of the table')
        ratio = custom.get("rejectRatio", DEFAULT_REJECT_RATIO)
        if not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
            raise self.wrong("rejectRatio", f'got "{ratio}"; a number from 0 to 1')
        return Contract(
            table=name,
            version=version,
            source_schema=source[0],
            source_table=source[1],
            columns=columns,
            partition=self.partition(custom.get("partition"), {c.name: c for c in columns}),
            evolution=self.choice("evolution", custom.get("evolution", "evolve"), EVOLUTIONS),
            reject_ratio=float(ratio),
            cdc=cdc,
            history=history,
            export_watermark=watermark,
            export_lateness=self.whole("exportLateness", custom.get("exportLateness", 0)),
            description=str(schema.get("description") or ""),
            quality=self.rules(schema, None),
        )

    def distinct(self, columns: Iterable[Column]) -> None:
        """Refuse two columns with one name. Engines and catalog ignore case."""
        seen: dict[str, Column] = {}
        for column in columns:
            other = seen.setdefault(column.name.lower(), column)
            if other is not column:
                said = "named twice" if other.name == column.name else f'the same as "{other.name}" but for case'
                sources = f'"{other.source_name}" and "{column.source_name}"'
                raise self.wrong(f'column "{column.name}"', f"{said}, for the source's {sources}; give one another name and physicalName")

    def column(self, prop: Any) -> Column:
        if not isinstance(prop, dict) or (not prop.get("name") and prop.get("name") is not False):
            raise self.wrong("schema.properties", f"got {prop!r}; a mapping with name and physicalType")
        name = prop["name"]
        if not isinstance(name, str):
            raise self.wrong(
                "schema.properties", f"name {name!r} is no text; YAML reads yes, no, on, off and numbers otherwise, so quote it"
            )
        subject = f'column "{name}"'
        if problem := lake_names.column_problem(name):
            raise self.wrong(subject, problem)
        try:
            column_type = ColumnType.parse(str(prop.get("physicalType") or ""))
        except UnknownType as error:
            raise self.wrong(subject, str(error)) from error
        logical = prop.get("logicalType")
        if logical not in (None, *column_type.rule.logicals):
            raise self.wrong(
                subject,
                f'logicalType "{logical}" does not fit physicalType "{prop["physicalType"]}"; it is {column_type.rule.logicals[0]}',
            )
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
            raise self.wrong(subject, f"classification personal on {column_type.name}; only text columns can be masked")
        return Column(
            name=name,
            type=column_type,
            required=self.flag(f"{subject} required", prop.get("required", False)) or key is not None,
            key=key,
            classification=classification,
            mask=mask,
            may_be_unchanged=key is None and self.flag(f"{subject} unchanged", custom.get("unchanged", column_type.unbounded)),
            allow_nan=self.flag(f"{subject} allowNaN", custom.get("allowNaN", False)),
            former_names=self.former_names(subject, custom.get("renamedFrom", [])),
            physical_name=str(prop["physicalName"]) if prop.get("physicalName") not in (None, name) else None,
            description=str(prop.get("description") or ""),
            reference=reference,
            quality=self.rules(prop, name),
        )

    def former_names(self, subject: str, value: Any) -> tuple[str, ...]:
        listed = value if isinstance(value, list) else [value]
        if not all(isinstance(name, str) and name for name in listed):
            raise self.wrong(f"{subject} renamedFrom", f"got {value!r}; its former name in the lake, or a list of them, the newest first")
        return tuple(listed)

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
        units = column.type.rule.units
        if not units:
            valid = ", ".join(rule.name for rule in RULES if rule.units)
            raise self.wrong("partition.column", f'"{column.name}" is {column.type.name}; one of {valid}')
        if column.may_be_unchanged:
            raise self.wrong("partition.column", f'"{column.name}" may be left out by updates; a row\'s month has to come with each image')
        unit = self.choice(f"partition.unit for {column.type.name}", value.get("unit", units[0]), units)
        for name in (value["year"], value["month"]):
            if str(name).lower() in {column.lower() for column in columns}:
                raise self.wrong("partition", f'field "{name}" is a column of the table; choose another name')
            if not str(name).isidentifier() or lake_names.column_problem(str(name)):
                raise self.wrong("partition", f'field "{name}"; a word such as review_year that the lake does not keep for itself')
        if str(value["year"]).lower() == str(value["month"]).lower():
            raise self.wrong("partition", f'year and month are both "{value["year"]}"; two names')
        return MonthPartition(column.name, SHORT_UNITS.get(unit, unit), value["year"], value["month"])

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
        kind = METRICS[self.choice(f"{subject} metric", metric, METRICS)]
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
            name=str(entry.get("name") or f"{target}_{kind}_{number}"),
            column=target,
            kind=kind,
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
