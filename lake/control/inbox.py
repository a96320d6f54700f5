"""The inboxes of refused records and rejected lines: selections, counts, and decisions with their author and time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lake.control.items import Items, attribute, is_new
from lake.control.records import now

SENT, DROPPED = "sent again", "dropped"


@dataclass(frozen=True)
class Selection:
    """Some entries of an inbox: of one table, with ``reason`` somewhere in theirs, from one time to another."""

    table: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, table: str, reason: str, at: datetime) -> bool:
        """Whether an entry is selected."""
        return self.table in (None, table) and (self.reason or "").casefold() in reason.casefold() and self.spans(at)

    def spans(self, at: datetime) -> bool:
        """Whether a time is selected."""
        return (self.since is None or at >= self.since) and (self.until is None or at <= self.until)


EVERYTHING = Selection()


@dataclass
class InboxCounts:
    """The counts of selected entries. ``kept`` counts those that would be refused again, by reason."""

    selected: int = 0
    passing: int = 0
    decided: int = 0
    kept: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return vars(self) | {"kept": dict(self.kept.most_common())}


@dataclass(frozen=True)
class Decision:
    """One decision: what was done with how many entries of the object ``place``. ``by`` is the caller's ARN, ``at`` ISO 8601 in UTC."""

    place: str
    action: str
    by: str
    at: str
    entries: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class Decided:
    """The decided entries of one object, by their numbers from 0, and the decisions on them, oldest first."""

    bits: int = 0
    decisions: tuple[Decision, ...] = ()

    @property
    def count(self) -> int:
        """The number of decided entries."""
        return self.bits.bit_count()

    def __contains__(self, entry: int) -> bool:
        return bool(self.bits >> entry & 1)


NOTHING_DECIDED = Decided()


@dataclass(frozen=True)
class InboxDecisions:
    """Keeps one item for each object with decided entries."""

    items: Items

    def decided(self, prefix: str) -> dict[str, Decided]:
        """The decided entries of every object whose key begins with ``prefix``, by key."""
        return {str(item["sk"]): _read(item) for item in self.items.under(_key(prefix))}

    def of(self, place: str) -> Decided:
        """The decided entries of one object."""
        item = self.items.get(_key(place))
        return _read(item) if item else NOTHING_DECIDED

    def decide(self, place: str, entries: Iterable[int], action: str, by: str, lifetime: timedelta | None = None) -> int:
        """Keep a decision on entries that have none yet. Returns their number.

        The decision is forgotten after ``lifetime``, which must exceed the object's own.
        """
        wanted = sum(1 << entry for entry in set(entries))
        while True:
            item = self.items.get(_key(place)) or _key(place)
            before = _read(item)
            fresh = wanted & ~before.bits
            if not fresh:
                return 0
            bits = before.bits | fresh
            one = {"action": action, "by": by, "at": now(), "entries": fresh.bit_count()}
            after: dict[str, Any] = {
                **_key(place),
                "bits": bits.to_bytes((bits.bit_length() + 7) // 8, "little"),
                "decisions": [*(item.get("decisions") or ()), one],
            }
            if lifetime is not None:
                after["expires_at"] = int((datetime.now(UTC) + lifetime).timestamp())
            if self.items.put(after, attribute("bits").eq(item["bits"]) if "bits" in item else is_new()):
                return fresh.bit_count()


def _key(place: str) -> dict[str, str]:
    return {"pk": "inbox", "sk": place}


def _read(item: Mapping[str, Any]) -> Decided:
    place = str(item["sk"])
    decisions = tuple(Decision(place, **{**one, "entries": int(one["entries"])}) for one in item.get("decisions") or ())
    return Decided(int.from_bytes(bytes(item.get("bits", b"")), "little"), decisions)
