"""Rows with a column in ``cdc_missing``, so that their export restores the missing values."""

from __future__ import annotations

from datamaster.platform.query import Athena
from lake.contract import Contract
from lake.control import ControlTable
from lake.privacy import masks_of

LONGEST_LIST = 10_000
READ_AS_WRITTEN = ("int", "long", "date", "string")
"""Iceberg types whose text in Athena is what PostgreSQL reads."""


def missing_keys(athena: Athena, contract: Contract, control: ControlTable) -> list[tuple[str, ...]] | None:
    """The keys of these rows as texts, or [] if there are none. None if the lake's keys differ from the source's, or are too many.

    Raises ``QueryFailed``, ``AthenaUnreachable``.
    """
    names = ", ".join(f'"{column.name}"' for column in contract.key)
    rows = athena.run(f'SELECT {names} FROM "{contract.table}" WHERE cdc_missing IS NOT NULL', LONGEST_LIST)
    decisions = {column.name: control.decisions.get(contract.table, column.name) for column in contract.detected_columns}
    masked = masks_of(contract, {name: str(decision["decision"]) for name, decision in decisions.items() if decision})
    usable = all(column.name not in masked and column.type.iceberg in READ_AS_WRITTEN for column in contract.key)
    if rows.rows and (rows.more or not usable):
        return None
    return [tuple(str(value) for value in row) for row in rows.rows]
