"""The rules of fold and MERGE in plain Python, for readers: changes.py and merge.py state the same rules in SQL.

tests/integration/jobs/test_rules.py runs the same cases through both. No job runs this module.
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
    """The place of a change among all changes of its table. Changes are compared by these fields alone, in this order."""

    generation: int
    position: str

    def text(self) -> str:
        """The place as text that sorts in the same order."""
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
        """The change's place. A change without a position is below all others.

        Its generation is the newest fence that is not younger than it.
        """
        if self.position is None:
            return Place(FOREIGN_GENERATION, cdc.ZERO_POSITION)
        known = (fence.generation for fence in fences if fence.generation <= self.built_at)
        return Place(max(known, default=0), self.position)

    def is_load(self, generation: int) -> bool:
        """Whether a load brought it. Rows of an export have positions of their own, and those of a load by export the time of its fence."""
        return self.operation == cdc.LOAD and (self.position == cdc.ZERO_POSITION or self.built_at == generation)


@dataclass(frozen=True)
class Folded:
    """A batch's changes of one key. ``partial`` holds value and path of each column that updates may leave out."""

    last: Place
    is_delete: bool
    image: Place | None
    whole: Values
    partial: Mapping[str, tuple[Any, str | None]]
    loaded: int | None


@dataclass(frozen=True)
class Row:
    """The row of one key in silver."""

    place: Place
    whole: Values
    partial: Mapping[str, tuple[Any, str | None]]
    is_deleted: bool
    loaded: int | None = None
    missing: tuple[str, ...] = field(default=())


def fold(changes: Iterable[Change], fences: Iterable[Fence], whole: Iterable[str], partial: Iterable[str]) -> Folded:
    """Fold the changes of one key.

    The newest change decides whether the row lives, the newest image gives its values, and each partial column comes from
    its newest carrier.
    """
    known = tuple(fences)
    placed = sorted(((change.place(known), change) for change in changes), key=lambda entry: (entry[0], entry[1].operation == cdc.DELETE))
    images = [(place, change) for place, change in placed if change.operation != cdc.DELETE]
    image, newest = images[-1] if images else (None, None)
    columns: dict[str, tuple[Any, str | None]] = {}
    for name in partial:
        carriers = [(place, change) for place, change in images if name not in change.unchanged]
        columns[name] = _written(name, *carriers[-1]) if carriers else (None, None)
    last, change = placed[-1]
    values = {name: newest.values[name] if newest else None for name in whole}
    loads = [place.generation for place, entry in placed if entry.is_load(place.generation)]
    return Folded(last, change.operation == cdc.DELETE, image, values, columns, max(loads, default=None))


def _written(name: str, place: Place, change: Change) -> tuple[Any, str]:
    """Value and path of a column; one that did not travel is null at its place."""
    if cdc.UNSEEN + name in change.unchanged:
        return None, place.text() + cdc.UNSEEN
    return change.values[name], place.text()


def newer(change: Place | None, row: Place) -> bool:
    """Whether a change is applied: it lies behind the row's place."""
    return change is not None and change > row


def dead(folded: Folded, retired_below: int) -> bool:
    """Whether the row is deleted, or retired with its generation by a younger, complete load (``retired_below``, 0 for none)."""
    return folded.is_delete or 0 <= folded.last.generation < retired_below


def missing(paths: Mapping[str, str | None], is_deleted: bool) -> tuple[str, ...]:
    """The columns of a live row with an unseen or uncertain value (a path that is open, in doubt, or outlived)."""
    return () if is_deleted else tuple(name for name, path in paths.items() if path is None or _is_doubtful(path))


def _is_doubtful(path: str) -> bool:
    if path.endswith(("<", cdc.UNSEEN)) or ">" in path:
        return True
    oldest = path[-AT_WIDTH:][:GENERATION_WIDTH]
    return path[:GENERATION_WIDTH] > max(oldest, "0" * GENERATION_WIDTH)


def merged(row: Row | None, folded: Folded, retired_below: int) -> Row:
    """The key's row in silver after a batch."""
    before = row or Row(Place(FOREIGN_GENERATION - 1, ""), folded.whole, {}, True)
    is_applied, is_imaged = newer(folded.last, before.place), row is None or newer(folded.image, before.place)
    partial = {
        name: max(before.partial.get(name, (None, None)), new, key=lambda value: value[1] or "") for name, new in folded.partial.items()
    }
    is_deleted = dead(folded, retired_below) if is_applied else before.is_deleted
    loads = [generation for generation in (before.loaded, folded.loaded) if generation is not None]
    return Row(
        folded.last if is_applied else before.place,
        folded.whole if is_imaged else before.whole,
        partial,
        is_deleted,
        max(loads, default=None),
        missing({name: path for name, (_, path) in partial.items()}, is_deleted),
    )
