"""Errors of a conversion that belong to no single step."""

from __future__ import annotations

from collections.abc import Mapping

from lake.errors import TerminalError, TransientError

_CLOSE = "close it at the end of the field, or double a quote that is part of the text"


class TooMuchLost(TerminalError):
    """The file lost more than it may. ``reject_reasons`` counts its rejects by kind. None of it was published."""

    reject_reasons: Mapping[str, int] = {}


class TooManyRejects(TooMuchLost):
    """More of the file was rejected than its contract allows."""

    def __init__(self, lost: str, ratio: float, reasons: str) -> None:
        super().__init__(f"{lost} rejected, above the {ratio:.1%} that the contract's rejectRatio allows: {reasons}")


class SwallowedRows(TooMuchLost):
    """A stray quote opens a text in a CSV file, and a later quote closes it, with rows in between."""

    def __init__(self, swallowed: int, lines: int, line: int) -> None:
        super().__init__(
            f"{swallowed:,} of {lines:,} lines are rows by themselves and lie within a quoted text: "
            f"a stray quote opens in the record at line {line:,}; {_CLOSE}"
        )


class NothingAccepted(TooMuchLost):
    """The file holds records, but none of them is a row."""

    def __init__(self, rejected: int, reasons: str) -> None:
        subject = "the only record was" if rejected == 1 else f"all {rejected:,} records were"
        super().__init__(f"{subject} rejected: {reasons}")


class NotJsonLines(TooMuchLost):
    """Most lines of the file are not JSON objects."""

    def __init__(self, broken: int, read: int, reasons: str) -> None:
        super().__init__(f"{broken:,} of {read:,} lines are no JSON object, so the file is not JSON lines: {reasons}")


class OpenQuote(TerminalError):
    """A quote opens in a CSV file and nothing closes it, so the rest of the file is one field without an end."""

    def __init__(self, line: int, offset: int, lines: int) -> None:
        behind = f"; the {lines:,} lines behind it would be lost" if lines else ""
        super().__init__(f"in the record at line {line:,} (byte {offset:,}) a quote opens a field and nothing closes it{behind}; {_CLOSE}")


class Interrupted(TransientError):
    """The conversion was stopped (SIGTERM) before it was complete. None of it was published."""


class SourceChanged(TerminalError):
    """The raw object is not the version that was registered."""


class SourceUnreadable(TransientError):
    """The raw object could not be read to its end."""


class FrozenContract(TooMuchLost):
    """The file has a column that its table's contract does not know, and the contract is frozen."""

    def __init__(self, table: str, column: str) -> None:
        super().__init__(
            f'table "{table}": column "{column}" is not in the contract, whose evolution is freeze; '
            "add the column or choose evolve, then dm contract publish and dm files retry"
        )
