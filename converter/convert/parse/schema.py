"""The schema of a raw file's rows: a contract's columns, the change record's fields, and ``_extra``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import pyarrow as pa

from lake.cdc import CDC_TYPES, OPERATION, OPERATIONS, POSITION, UNCHANGED
from lake.contract import Contract
from lake.types import FORMS, RULE_BY_SPELLING, ColumnType

EXTRA = "_extra"
NAME_LIMIT = 128
"""The maximum length of an unknown column's name in a reject, in characters."""
MAX_DEPTH = 64
"""The maximum levels of nesting in a line, including its own object."""

_STAMP = pa.timestamp("us", "UTC")  # no alias of Arrow names a zone
_SPECIAL_ARROW = {"operation": pa.string(), "position": pa.string(), "names": pa.list_(pa.string())}
_SPECIAL = {OPERATION: "operation", POSITION: "position", UNCHANGED: "names"}
_SPECIAL_RULES = {
    "operation": f"one of {', '.join(OPERATIONS)}",
    "position": "16 lower-case hexadecimal digits, -, 10 digits, -, 1 digit",
    "names": "an array of strings",
}


@dataclass(frozen=True)
class RowField:
    """One column of the row.

    ``kind`` names the reading rule. ``precision`` and ``scale`` are digits of a decimal, 0 for other kinds.
    """

    name: str
    kind: str
    spelling: str
    required: bool = False
    key: bool = False
    allow_nan: bool = False
    precision: int = 0
    scale: int = 0

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type of the column."""
        if self.precision:
            return pa.decimal128(self.precision, self.scale)
        if self.kind in _SPECIAL_ARROW:
            return _SPECIAL_ARROW[self.kind]
        name = FORMS[self.kind].arrow
        return _STAMP if name == str(_STAMP) else pa.type_for_alias(name)

    @property
    def title(self) -> str:
        """The type with its numbers, e.g. ``numeric(12,2)``."""
        return f"{self.spelling}({self.precision},{self.scale})" if self.precision else self.spelling

    def rule(self, in_csv: bool) -> str:
        """The valid form of a value in a JSON line or a CSV field."""
        if self.kind in _SPECIAL_RULES:
            return _SPECIAL_RULES[self.kind]
        rule = RULE_BY_SPELLING[self.spelling]
        text = rule.form.csv if in_csv else rule.json or rule.form.json
        return text.format(p=self.precision, s=self.scale)


@dataclass(frozen=True)
class RowSchema:
    """Names and types of the row, in the order of the Parquet file.

    ``evolution`` decides about a value whose column the contract does not know: ``evolve`` keeps it in
    ``_extra``, ``discard_value`` drops it, ``freeze`` and ``discard_row`` reject its row.
    """

    table: str
    fields: tuple[RowField, ...]
    evolution: str

    @classmethod
    def of(cls, contract: Contract) -> RowSchema:
        """The row of a contract's table."""
        columns = [_field(c.name, c.type, required=c.required, key=c.key is not None, allow_nan=c.allow_nan) for c in contract.columns]
        changes = [
            RowField(name, _SPECIAL[name], spelling) if name in _SPECIAL else _field(name, ColumnType.parse(spelling))
            for name, spelling in CDC_TYPES.items()
        ]
        return cls(contract.table, (*columns, *changes), contract.evolution)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of every batch: the fields, then ``_extra`` (text of a JSON object, or null)."""
        return pa.schema([*(pa.field(f.name, f.arrow_type) for f in self.fields), pa.field(EXTRA, pa.string())])

    @cached_property
    def index(self) -> MappingProxyType[str, int]:
        """Place of each field by name."""
        return MappingProxyType({f.name: i for i, f in enumerate(self.fields)})

    @cached_property
    def required(self) -> tuple[int, ...]:
        """Places of the fields that a load, an insert and an update must carry."""
        return tuple(i for i, f in enumerate(self.fields) if f.required)

    @cached_property
    def keys(self) -> tuple[int, ...]:
        """Places of the fields that a delete must carry."""
        return tuple(i for i, f in enumerate(self.fields) if f.key)


def _field(name: str, column_type: ColumnType, *, required: bool = False, key: bool = False, allow_nan: bool = False) -> RowField:
    return RowField(
        name=name,
        kind=column_type.form.name,
        spelling=column_type.name,
        required=required,
        key=key,
        allow_nan=allow_nan,
        precision=column_type.precision or 0,
        scale=column_type.scale or 0,
    )
