"""A contract's parts as frozen values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lake.contract import names
from lake.errors import TerminalError
from lake.types import ColumnType

DEFAULT_REJECT_RATIO = 0.05


class InvalidContract(TerminalError):
    """A contract breaks a rule. The message gives file, property, value and the valid values."""

    def __init__(self, source: str, subject: str, problem: str) -> None:
        super().__init__(f"{source}: {subject}: {problem}")


class UnknownTable(TerminalError):
    """The record names a table that no contract describes."""

    def __init__(self, table: str, known: Iterable[str]) -> None:
        super().__init__(f'table "{table}" has no contract; known: {", ".join(sorted(known)) or "none"}')


PART = r'("(?:[^"]|"")+"|[^".]+)'
PHYSICAL_NAME = re.compile(rf"^{PART}\.{PART}$")


def joined_name(schema: str, table: str) -> str:
    """``schema.table`` as a contract's physicalName. A part with a dot or a quote stands in quotes, as in SQL."""
    return ".".join('"' + part.replace('"', '""') + '"' if set(part) & {".", '"'} else part for part in (schema, table))


def split_physical_name(text: str) -> tuple[str, str] | None:
    """Schema and table of a physicalName. None if the text is no physicalName."""
    found = PHYSICAL_NAME.match(text)
    if found is None:
        return None
    schema, table = (part[1:-1].replace('""', '"') if part.startswith('"') else part for part in found.groups())
    return schema, table


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

    ``key`` is its place in the primary key from 1, or None. If ``classification`` is None, detection decides.
    If ``may_be_unchanged`` is True, an update may leave the column out. ``former_names`` are its earlier names in the lake,
    ``former_sources`` those in the source, the newest first. ``physical_name`` is its name in the source if that name differs.
    """

    name: str
    type: ColumnType
    required: bool = False
    key: int | None = None
    classification: str | None = None
    mask: str = "hash"
    may_be_unchanged: bool = False
    allow_nan: bool = False
    former_names: tuple[str, ...] = ()
    former_sources: tuple[str, ...] = ()
    physical_name: str | None = None
    description: str = ""
    reference: Reference | None = None
    quality: tuple[QualityRule, ...] = ()

    @property
    def id(self) -> str:
        """The column's first name in the lake, which all its later names lead back to."""
        return self.former_names[-1] if self.former_names else self.name

    @property
    def source_name(self) -> str:
        """The column's name in the source."""
        return self.physical_name or self.name

    @property
    def may_be_personal(self) -> bool:
        """Whether detection has to decide on this column: free text, no classification, part of no key or reference."""
        return self.type.is_text and self.classification is None and self.key is None and self.reference is None


@dataclass(frozen=True)
class MonthPartition:
    """Rows lie by the UTC year and month of ``column``, in one of the units of its type."""

    column: str
    unit: str
    year_field: str
    month_field: str

    @property
    def fields(self) -> tuple[str, str]:
        """The names of the year and the month column."""
        return self.year_field, self.month_field


@dataclass(frozen=True)
class Contract:
    """The contract of one source table. ``set_version`` is that of its ``ContractSet``, empty for a contract by itself."""

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
    set_version: str = field(default="", compare=False)
    by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    @property
    def key(self) -> tuple[Column, ...]:
        """The columns of the primary key, in its order."""
        return tuple(sorted((c for c in self.columns if c.key is not None), key=lambda c: c.key or 0))

    @property
    def is_keyless(self) -> bool:
        """Whether the source tells its rows apart by nothing: each export numbers them anew."""
        return names.ROW in self.by_name

    @property
    def beside(self) -> tuple[str, ...]:
        """The permanent tables that the jobs keep beside this one."""
        kept = ((names.HISTORY, self.history), (names.CHANGES, self.history), (names.KEYS, self.partition is not None))
        return tuple(self.table + suffix for suffix, is_kept in kept if is_kept)

    @property
    def partial_columns(self) -> tuple[Column, ...]:
        """The columns that an update may leave out (unchanged TOAST)."""
        return tuple(c for c in self.columns if c.may_be_unchanged)

    @property
    def detected_columns(self) -> tuple[Column, ...]:
        """The columns on which personal-data detection decides."""
        return tuple(c for c in self.columns if c.may_be_personal)

    def formers(self, column: Column) -> tuple[str, ...]:
        """The former names under which older files and tables of the lake may still hold a column."""
        return tuple(name for name in column.former_names if name not in self.by_name)

    def former_sources(self, column: Column) -> tuple[str, ...]:
        """The former names under which messages from before a change of the source may still hold a column."""
        taken = {other.source_name for other in self.columns}
        return tuple(name for name in column.former_sources if name not in taken)

    def named_as(self, other: Contract) -> Contract:
        """This contract with another version's column names, to read lines that were written under that version.

        A column that the other version lacks stays if it has its source's name, under which lines hold unknown columns.
        """
        theirs = {column.id: column for column in other.columns}
        kept = [column for column in self.columns if column.id in theirs or column.name == column.source_name]
        former = [theirs.get(column.id, column) for column in kept]
        names = {column.name: then.name for column, then in zip(kept, former, strict=True)}
        months = self.partition
        return replace(
            self,
            columns=tuple(
                replace(column, name=then.name, former_names=then.former_names) for column, then in zip(kept, former, strict=True)
            ),
            partition=replace(months, column=names[months.column]) if months and months.column in names else None,
        )

    @property
    def quality_rules(self) -> tuple[QualityRule, ...]:
        """The quality rules of the table and of its columns."""
        return self.quality + tuple(rule for column in self.columns for rule in column.quality)
