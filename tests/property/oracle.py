"""What silver has to hold: plain Python over raw lines, written from docs/semantics.md and apart from the job.

An event is a line in the generation that it was merged in. Events of a scenario are replayed in the order of (generation,
position); a change of the key hands the columns that it leaves out from the old key to the new.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

KEY, WHOLE, PARTIAL = "note_id", ("title", "written"), ("body", "extra")
ZERO = "0000000000000000-0000000000-0"
Line = dict[str, Any]
Place = tuple[int, str]
Image = tuple[Any, ...]
WIDTH = 100


def parsed(data: bytes) -> list[Line]:
    """The lines of one record."""
    return [json.loads(line) for line in data.splitlines()]


def micros(text: str) -> int:
    """A time of a raw line in microseconds since 1970."""
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def generation(line: Line, fences: Iterable[int]) -> int:
    """The newest fence that is not younger than the line."""
    return max((fence for fence in fences if fence <= micros(line["cdc_built_at"])), default=0)


@dataclass
class Row:
    """What is known of a key.

    ``partial`` has the columns whose value is known, ``sources`` where each was read or written; ``doubted`` those that came
    with a key change of which nobody knows whether a load read its row before or after it, ``outlived`` those that came with
    one from before its generation. ``moved`` tells whether a key change plays a part.
    """

    key: int
    place: Place = (-1, "")
    is_deleted: bool = True
    whole: dict[str, Any] = field(default_factory=lambda: dict.fromkeys(WHOLE))
    partial: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, tuple[Place, Line]] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    outlived: set[str] = field(default_factory=set)
    moved: bool = False

    @property
    def month(self) -> tuple[int, int]:
        """Where the row lies."""
        if self.whole["written"] is None:
            return 0, 0
        moment = datetime.fromtimestamp(self.whole["written"], UTC)
        return moment.year, moment.month

    def is_live(self, retired_below: int) -> bool:
        """Whether readers see it, once generations below ``retired_below`` are retired."""
        return not self.is_deleted and self.place[0] >= retired_below

    @property
    def image(self) -> Image | None:
        """The row's values, nothing for a deleted one and null for what is not known."""
        return None if self.is_deleted else (*self.whole.values(), *(self.partial.get(name) for name in PARTIAL))


@dataclass(frozen=True)
class Version:
    """An image with the time from which it holds and, where another follows, that until which; microseconds since 1970."""

    image: Image
    valid_from: int
    valid_to: int | None


class Fold:
    """The events that were merged so far: of silver, which knows a line in each generation it was merged in, and of history,
    which moves it to the last one."""

    def __init__(self) -> None:
        self.events: dict[tuple[Place, int], Line] = {}
        self._past: dict[tuple[int, str, str], tuple[int, Line]] = {}

    def merge(self, lines: Iterable[Line], fences: Iterable[int]) -> None:
        """Take the lines of a batch that was opened when these fences were known."""
        known = sorted(fences)
        for line in lines:
            if line["operation"] == "fence":
                continue
            own = generation(line, known)
            self.events[(own, line["cdc_position"]), line[KEY]] = line
            identity = line[KEY], line["cdc_position"], line["cdc_built_at"] if line["cdc_position"] == ZERO else ""
            self._past[identity] = max((own, line), self._past.get(identity, (-1, line)), key=lambda event: event[0])

    def rows(self) -> dict[int, Row]:
        """Every key that an event names, after all of them."""
        rows: dict[int, Row] = {}
        for row in replayed((place, line) for (place, _), line in self.events.items()):
            rows[row.key] = row
        return rows

    def undecided(self) -> set[int]:
        """Keys, and those that their values may have gone to, that two loads brought, of which the later one's fence is not here yet:
        nothing orders two loads of one generation."""
        times: dict[tuple[int, int], set[str]] = {}
        for own, line in self._past.values():
            if line["cdc_position"] == ZERO:
                times.setdefault((line[KEY], own), set()).add(line["cdc_built_at"])
        scenarios = {key // WIDTH for (key, _), seen in times.items() if len(seen) > 1}
        return {key for scenario in scenarios for key in range(scenario * WIDTH, (scenario + 1) * WIDTH)}

    def doubted(self) -> set[int]:
        """The scenarios in which a load may have read a row before a key change or after it."""
        return {row.key // WIDTH - 1 for row in replayed((place, line) for (place, _), line in self.events.items()) if row.doubted}

    def versions(self, retired_below: int) -> dict[int, list[Version]]:
        """Every key's versions: one a transaction, equal neighbours as one, each until the next or the end of its generation."""
        steps: dict[int, list[tuple[Row, Line]]] = {}
        past = [((own, line["cdc_position"]), line) for own, line in self._past.values()]
        lines = [line for _, line in in_order(past)]
        for row, line in zip(replayed(past), lines, strict=True):
            steps.setdefault(row.key, []).append((row, line))
        return {key: list(_versions(taken, retired_below)) for key, taken in steps.items()}


def in_order(events: Iterable[tuple[Place, Line]]) -> list[tuple[Place, Line]]:
    """Events by place; loads of one generation by their time."""
    return sorted(events, key=lambda event: (event[0], event[1]["cdc_built_at"]))


def replayed(events: Iterable[tuple[Place, Line]]) -> Iterator[Row]:
    """The row of each event's key after the event, in order."""
    rows: dict[int, Row] = {}
    given_up: dict[str, Row] = {}
    moved: set[int] = set()
    sequence = in_order(events)
    beginnings: dict[int, list[tuple[Place, Line]]] = {}
    for place, line in sequence:
        if line["operation"] == "insert" or place[1][-1] == "1":
            beginnings.setdefault(line[KEY], []).append((place, line))
    for place, line in sequence:
        before = rows.get(line[KEY], Row(line[KEY]))
        record, sub = place[1][:-2], place[1][-1]
        if sub == "1":
            moved.add(line[KEY] // WIDTH)
        row = replace(before, place=place, is_deleted=line["operation"] == "delete", moved=line[KEY] // WIDTH in moved)
        if row.is_deleted:
            given_up[record] = row
        else:
            origin = given_up.get(record) if sub == "1" else before
            left_out = set(line["cdc_unchanged"] or ())
            origin = origin or Row(line[KEY])
            carried = [name for name in PARTIAL if name not in left_out]
            row.whole = {name: line[name] for name in WHOLE}
            row.partial = {name: origin.partial[name] for name in left_out & {*origin.partial}} | {name: line[name] for name in carried}
            row.sources = {name: origin.sources[name] for name in left_out & {*origin.sources}} | dict.fromkeys(carried, (place, line))
            row.doubted, row.outlived = origin.doubted & left_out, origin.outlived & left_out
            if sub == "1":
                own = {name: origin.sources[name] for name in left_out & {*origin.sources}}
                row.doubted |= {name for name, source in own.items() if reread(source, origin.key, place, beginnings)}
                row.outlived |= {name for name, source in own.items() if max(source[0][0], 0) < place[0]}
        rows[row.key] = row
        yield row


def reread(source: tuple[Place, Line], key: int, place: Place, beginnings: dict[int, list[tuple[Place, Line]]]) -> bool:
    """Whether a row that was read may be of a later life of its key than the one that a key change at a place ended."""
    (own, _), line = source
    if line["operation"] != "load" or own != place[0] or line[KEY] != key:
        return False
    until = micros(line.get("read_until", line["cdc_built_at"]))
    return any(later[0] == own and later > place and micros(begun["cdc_committed_at"]) <= until for later, begun in beginnings.get(key, ()))


def _versions(every: Sequence[tuple[Row, Line]], retired_below: int) -> Iterator[Version]:
    starts: dict[Place, int] = {}
    latest = 0
    for step in every:
        began = valid_from(step)
        exported = step[1]["operation"] == "load" and step[0].place[1] != ZERO
        starts[step[0].place] = max(began, latest + 1) if exported else began  # an export's time lies before its snapshot
        latest = max(latest, began)
    steps = [step for step in every if not overtaken(step, every)]
    last_of_transaction = [
        step for step, after in itertools.zip_longest(steps, steps[1:]) if after is None or transaction(step) != transaction(after)
    ]
    distinct = [
        step
        for before, step in zip([None, *last_of_transaction], last_of_transaction, strict=False)
        if before is None or before[0].image != step[0].image
    ]
    for step, after in itertools.zip_longest(distinct, distinct[1:]):
        if step[0].image is not None:
            newest = every[-1][0].place[0]
            end = starts[after[0].place] if after is not None else retired_below if newest < retired_below else None
            yield Version(step[0].image, starts[step[0].place], end)


def overtaken(step: tuple[Row, Line], steps: Sequence[tuple[Row, Line]]) -> bool:
    """Whether a loaded row would end before it began: a change that follows it was committed before its fence."""
    row, _ = step
    changes = [valid_from(other) for other in steps if other[0].place[0] == row.place[0] and other[0].place[1] != ZERO]
    return row.place[1] == ZERO and bool(changes) and min(changes) <= valid_from(step)


def transaction(step: tuple[Row, Line]) -> tuple[int, str]:
    """What commits at once: a transaction's changes in one generation, and each loaded row by itself."""
    row, line = step
    return row.place[0], line["cdc_built_at"] if row.place[1] == ZERO else row.place[1][:16]


def valid_from(step: tuple[Row, Line]) -> int:
    """A load holds from its fence on, a change from its commit."""
    row, line = step
    if row.place[1] == ZERO and row.place[0] > 0:
        return row.place[0]
    return micros(line["cdc_committed_at"] or line["cdc_built_at"])


def differences(expected: Row | None, found: Line | None, retired_below: int) -> list[str]:
    """How a silver row differs from what is expected of it."""
    if expected is None or found is None:
        return [f"row in silver: {found is not None}, events of the key: {expected is not None}"]
    answers = {
        "live": (found["deleted_at"] is None, expected.is_live(retired_below)),
        "cdc_generation": (found["cdc_generation"], expected.place[0]),
        "cdc_position": (found["cdc_position"], expected.place[1]),
    }
    if expected.is_live(retired_below):  # a tombstone that came before its image has no values
        answers["note_year, note_month"] = (found["note_year"], found["note_month"]), expected.month
        answers |= {name: (found[name], expected.whole[name]) for name in WHOLE}
        missing = set(found["cdc_missing"].split(",")) if found["cdc_missing"] else set()
        unknown = {name for name in PARTIAL if name not in expected.partial} | expected.doubted | expected.outlived
        answers["columns never seen, or not for certain"] = (sorted(missing & unknown), sorted(unknown))
        if not expected.moved:
            answers["cdc_missing"] = (missing, unknown)
        answers |= {name: (found[name], expected.partial[name]) for name in PARTIAL if name not in missing | unknown}
    else:
        answers["cdc_missing"] = (found["cdc_missing"], None)
    return [f"{name}: {shown(got)}, expected {shown(wanted)}" for name, (got, wanted) in answers.items() if got != wanted]


def shown(value: Any) -> str:
    """A value, the filling of long texts left out."""
    return repr(value).replace("x" * 2_100, "…")
