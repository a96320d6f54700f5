"""Failures of a conversion that belong to no single step."""

from __future__ import annotations

from lake.errors import TerminalError, TransientError


class TooManyRejects(TerminalError):
    """More of the file's records were rejected than its contract allows; nothing of it was published."""

    def __init__(self, rejected: int, read: int, ratio: float, reasons: str) -> None:
        super().__init__(f"{rejected:,} of {read:,} records rejected, above the contract's {ratio:.1%}: {reasons}")


class Interrupted(TransientError):
    """The conversion was asked to stop (SIGTERM) before it was complete; nothing of it was published."""


class SourceChanged(TerminalError):
    """The raw object is not the version that was registered."""


class SourceUnreadable(TransientError):
    """The raw object could not be read to its end."""


class FrozenContract(TerminalError):
    """The file has a column that its table's contract does not know, and the contract is frozen."""

    def __init__(self, table: str, column: str) -> None:
        super().__init__(
            f'table "{table}": column "{column}" is not in the contract, whose evolution is freeze; add the column or choose evolve'
        )
