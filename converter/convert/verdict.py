"""The limits of loss at which a file fails."""

from __future__ import annotations

from convert.conversion_errors import FrozenContract, NothingAccepted, NotJsonLines, SwallowedRows, TooManyRejects, TooMuchLost
from convert.parse import Reason
from convert.tally import Tally
from lake.contract import Contract
from lake.control.records import CSV

CDC_REJECTS_TO_FAIL = 1_000
"""With fewer rejects, a file of changes is published regardless of their share, if at least half of its lines are objects."""


def judge(tally: Tally, contract: Contract, file_format: str) -> None:
    """Raise ``TooMuchLost`` if the file did. A file of a header or of fences alone has lost nothing."""
    error = _too_much(tally, contract, file_format)
    if error is not None:
        error.reject_reasons = tally.commonest_reasons()
        raise error


def _too_much(tally: Tally, contract: Contract, file_format: str) -> TooMuchLost | None:
    """The reason why the file fails.

    - ``NothingAccepted``: every record was rejected, apart from fences.
    - ``FrozenContract``: the contract is frozen and does not know a column.
    - ``NotJsonLines``: more than half of the lines of a JSON file are no objects.
    - ``TooManyRejects``: the share of rejected records, or of their lines, is above the contract's. A stray quote turns many
      lines into one record. A file of changes also needs a thousand rejects.
    - ``SwallowedRows``: the lines exceed the share if those within accepted texts count too.
    """
    if contract.evolution == "freeze":
        unknown = next((column for reason, column in tally.reasons if reason == Reason.UNKNOWN_COLUMN), None)
        if unknown is not None:
            return FrozenContract(contract.table, unknown)
    reasons = "; ".join(tally.worst())
    if tally.rejected and tally.written == tally.fenced:
        return NothingAccepted(tally.rejected, reasons)
    if 2 * tally.no_objects > tally.read:
        return NotJsonLines(tally.no_objects, tally.read, reasons)
    if file_format != CSV and tally.rejected < CDC_REJECTS_TO_FAIL:
        return None
    ratio = contract.reject_ratio
    if tally.rejected > tally.read * ratio:
        return TooManyRejects(f"{tally.rejected:,} of {tally.read:,} records", ratio, reasons)
    if tally.lost_lines > tally.lines * ratio:
        return TooManyRejects(f"{tally.lost_lines:,} of {tally.lines:,} lines", ratio, reasons)
    if tally.swallowed and tally.lost_lines + tally.swallowed > tally.lines * ratio:
        return SwallowedRows(tally.swallowed, tally.lines, tally.first_swallowing)
    return None
