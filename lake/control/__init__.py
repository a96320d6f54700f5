"""The control table: one item per file, and items for fences, privacy decisions, watermarks and open batches.

Every change is one conditional write. The condition is the rule.
"""

from lake.control.file_states import FileRecords
from lake.control.records import ControlRecord, NewFile, Outcome, Page, Refusal
from lake.control.store import AlreadyTaken, LeaseLost, UnknownFile, WrongStatus
from lake.generations import Fence


class ControlTable(FileRecords):
    """The control table's files, fences, refusals, decisions and watermarks."""


__all__ = [
    "AlreadyTaken",
    "ControlRecord",
    "ControlTable",
    "Fence",
    "LeaseLost",
    "NewFile",
    "Outcome",
    "Page",
    "Refusal",
    "UnknownFile",
    "WrongStatus",
]
