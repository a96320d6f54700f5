"""Puts refused records back on the stream, or drops them.

A record goes back in the form in which it came. Its position orders it, so it may come late or twice. Only records that the router
accepts under the contracts in force go back. The others stay, each with its reason.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice

from ingest.refused_records import Entry, Group, RefusedRecords, grouped
from ingest.routing import Router
from ingest.source_stream import RECORDS_A_CALL, SourceStream
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.control.inbox import DROPPED, NOTHING_DECIDED, SENT, InboxCounts, Selection
from lake.keys import ERRORS

RECORDS_A_SECOND = 500
"""Half of the records that one shard takes: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html"""
REMEMBERED = timedelta(days=40)
"""The lifetime of a decision. An object of errors/ lives 30 days at most."""


class ErrorsInbox:
    """The refused records, and the decisions on them. Every run takes the objects from the oldest on.

    A decision is kept after its records were put on the stream. A run that was interrupted goes on with the next run, which may put
    the records of one call again. ``by`` names the caller in the record of the decision.
    """

    def __init__(self, bucket: str, control: ControlTable, contracts: ContractStore, stream_arn: str) -> None:
        self.records = RefusedRecords(bucket, control, contracts)
        self._control = control
        self._contracts = contracts
        self._stream_arn = stream_arn
        self._stream = SourceStream()

    def groups(self, selection: Selection) -> list[Group]:
        """The selected records by table and reason."""
        return grouped(entry.row for _, entries in self._selected(selection) for entry in entries)

    def newest_groups(self, selection: Selection) -> list[Group]:
        """The selected records of the newest objects by table and reason."""
        return grouped(self.records.newest(selection))

    def try_out(self, selection: Selection) -> Iterator[InboxCounts]:
        """Judge the selected records, and change nothing. Yields the counts so far."""
        counts = InboxCounts()
        for _, entries in self._selected(selection):
            self._judge(entries, counts)
            yield counts

    def redrive(self, selection: Selection, by: str, records_a_second: int = RECORDS_A_SECOND) -> Iterator[InboxCounts]:
        """Put the selected records that pass back on the stream. Yields the counts so far. Raises ``ReturnRefused``.

        Waits first until the functions have read the contracts in force, since those before would refuse the records again.
        """
        time.sleep(self._contracts.in_force_everywhere_in())
        router, counts = Router(self._contracts.current()), InboxCounts()
        for key, entries in self._selected(selection):
            began = time.monotonic()
            passing = self._judge(entries, counts)
            self._withdraw(router, passing)
            self._stream.put(self._stream_arn, ((hashlib.sha256(entry.raw).hexdigest(), entry.raw) for entry in passing))
            counts.decided += self._decide(key, passing, SENT, by)
            yield counts
            time.sleep(max(0.0, len(passing) / records_a_second - (time.monotonic() - began)))

    def drop(self, selection: Selection, by: str) -> Iterator[InboxCounts]:
        """Take the selected records out of the inbox for good. They expire with their objects. Yields the counts so far."""
        counts = InboxCounts()
        for key, entries in self._selected(selection):
            counts.selected += len(entries)
            counts.decided += self._decide(key, entries, DROPPED, by)
            yield counts

    def _selected(self, selection: Selection) -> Iterator[tuple[str, list[Entry]]]:
        """The selected records in groups of one call, each with its object's key."""
        decided = self._control.inbox.decided(ERRORS)
        for key in self.records.objects(selection.since):
            found = (entry for entry in self.records.entries(key, decided.get(key, NOTHING_DECIDED)) if entry.row.is_in(selection))
            while group := list(islice(found, RECORDS_A_CALL)):
                yield key, group

    def _judge(self, entries: Sequence[Entry], counts: InboxCounts) -> list[Entry]:
        passing = []
        for entry in entries:
            reason = self.records.transformation.refusal(entry.raw)
            if reason is None:
                passing.append(entry)
            else:
                counts.kept[reason] += 1
        counts.selected += len(entries)
        counts.passing += len(passing)
        return passing

    def _withdraw(self, router: Router, entries: Sequence[Entry]) -> None:
        """Count rows of loads as refused no more. Otherwise a load could seem complete while another of its rows is on its way."""
        refused = [found for entry in entries if (found := router.refused_load(entry.raw)) is not None]
        for table in {table for table, _ in refused}:
            self._control.refusals.withdraw(table, [refusal for name, refusal in refused if name == table])

    def _decide(self, key: str, entries: Sequence[Entry], action: str, by: str) -> int:
        return self._control.inbox.decide(key, (entry.row.entry for entry in entries), action, by, REMEMBERED)
