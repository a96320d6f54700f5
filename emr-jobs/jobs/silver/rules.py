"""The rules of fold and MERGE in plain Python, to be read: what changes.py and merge.py say in SQL.

Both take the same cases in tests/integration/jobs/test_rules.py. No job runs this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jobs.silver.changes import AT_WIDTH, FOREIGN_GENERATION, GENERATION_WIDTH
from lake import cdc
from lake.generations import Fence

Values = Mapping[str, Any]


class Place(NamedTuple):
    """Where a change stands among all changes of its table: compared in this order and by nothing else."""

    generation: int
    position: str

    def text(self) -> str:
        """The place as the text that sorts as it does."""
        number = f"-{-self.generation:0{GENERATION_WIDTH - 1}}" if self.generation < 0 else f"{self.generation:0{GENERATION_WIDTH}}"
        return f"{number}/{self.position}"


@dataclass(frozen=True)
class Change:
    """One change of a key. ``built_at`` is in microseconds since 1970, ``position`` None in foreign files."""

    operation: str
    position: str | None
    built_at: int
    values: Values
    unchanged: frozenset[str] = frozenset()

    def place(self, fences: Iterable[Fence]) -> Place:
        """Its generation is the newest fence that is not younger than it; a row without a position is below all."""
        if self.position is None:
            return Place(FOREIGN_GENERATION, cdc.ZERO_POSITION)
        known = (fence.generation for fence in fences if fence.generation <= self.built_at)
        return Place(max(known, default=0), self.position)

    def is_load(self) -> bool:
        """Whether a load brought it: an export's rows have positions of their own."""
        return self.operation == cdc.LOAD and self.position == cdc.ZERO_POSITION


@dataclass(frozen=True)
class Folded:
    """What a batch says of a key. ``partial`` holds value and path of each column that updates may leave out."""

    last: Place
    is_delete: bool
    image: Place | None
    whole: Values
    partial: Mapping[str, tuple[Any, str | None]]
    loaded: int | None


@dataclass(frozen=True)
class Row:
    """What silver holds of a key."""

    place: Place
    whole: Values
    partial: Mapping[str, tuple[Any, str | None]]
    is_deleted: bool
    loaded: int | None = None
    missing: tuple[str, ...] = field(default=())


def fold(changes: Iterable[Change], fences: Iterable[Fence], whole: Iterable[str], partial: Iterable[str]) -> Folded:
    """The newest change tells whether the row lives, the newest image what it holds, each partial column its newest carrier."""
    known = tuple(fences)
    placed = sorted(((change.place(known), change) for change in changes), key=lambda entry: (entry[0], entry[1].operation == cdc.DELETE))
    images = [(place, change) for place, change in placed if change.operation != cdc.DELETE]
    image, newest = images[-1] if images else (None, None)
    columns: dict[str, tuple[Any, str | None]] = {}
    for name in partial:
        carriers = [(place, change) for place, change in images if name not in change.unchanged]
        columns[name] = (carriers[-1][1].values[name], carriers[-1][0].text()) if carriers else (None, None)
    last, change = placed[-1]
    values = {name: newest.values[name] if newest else None for name in whole}
    loads = [place.generation for place, entry in placed if entry.is_load()]
    return Folded(last, change.operation == cdc.DELETE, image, values, columns, max(loads, default=None))


def newer(change: Place | None, row: Place) -> bool:
    """A change is applied where it stands behind what the row has seen."""
    return change is not None and change > row


def dead(folded: Folded, swept: int) -> bool:
    """A row ends with its delete, or with its generation, once a younger one's load is complete (``swept``, 0 for none)."""
    return folded.is_delete or 0 <= folded.last.generation < swept


def missing(paths: Mapping[str, str | None], is_deleted: bool) -> tuple[str, ...]:
    """The columns of a live row whose value was not seen, or not for certain (a path that is open, in doubt, or outlived)."""
    return () if is_deleted else tuple(name for name, path in paths.items() if path is None or _is_doubtful(path))


def _is_doubtful(path: str) -> bool:
    if path.endswith("<") or ">" in path:
        return True
    oldest = path[-AT_WIDTH:][:GENERATION_WIDTH]
    return path[:GENERATION_WIDTH] > max(oldest, "0" * GENERATION_WIDTH)


def merged(row: Row | None, folded: Folded, swept: int) -> Row:
    """What silver holds of a key after a batch."""
    before = row or Row(Place(FOREIGN_GENERATION - 1, ""), folded.whole, {}, True)
    is_applied, is_imaged = newer(folded.last, before.place), row is None or newer(folded.image, before.place)
    partial = {
        name: max(before.partial.get(name, (None, None)), new, key=lambda value: value[1] or "") for name, new in folded.partial.items()
    }
    is_deleted = dead(folded, swept) if is_applied else before.is_deleted
    loads = [generation for generation in (before.loaded, folded.loaded) if generation is not None]
    return Row(
        folded.last if is_applied else before.place,
        folded.whole if is_imaged else before.whole,
        partial,
        is_deleted,
        max(loads, default=None),
        missing({name: path for name, (_, path) in partial.items()}, is_deleted),
    )
