"""Decisions on refused records and rejected lines: which entries of an object were sent again or dropped, by whom and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lake.control.items import Items, attribute, is_new
from lake.control.records import now

SENT, DROPPED = "sent again", "dropped"


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
