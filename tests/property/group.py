"""A group of scenarios on one table: turns of the source, rounds of delivery, and a look at silver after each settle."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tests.property.crashes import Killed, armed
from tests.property.exports import LOADING_EXPORT, WHOLE_EXPORT, Exported, exported
from tests.property.oracle import PARTIAL, WHOLE, WIDTH, ZERO, Fold, Line, differences, generation, micros, parsed, shown
from tests.property.road import Road
from tests.property.scenarios import LATE_ROUNDS, MOMENTS, ROUNDS, TURNS, Course, Scenario, Transaction, Turn
from tests.property.source import TABLE, Load, Source
from tests.property.source_lake import SourceLake

LAKE_TABLE = "note"
TARGET = f"silver/{LAKE_TABLE}"
ATTEMPTS = 20
UNTOLD = {
    "load": (1,),
    "aborted load": (1, 2, 3),
    "reload": (1, 2, 3),
    "aborted reload": (1, 2, 3),
    "truncate": (1, 2, 3),
    "lost slot": (0, 1, 2, 3),
    "export": (2,),
    "delta export": (2,),
    "export anew": (2,),
}
"""The moments whose changes only a load tells of, or that rows which were read tell of too: their order only the source knows."""


class Broken(AssertionError):
    """Silver is not what it has to be. ``found`` holds the differences by the number of the scenario, -1 for the table's own."""

    def __init__(self, when: str, found: dict[int, list[str]]) -> None:
        lines = [f"scenario {number}: {line}" for number, some in sorted(found.items()) for line in some]
        super().__init__("\n".join([f"{when}:", *lines[:40]]))
        self.found = found


@dataclass
class Record:
    """A record of a scenario, or a fence line (scenario None): what the road made of it, and in which rounds it is delivered."""

    scenario: int | None
    body: bytes
    rounds: tuple[int, ...]
    lines: list[Line]


@dataclass
class Group:
    """Runs scenarios, by number, under one course."""

    number: int
    scenarios: dict[int, Scenario]
    course: Course
    source: Source
    road: Road
    lake: SourceLake
    settle_module: Any
    records: list[Record] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.has_changes = self.lake.contracts.table(LAKE_TABLE).cdc
        self.fold = Fold()
        self.fences: set[int] = set()
        self.files: dict[str, list[Line]] = {}
        self.opened: dict[str, tuple[int, ...]] = {}
        self.created: dict[int, Any] = {}
        self.seen: dict[int | None, int] = dict.fromkeys(self.scenarios, 0)
        self.past: dict[int, list[tuple[Any, ...] | None]] = {}
        self.untold: set[int] = set()
        self.exports: list[Exported] = []
        self.executions = 0
        self.merges = 0

    def run(self) -> None:
        """Everything. Raises ``Broken``."""
        for number, turn in enumerate(self.course.turns):
            self._happens(number, turn)
            self._round(number, turn)
        for late in range(LATE_ROUNDS):
            self._round(TURNS + late, Turn("", files=2))
        if not self.has_changes:
            self._export(ROUNDS, WHOLE_EXPORT)
        self._deliver([r for r in self.records if r.rounds and min(r.rounds) >= ROUNDS], Turn("", files=3), ROUNDS)
        self._convert_exports([one for one in self.exports if min(one.rounds) >= ROUNDS], Turn(""))
        self._merge(Turn(""), "all is delivered")
        self._holds_the_source("all is delivered", sure_of_all=False)
        self._deliver(self.records, Turn("", files=1), ROUNDS + 1)
        self._convert_exports(self.exports, Turn(""))
        self._merge(Turn(""), "all is delivered once more")
        self._holds_the_source("all is delivered once more", sure_of_all=True)
        if self.has_changes:
            self._holds_the_past()

    # the source

    def _happens(self, number: int, turn: Turn) -> None:
        first = number * MOMENTS
        if turn.event in ("restart", "lost slot"):
            self.source.stop()
        self._commit(first)
        if turn.loads:
            self._load(first, turn.event)
        elif turn.exports:
            self._export(number, turn.event)
        else:
            if turn.event == "restart":
                self.source.start()
            for moment in range(first + 1, first + MOMENTS):
                self._commit(moment)
        if self.has_changes:
            self._take(number, self.source.settle())

    def _load(self, first: int, event: str) -> None:
        source = self.source
        load = source.load = Load()
        load.moments = [lambda moment=first + n: self._commit(moment) for n in range(1, MOMENTS)]
        if event.startswith("aborted"):
            load.stop = source.abort
        if event in ("load", "aborted load"):
            source.start()
        elif event == "lost slot":
            source.lose_slot()
            source.start()
        else:
            source.catch_up()
            if event == "truncate":
                self.untold |= {*source.rows()}
                source.run(f"TRUNCATE {TABLE}")
            source.ask_reload()
        source.catch_up()
        load.reach(MOMENTS - 1)

    def _export(self, number: int, event: str) -> None:
        first = number * MOMENTS
        contract = self.lake.contracts.table(LAKE_TABLE)
        moments: list[Callable[[], None]] = [lambda: self._commit(first + 1), lambda: self._commit(first + 2)]
        if not self.has_changes:  # no slot is made
            while moments:
                moments.pop(0)()
        for one in exported(event, self.source, self.road, contract, moments):
            delays = self.course.fence_delays[len(self.exports) % len(self.course.fence_delays)]
            self.exports.append(replace(one, rounds=tuple(min(number + delay, ROUNDS) for delay in delays)))
        if not self.has_changes or event == LOADING_EXPORT:
            self.fences |= {fence.generation for fence in self.lake.control.fences.of(LAKE_TABLE)}
        self._commit(first + 3)

    def _commit(self, moment: int) -> None:
        own: list[tuple[int, list[Transaction]]] = [
            (base(number), [t for t in scenario.transactions if t.moment == moment]) for number, scenario in self.scenarios.items()
        ]
        chance = random.Random(f"{self.number}/{moment}")
        while own := [(at, left) for at, left in own if left]:
            at, left = chance.choice(own)
            self.source.commit(at, left.pop(0))
            self._remember(at, moment)
        if moment == 0:  # what was before the first load is told by nothing
            self.past = {key: images[-1:] for key, images in self.past.items()}
            self.untold.clear()

    def _remember(self, at: int, moment: int) -> None:
        """Keep what a transaction made of a scenario's rows; and which keys the stream does not tell of in the order of their past."""
        rows = self.source.rows(at)
        event = self.course.turns[moment // MOMENTS].event
        for key in {*rows, *(key for key in self.past if at <= key < at + WIDTH)}:
            image = tuple(rows[key][name] for name in (*WHOLE, *PARTIAL)) if key in rows else None
            images = self.past.setdefault(key, [None])
            if image != images[-1]:
                images.append(image)
                if moment % MOMENTS in UNTOLD.get(event, ()):
                    self.untold.add(key)

    def _take(self, number: int, sent: Sequence[bytes]) -> None:
        """Decide when each record of a turn is delivered."""
        for body in self.road.lines(sent):
            if not body:
                continue
            lines = parsed(body)
            scenario = None if lines[0]["operation"] == "fence" else lines[0]["note_id"] // WIDTH - 1
            delays = self.course.fence_delays if scenario is None else self.scenarios[scenario].delays
            nth = self.seen[scenario] = self.seen.get(scenario, -1) + 1
            chosen = tuple(number + delay for delay in delays[nth % len(delays)])
            self.records.append(Record(scenario, body, tuple(min(one, ROUNDS) for one in chosen), lines))

    # delivery

    def _round(self, number: int, turn: Turn) -> None:
        due = [record for record in self.records if number in record.rounds]
        late = [record for record in due if record.scenario is None] if turn.gap else []
        self._deliver([record for record in due if record not in late], turn, number)
        self._convert_exports([one for one in self.exports if number in one.rounds], turn)
        if turn.retries and self.files:
            again = random.Random(f"{self.number}/retry/{number}").choice(sorted(self.files))
            self.road.again(again)
        self._merge(turn, f"round {number} ({turn.event or 'late'}; {turn.crash or 'no crash'})", lambda: self._deliver(late, turn, number))
        if turn.retries:
            self.lake.maintain(LAKE_TABLE)

    def _deliver(self, due: Iterable[Record], turn: Turn, number: int) -> None:
        records = list(due)
        chance = random.Random(f"{self.number}/files/{number}/{len(records)}")
        chance.shuffle(records)
        size = max(1, -(-len(records) // turn.files))
        for start in range(0, len(records), size):
            some = records[start : start + size]
            file_id = self.road.arrives(LAKE_TABLE, [record.body for record in some])
            self.files[file_id] = [line for record in some for line in record.lines]
            self._convert(file_id, turn)
            self.fences |= {micros(line["cdc_built_at"]) for line in self.files[file_id] if line["operation"] == "fence"}

    def _convert(self, file_id: str, turn: Turn) -> None:
        with armed(turn.crash if turn.crash.startswith("converter") else "", self.settle_module) as happened:
            try:
                self.road.convert(file_id)
            except Killed:
                assert happened
        if happened:
            self.road.convert(file_id)

    def _convert_exports(self, due: Iterable[Exported], turn: Turn) -> None:
        """Convert objects of exports, those that were converted before once more."""
        for one in due:
            if one.file_id in self.files:
                self.road.again(one.file_id)
            else:
                self._convert(one.file_id, turn)
            self.files[one.file_id] = one.lines

    # the silver job

    def _merge(self, turn: Turn, when: str, gap: Callable[[], None] = lambda: None) -> None:
        """Plan, run and settle until nothing is left to do, under the turn's crash; ``gap`` delivers what comes in between."""
        waiting = [gap]
        crash = "" if turn.crash.startswith("converter") else turn.crash
        with armed(crash, self.settle_module):
            for _ in range(ATTEMPTS):
                try:
                    if not self._step(turn, when, waiting):
                        break
                except Killed:
                    self._another_execution()
            else:
                raise Broken(when, {-1: [f"the table is not done after {ATTEMPTS} batches"]})
        if turn.gap and waiting:  # no batch was there for it to come between
            waiting.pop()()
            self._merge(Turn(""), f"{when}, then what came between")

    def _step(self, turn: Turn, when: str, waiting: list[Callable[[], None]]) -> bool:
        fences = tuple(self.fences)
        batches = self.lake.plan(LAKE_TABLE)
        if not batches:
            return False
        (batch,) = batches
        fences = self.opened.setdefault(batch["batch_id"], fences)
        if turn.gap == "before the job" and waiting:
            waiting.pop()()
        self.lake.run(batch)
        self.merges += 1
        self._merged(batch["batch_id"], fences)
        if turn.gap == "before settle" and waiting:
            waiting.pop()()
        self.lake.settler().silver(batch)
        self._holds_the_fold(when)
        return True

    def _merged(self, batch_id: str, fences: tuple[int, ...]) -> None:
        """The batch's files, as the control table knows them, are in silver from now on."""
        for file_id, lines in self.files.items():
            record = self.lake.control.files.get(file_id)
            if record.batch_id == batch_id:
                self.fold.merge(lines, fences)

    def _another_execution(self) -> None:
        self.executions += 1
        self.lake.execution = f"execution-{self.number}-{self.executions}"
        held = self.lake.control.batches.get(TARGET)
        if held is not None:
            self.lake.control.batches.release(TARGET, held.batch_id, "killed")

    # what must hold

    def _holds_the_fold(self, when: str) -> None:
        expected, found = self.fold.rows(), {row["note_id"]: row for row in self.lake.rows(LAKE_TABLE)}
        retired_below = self.lake.control.states.get(TARGET).retired_below
        broken: dict[int, list[str]] = {}
        for key in sorted({*expected, *found} - self.fold.undecided()):
            lines = differences(expected.get(key), found.get(key), retired_below)
            created = found[key]["created_at"] if key in found else None
            if created != self.created.setdefault(key, created):
                lines.append(f"created_at: {created}, was {self.created[key]}")
            if lines:
                broken.setdefault(key // WIDTH - 1, []).extend(f"key {key}: {line}" for line in lines)
        for key, lines in self._history_differences(retired_below):
            broken.setdefault(key // WIDTH - 1, []).extend(f"key {key}: {line}" for line in lines)
        if reason := self._retires_too_early(retired_below):
            broken[-1] = [reason]
        if broken:
            raise Broken(f"after a settle, {when}", broken)

    def _history_differences(self, retired_below: int) -> Iterator[tuple[int, list[str]]]:
        expected: dict[int, list[tuple[Any, ...]]] = {
            key: [(v.image, v.valid_from, v.valid_to, v.valid_to is None) for v in versions]
            for key, versions in self.fold.versions(retired_below).items()
            if versions
        }
        found: dict[int, list[tuple[Any, ...]]] = {}
        for row in self.lake.rows(f"{LAKE_TABLE}_history"):
            version = (tuple(row[name] for name in (*WHOLE, *PARTIAL)), since_1970(row["valid_from"]), since_1970(row["valid_to"]))
            found.setdefault(row["note_id"], []).append((*version, row["is_current"]))
        for key in sorted({*expected, *found} - self.fold.undecided()):
            if backwards := [version for version in found.get(key, []) if version[2] is not None and version[1] >= version[2]]:
                yield key, [f"history has a version that ends before it began: {shown(version)}" for version in backwards]
            got, wanted = (sorted(some.get(key, []), key=repr) for some in (found, expected))
            if got != sorted(wanted, key=repr):
                extra, absent = [v for v in got if v not in wanted], [v for v in wanted if v not in got]
                yield key, [f"history has {shown(v)}" for v in extra] + [f"history lacks {shown(v)}" for v in absent]

    def _retires_too_early(self, newest: int) -> str | None:
        """A generation may end the ones before it once every row of its load is settled."""
        fences = self.fences
        everything: list[Any] = [*self.records, *self.exports]
        read = [line for one in everything for line in one.lines if line["operation"] == "load"]
        own = [line for line in read if line["cdc_position"] == ZERO or micros(line["cdc_built_at"]) == newest]
        loaded = {((newest, r["cdc_position"]), r["note_id"]) for r in own if generation(r, self._all_fences()) == newest > 0}
        if newest and (newest not in fences or loaded - self.fold.events.keys()):
            return f"generation {newest} is complete; rows of its load that are not settled: {sorted(loaded - self.fold.events.keys())}"
        return None

    def _all_fences(self) -> set[int]:
        fences = {micros(line["cdc_built_at"]) for record in self.records for line in record.lines if line["operation"] == "fence"}
        return fences | self.fences

    def _holds_the_source(self, when: str, sure_of_all: bool) -> None:
        source = self.source.rows()
        live = {row["note_id"]: row for row in self.lake.rows(LAKE_TABLE) if row["deleted_at"] is None}
        broken: dict[int, list[str]] = {}
        doubted = {key: row.doubted for key, row in self.fold.rows().items()}
        for key in sorted({*source, *live}):
            if key not in source or key not in live:
                lines = [f"in the source: {key in source}, live in silver: {key in live}"]
            else:
                unsure = set((live[key]["cdc_missing"] or "").split(","))
                if sure_of_all:  # what was missing is here; what nobody can tell stays named
                    unsure &= doubted.get(key, set())
                columns = [name for name in source[key] if name not in unsure]
                lines = [
                    f"{name}: {shown(live[key][name])}, the source has {shown(source[key][name])}"
                    for name in columns
                    if live[key][name] != source[key][name]
                ]
            if lines:
                broken.setdefault(key // WIDTH - 1, []).extend(f"key {key}: {line}" for line in lines)
        if broken:
            raise Broken(when, broken)

    def _holds_the_past(self) -> None:
        """History has the images that the source's transactions left, one after the other."""
        found: dict[int, list[tuple[Any, ...]]] = {}
        for row in sorted(self.lake.rows(f"{LAKE_TABLE}_history"), key=lambda row: row["valid_from"]):
            found.setdefault(row["note_id"], []).append(tuple(row[name] for name in (*WHOLE, *PARTIAL)))
        broken: dict[int, list[str]] = {}
        doubted = self.fold.doubted()
        for key, images in self.past.items():
            expected = [image for image in images if image is not None]
            if key not in self.untold and key // WIDTH - 1 not in doubted and found.get(key, []) != expected:
                line = f"key {key}: the source's past was {shown(expected)}, history has {shown(found.get(key, []))}"
                broken.setdefault(key // WIDTH - 1, []).append(line)
        if broken:
            raise Broken("all is delivered, the past", broken)


def base(number: int) -> int:
    """The first key of a scenario."""
    return (number + 1) * WIDTH


def since_1970(moment: datetime | None) -> int | None:
    """Microseconds; the engine gives times of UTC without their zone."""
    return None if moment is None else (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
