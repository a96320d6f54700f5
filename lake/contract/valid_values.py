"""The values that properties of a contract have in common: names, types, flags, choices."""

from __future__ import annotations

from collections.abc import Collection

from lake.contract import names
from lake.contract.model import PHYSICAL_NAME
from lake.contract.valid import Section, Valid, any_case, shown
from lake.types import RULE_BY_SPELLING, RULES, ColumnType, UnknownType


def one_of(values: Collection[str]) -> Valid:
    """One of these texts."""
    return Valid(f"one of {', '.join(values)}", {"type": "string", "enum": list(values)})


def choice(**meanings: str) -> Valid:
    """One of these texts, each with its meaning."""
    return Valid(f"one of {', '.join(meanings)}", {"type": "string", "enum": list(meanings)}, meanings=meanings)


def list_of(section: Section, words: str, **bounds: int) -> Valid:
    """A list of the section's mappings."""
    return Valid(words, {"type": "array", **bounds}, hint={"items": _definition(section)})


def mapping_of(section: Section) -> Valid:
    """One mapping of the section."""
    names = ", ".join(prop.name for prop in section.properties)
    return Valid(f"a mapping of {names}", {"type": "object"}, hint=_definition(section))


def _definition(section: Section) -> dict[str, str]:
    return {"$ref": f"#/definitions/{section.name}"}


def _table_problem(name: str) -> str | None:
    if not name.isidentifier() or name != name.lower():
        return f"got {shown(name)}; a lower-case identifier, e.g. order_lines; physicalName names the source"
    if name == names.QUALITY_RESULTS or names.OWN in name:
        return f"got {shown(name)}, a table that the lake keeps itself; choose another, physicalName names the source"
    return None


def _type_problem(spelling: str) -> str | None:
    try:
        ColumnType.parse(spelling)
    except UnknownType as error:
        return str(error)
    return None


def _month_problem(name: str) -> str | None:
    if name.isidentifier() and names.column_problem(name) is None:
        return None
    return f"got {shown(name)}; a word such as review_year that the lake does not keep for itself"


def bounds_problem(bounds: list[float]) -> str | None:
    """The problem of a lower and an upper bound."""
    return f"got {shown(bounds)}; the lower bound first" if bounds[0] > bounds[1] else None


_KEPT = "|".join([any_case(names.COLUMN_PREFIX), "_", *(f"{any_case(n)}$" for n in sorted(names.COLUMNS) if n[0] != "_")])
_NO_LETTERS = r"\s!-/:-@\[-^`{-~"
"""The characters that no word of any script holds, as a pattern's class: JavaScript's own class of letters is English."""
_SPELLINGS = "|".join(any_case(spelling) for spelling in RULE_BY_SPELLING)
_BRACKETS = r"(\s*\(\s*\d+\s*(,\s*\d+\s*)?\))?"
LOGICALS = tuple(dict.fromkeys(word for rule in RULES for word in rule.logicals))
UNITS = list(dict.fromkeys(unit for rule in RULES for unit in rule.units))

TEXT = Valid("a text", {"type": ["string", "number", "boolean"]})
FLAG = Valid("true or false", {"type": "boolean"})
NUMBER = Valid("a number", {"type": "number"})
WHOLE = Valid("a whole number, 0 or more", {"type": "integer", "minimum": 0})
NAME = Valid("a name of the lake", {"type": "string", "pattern": "."})
TARGET = Valid("table.column, e.g. brewery.brewery_id", {"type": "string", "pattern": r"^[^.]+\.[^.]+$"})
MONTH_FIELD = Valid("a word such as review_year", {"type": "string"}, _month_problem, {"pattern": rf"^(?!{_KEPT}|\d)[^{_NO_LETTERS}]+$"})
TABLE_NAME = Valid(
    "a lower-case identifier, e.g. order_lines", {"type": "string"}, _table_problem, {"pattern": rf"^(?!\d)[^A-Z{_NO_LETTERS}]+$"}
)
SOURCE = Valid("schema.table of the source, a part with a dot in double quotes", {"type": "string", "pattern": PHYSICAL_NAME.pattern})
COLUMN_NAME = Valid(
    "a name; YAML reads yes, no, on, off and numbers as no text, so quote it",
    {"type": "string"},
    names.column_problem,
    {"pattern": rf"^(?!{_KEPT})[^{names.BREAKS_SQL}]+$"},
)
TYPE = Valid(
    f"{', '.join(rule.name for rule in RULES)}, or one of them with []",
    {"type": "string"},
    _type_problem,
    {"pattern": rf"^\s*({_SPELLINGS}){_BRACKETS}( {any_case('with')}({any_case('out')})? {any_case('time zone')})?(\[\])*\s*$"},
)
FORMER = Valid(
    "its former name, or a list of them, the newest first",
    {"type": ["string", "array"], "pattern": ".", "items": {"type": "string", "pattern": "."}},
)
