"""Parses one contract's YAML by ``lake.contract.properties``. An error names the property, its value and the valid values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import yaml

from lake.contract import names as lake_names
from lake.contract.model import Column, Contract, InvalidContract, MonthPartition, QualityRule, Reference, split_physical_name
from lake.contract.properties import ARGUMENTS, COLUMN, FILE, METRICS, PARTITION, RELATION, RULE, TABLE
from lake.contract.valid import Property, Section, shown
from lake.types import RULES, ColumnType

SHORT_UNITS = {"epoch_millis": "epoch_milliseconds", "epoch_micros": "epoch_microseconds"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Values = dict[str, Any]


def parse_contract(text: str, source: str, strict: bool = False) -> Contract:
    """Parse one contract. ``source`` is the file's name, for messages. ``strict`` refuses a name that has no meaning.

    Published contracts are read without ``strict``: a later release may know more names. Raises ``InvalidContract``.
    """
    return _Reader(source, strict).contract(text)


class _Reader:
    """Parses one YAML text into a ``Contract``. Subjects end with what joins them to a property's name."""

    def __init__(self, source: str, strict: bool) -> None:
        self.source = source
        self.strict = strict

    def wrong(self, subject: str, problem: str) -> InvalidContract:
        return InvalidContract(self.source, subject.rstrip(" .") or "file", problem)

    def values(self, section: Section, given: Any, subject: str) -> Values:
        """The section's properties by name, those that are not given by their defaults. Null means not given."""
        if not isinstance(given, dict):
            needed = ", ".join(p.name for p in section.properties if p.required) or ", ".join(section.plain)
            raise self.wrong(subject, f"got {shown(given)}; a mapping with {needed}")
        if self.strict:
            self.refuse_unknown(section, given, subject)
        custom = self.custom(section, given, subject) if section.customs else {}
        return {p.name: self.value(p, custom if p.custom else given, subject) for p in section.properties}

    def value(self, prop: Property, given: Values, subject: str) -> Any:
        value = given.get(prop.name) if given.get(prop.name) is not None else given.get(prop.alias)
        if value is None and prop.required:
            raise self.wrong(subject + prop.name, f"missing; {prop.valid.words}")
        if value is None:
            return prop.default
        if problem := prop.valid.problem(value):
            raise self.wrong(subject + prop.name, problem)
        return value

    def custom(self, section: Section, given: Values, subject: str) -> Values:
        subject = f"{subject}customProperties"
        found: Values = {}
        entries = [] if given.get("customProperties") is None else given["customProperties"]
        if not isinstance(entries, list):
            raise self.wrong(subject, f"got {shown(entries)}; a list of mappings with property and value")
        for entry in entries:
            name = entry.get("property") if isinstance(entry, dict) else entry
            prop = next((prop for prop in section.properties if prop.custom and prop.name == name), None)
            if prop is None:
                raise self.wrong(subject, f"got {shown(name)}; one of {', '.join(section.customs)}, as {{property: …, value: …}}")
            if entry.get("value") is None and (self.strict or prop.default is not None):
                raise self.wrong(f"{subject} {name}", f"no value, or null; {prop.valid.words}. The text null stands in quotes")
            found[prop.name] = entry.get("value")
        return found

    def refuse_unknown(self, section: Section, given: Values, subject: str) -> None:
        for name in given:
            if name in section.customs:
                raise self.wrong(subject + name, f"stands in customProperties, as {{property: {name}, value: {shown(given[name])}}}")
            if name not in (*section.plain, *section.unread):
                near = get_close_matches(str(name), (*section.plain, *section.customs), n=1)
                known = f"did you mean {near[0]}?" if near else f"one of {', '.join(section.plain)}"
                raise self.wrong(f"{subject}{name}", f"neither the lake nor the standard has such a property; {known}")

    def contract(self, text: str) -> Contract:
        try:
            document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, in C if available
        except yaml.YAMLError as error:
            mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
            place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise self.wrong("file", f"no valid YAML{place}: {' '.join(problem.split())}") from error
        file = self.values(FILE, document, "")
        return self.table(self.values(TABLE, file["schema"][0], "schema."), str(file["version"]))

    def table(self, given: Values, version: str) -> Contract:
        columns = tuple(self.column(entry, number) for number, entry in enumerate(given["properties"], start=1))
        self.distinct(columns)
        by_name = {column.name: column for column in columns}
        if all(column.key is None for column in columns):
            if given["cdc"] or given["history"]:
                rule = "rows are merged by their key. A table without one is exported whole: cdc: false, no history"
                raise self.wrong("schema.properties", f"no column with primaryKey: true; {rule}")
            columns += (Column(lake_names.ROW, ColumnType.parse("bigint"), required=True, key=1),)
        watermark = given["exportWatermark"]
        if watermark is not None and watermark not in by_name:
            raise self.wrong("schema.exportWatermark", f"got {shown(watermark)}; a column of the table: {', '.join(by_name)}")
        source_schema, source_table = split_physical_name(given["physicalName"]) or ("", "")
        return Contract(
            table=given["name"],
            version=version,
            source_schema=source_schema,
            source_table=source_table,
            columns=columns,
            partition=self.partition(given["partition"], by_name) if given["partition"] is not None else None,
            evolution=given["evolution"],
            reject_ratio=float(given["rejectRatio"]),
            cdc=given["cdc"],
            history=given["history"],
            export_watermark=watermark,
            export_lateness=given["exportLateness"],
            description=str(given["description"] or ""),
            quality=tuple(self.rules(given, None, by_name)),
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

    def column(self, entry: Any, number: int) -> Column:
        named = isinstance(entry, dict) and isinstance(entry.get("name"), str)
        subject = f'column "{entry["name"]}" ' if named else f"column {number} "
        given = self.values(COLUMN, entry, subject)
        name, mask, column_type = given["name"], given["mask"], ColumnType.parse(given["physicalType"])
        logical, fitting = given["logicalType"], column_type.rule.logicals
        if logical not in (None, *fitting):
            raise self.wrong(f"{subject}logicalType", f"got {shown(logical)}; {given['physicalType']} is {' or '.join(fitting)}")
        key = given["primaryKeyPosition"] if given["primaryKey"] else None
        reference = self.reference(given["relationships"] or [], f"{subject}relationships.")
        if mask != "hash" and (key is not None or reference):
            raise self.wrong(f"{subject}mask", f"got {shown(mask)}; keys and references may only be hashed, so that they still join")
        if given["classification"] == "personal" and not column_type.is_text:
            texts = ", ".join(rule.name for rule in RULES if rule.free_text)
            raise self.wrong(f"{subject}classification", f"got personal on {column_type.name}; only text can be masked: {texts}")
        unchanged = column_type.unbounded if given["unchanged"] is None else given["unchanged"]
        formers = _names(given["renamedFrom"])
        return Column(
            name=name,
            type=column_type,
            required=given["required"] or key is not None,
            key=key,
            classification=given["classification"],
            mask=mask,
            may_be_unchanged=unchanged and key is None,
            allow_nan=given["allowNaN"],
            former_names=formers,
            former_sources=formers if given["physicalRenamedFrom"] is None else _names(given["physicalRenamedFrom"]),
            physical_name=str(given["physicalName"]) if given["physicalName"] not in (None, name) else None,
            description=str(given["description"] or ""),
            reference=reference,
            quality=tuple(self.rules(given, name, {})),
        )

    def reference(self, relations: list[Any], subject: str) -> Reference | None:
        if self.strict and len(relations) > 1:
            raise self.wrong(subject, f"got {len(relations)}; a column holds the key of one table")
        return Reference(*self.values(RELATION, relations[0], subject)["to"].split(".")) if relations else None

    def partition(self, entry: Any, columns: Mapping[str, Column]) -> MonthPartition:
        given = self.values(PARTITION, entry, "partition.")
        column = columns.get(given["column"])
        if column is None:
            raise self.wrong("partition.column", f"got {shown(given['column'])}; one of {', '.join(columns)}")
        units = column.type.rule.units
        if not units:
            valid = ", ".join(rule.name for rule in RULES if rule.units)
            raise self.wrong("partition.column", f'"{column.name}" is {column.type.name}; one of {valid}')
        if column.may_be_unchanged:
            raise self.wrong("partition.column", f'"{column.name}" may be left out by updates; a row\'s month has to come with each image')
        unit = units[0] if given["unit"] is None else given["unit"]
        if unit not in units:
            raise self.wrong(f"partition.unit for {column.type.name}", f"got {shown(unit)}; one of {', '.join(units)}")
        taken = {name.lower() for name in columns}
        for name in (given["year"], given["month"]):
            if name.lower() in taken:
                raise self.wrong("partition", f'field "{name}" is a column of the table; choose another name')
        if given["year"].lower() == given["month"].lower():
            raise self.wrong("partition", f'year and month are both "{given["year"]}"; two names')
        return MonthPartition(column.name, SHORT_UNITS.get(unit, unit), given["year"], given["month"])

    def rules(self, owner: Values, column: str | None, columns: Mapping[str, Column]) -> Iterator[QualityRule]:
        """The rules of a column, or of the table, whose rules name one of its columns."""
        for number, entry in enumerate(owner["quality"] or (), start=1):
            subject = f'column "{column}" quality {number} ' if column else f"quality {number} "
            given = self.values(RULE, entry, subject)
            arguments = self.values(ARGUMENTS, given["arguments"] or {}, f"{subject}arguments.")
            target = column or arguments["column"]
            if self.strict and column is None and target not in columns:
                raise self.wrong(f"{subject}arguments.column", f"got {shown(target)}; one of {', '.join(columns)}")
            yield self.rule(given, arguments, target or "", number, subject)

    def rule(self, given: Values, arguments: Values, column: str, number: int, subject: str) -> QualityRule:
        metric, to = given["metric"], arguments["to"]
        low, high = given["mustBeBetween"] or (arguments["minimum"], arguments["maximum"])
        if metric == "range" and low is None and high is None:
            raise self.wrong(subject, "a range needs mustBeBetween: [low, high] or arguments with minimum or maximum")
        if metric == "invalidValues" and not arguments["validValues"]:
            raise self.wrong(subject, "invalidValues needs arguments.validValues")
        if metric == "reference" and to is None:
            raise self.wrong(subject, "a reference needs arguments.to, the table.column that holds the keys")
        kind = METRICS[metric]
        return QualityRule(
            name=str(given["name"] or f"{column}_{kind}_{number}"),
            column=column,
            kind=kind,
            severity=given["severity"],
            minimum=low if metric == "range" else None,
            maximum=high if metric == "range" else None,
            values=tuple(arguments["validValues"] or ()),
            reference=Reference(*to.split(".")) if metric == "reference" else None,
        )


def _names(given: str | list[str]) -> tuple[str, ...]:
    return tuple(given) if isinstance(given, list) else (given,)
