"""Rows of loads that were refused before silver. The source counts them, and silver never does.

Each table keeps them by origin, as digests, so that a row that came twice counts once. Each attempt of a converted file
writes its refusals again. They disappear once the contract is mended.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lake.control.items import Items, table_key
from lake.control.records import Refusal
from lake.generations import Fence

KEPT = 20_000
"""The maximum number of refusals kept for one origin, since an item holds 400 KB. A load with more of them waits."""
_ENTRY = struct.Struct(">8sq")
_PREFIX = "refused#"


@dataclass(frozen=True)
class Refusals:
    """The refused rows of every table's loads."""

    items: Items

    def note(self, table: str, refusals: Iterable[Refusal], origin: str | None = None) -> None:
        """Keep the refused rows of ``origin`` (a file's id), and drop those that it refused before."""
        kept = sorted(set(refusals))[:KEPT]
        entries = b"".join(_ENTRY.pack(*refusal) for refusal in kept)
        name = origin or hashlib.sha256(entries).hexdigest()[:32]
        self.items.put({**table_key(table, f"{_PREFIX}{name}"), **({"entries": entries} if entries else {})})

    def count(self, table: str, fence: Fence) -> int:
        """The number of distinct rows that the load behind a fence lost to refusals."""
        return len({found.digest for _, entries in self._kept(table) for found in entries if found.built_at >= fence.generation})

    def withdraw(self, table: str, refusals: Iterable[Refusal]) -> None:
        """Count these rows as refused no more, because they are on their way again."""
        gone = set(refusals)
        for sort, entries in list(self._kept(table)):
            kept = [found for found in entries if found not in gone]
            if len(kept) < len(entries):
                self.note(table, kept, sort.removeprefix(_PREFIX))

    def forget(self, table: str, generation: int) -> None:
        """Forget the refusals of loads before a generation."""
        for sort, entries in list(self._kept(table)):
            if all(found.built_at < generation for found in entries):
                self.items.delete(table_key(table, sort))

    def _kept(self, table: str) -> Iterator[tuple[str, list[Refusal]]]:
        for item in self.items.under(table_key(table, _PREFIX)):
            entries = bytes(item.get("entries", b""))
            yield str(item["sk"]), [Refusal(*entry) for entry in _ENTRY.iter_unpack(entries)]
