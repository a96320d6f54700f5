"""The control table: one item per file, and items for fences, privacy decisions, watermarks and open batches.

Every change is one conditional write. The condition is the rule.
"""

from __future__ import annotations

from lake.control.batches import Batches
from lake.control.fences import Fences
from lake.control.file_states import AlreadyTaken, FileStates, LeaseLost, UnknownFile, WrongStatus
from lake.control.inbox import InboxDecisions
from lake.control.items import Items
from lake.control.listing import FileListing
from lake.control.records import ControlRecord, NewFile, Outcome, Page, Refusal
from lake.control.refusals import Refusals
from lake.control.table_items import PrivacyDecisions, Watermarks
from lake.control.target_items import LoadNotes, PendingMonths, TargetStates
from lake.generations import Fence


class ControlTable:
    """The parts of one control table, by its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.items = Items(name)
        self.listing = FileListing(self.items)
        self.files = FileStates(self.items, self.listing)
        self.fences = Fences(self.items, self.listing, self.files)
        self.refusals = Refusals(self.items)
        self.inbox = InboxDecisions(self.items)
        self.decisions = PrivacyDecisions(self.items)
        self.watermarks = Watermarks(self.items)
        self.batches = Batches(self.items)
        self.states = TargetStates(self.items)
        self.loads = LoadNotes(self.items)
        self.months = PendingMonths(self.items)

    def complete(self, file_id: str, token: str, outcome: Outcome) -> ControlRecord:
        """Publish a conversion: running → bronze, with its keys and counts. Raises ``LeaseLost``.

        Fences and refusals are written first, so that none is lost.
        """
        record = self.files.held(file_id, token)
        for fence in outcome.fences:
            self.fences.add(record.table_name, fence)
        if outcome.refusals or record.attempt_count > 1:
            self.refusals.note(record.table_name, outcome.refusals, f"file#{file_id}")
        return self.files.complete(file_id, token, outcome)


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
