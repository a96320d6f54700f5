"""What hypothesis draws: the lives of a few rows, how their records are delivered, and the course that a group of lives shares.

A source runs in turns. A turn is an event of the whole table (changes flow, a load, a lost slot, …) and has four moments at
which transactions commit: before the event, before its fence, behind its fence and while rows are read (of an export: before
it, before its slot is made, while it is made and behind it). After each turn comes
a round of delivery and of merging; a round more, and the rest at the end, bring what was held back.

Every change means something whatever the table holds, so a scenario stays one when any part of it is left out: that is
what makes shrinking simple.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

TURNS = 4
MOMENTS = 4
LATE_ROUNDS = 1
ROUNDS = TURNS + LATE_ROUNDS
KEYS = 4
MONTHS = (1_583_020_800, 1_585_699_200, 1_606_780_800, None)
CHANGES = ("write", "write", "short", "retitle", "body", "extra", "nobody", "shift", "move", "move", "bring", "swap", "drop", "renew")
LOADS = ("load", "aborted load")
EVENTS = ("follow", "follow", "restart", "reload", "aborted reload", "lost slot", "truncate", "export", "delta export", "export anew")
CRASHES = (
    "plan before it opens a batch",
    "plan before it assigns a file",
    "job before touched.json",
    "job before MERGE",
    "job after MERGE",
    "job between the history's changes and versions",
    "job before outcome.json",
    "settle before the months",
    "settle before a file",
    "settle after a file",
    "settle before it looks for fences",
    "settle before the tags",
    "settle before the state",
    "settle before it closes the batch",
    "settle after it closed the batch",
    "converter before it publishes",
)
GAPS = ("", "", "before the job", "before settle")

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Change:
    """One statement: its kind, the key it is about, another key and a month where the kind needs them."""

    kind: str
    key: int
    other: int
    month: int


@dataclass(frozen=True)
class Transaction:
    """Statements that commit together, or are rolled back, at a moment counted from the first turn's first."""

    moment: int
    changes: tuple[Change, ...]
    commits: bool = True


@dataclass(frozen=True)
class Scenario:
    """Lives of ``KEYS`` rows. Record n is delivered after each of the delays (in rounds) of ``delays[n % len(delays)]``."""

    transactions: tuple[Transaction, ...]
    delays: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Statements, and deliveries that are not at once."""
        return sum(len(one.changes) for one in self.transactions) + sum(delays != (0,) for delays in self.delays)

    def smaller(self) -> list[Scenario]:
        """Scenarios with one thing less, the larger steps first."""
        half = len(self.transactions) // 2
        cuts = [self.transactions[:half], self.transactions[half:]] if half else []
        cuts += [(*self.transactions[:n], *self.transactions[n + 1 :]) for n in range(len(self.transactions))]
        found = [replace(self, transactions=cut) for cut in cuts]
        for n, one in enumerate(self.transactions):
            for m in range(len(one.changes) if len(one.changes) > 1 else 0):
                less = replace(one, changes=(*one.changes[:m], *one.changes[m + 1 :]))
                found.append(replace(self, transactions=(*self.transactions[:n], less, *self.transactions[n + 1 :])))
        for n, delays in enumerate(self.delays):
            if len(delays) > 1 or delays[0]:
                simple = (0,) if len(delays) == 1 else delays[:1]
                found.append(replace(self, delays=(*self.delays[:n], simple, *self.delays[n + 1 :])))
        return found


@dataclass(frozen=True)
class Turn:
    """What a group's scenarios share in one turn. ``files`` is into how many files its round is cut."""

    event: str
    crash: str = ""
    gap: str = ""
    files: int = 1
    retries: bool = False

    @property
    def loads(self) -> bool:
        """Whether the table is loaded in this turn."""
        return "load" in self.event or self.event in ("lost slot", "truncate")

    @property
    def exports(self) -> bool:
        """Whether the table is exported in this turn."""
        return "export" in self.event


@dataclass(frozen=True)
class Course:
    """The turns of a group, and the delays of the table's fences: fence n has those of ``fence_delays[n % len(fence_delays)]``."""

    turns: tuple[Turn, ...]
    fence_delays: tuple[tuple[int, ...], ...]


changes = st.builds(
    Change,
    st.sampled_from(CHANGES),
    st.integers(0, KEYS - 1),
    st.integers(0, KEYS - 1),
    st.integers(0, len(MONTHS) - 1),
)
transactions = st.builds(
    Transaction,
    st.integers(0, TURNS * MOMENTS - 1),
    st.lists(changes, min_size=1, max_size=3).map(tuple),
    st.sampled_from([True] * 9 + [False]),
)
delays = st.one_of(
    st.just((0,)),
    st.integers(0, ROUNDS).map(lambda delay: (delay,)),
    st.lists(st.integers(0, ROUNDS), min_size=2, max_size=3, unique=True).map(tuple),
)
scenarios = st.builds(
    Scenario,
    st.lists(transactions, min_size=3, max_size=14).map(lambda found: tuple(sorted(found, key=lambda one: one.moment))),
    st.lists(delays, min_size=1, max_size=7).map(tuple),
)


@st.composite
def courses(draw: st.DrawFn, first: Sequence[str] = LOADS, events: Sequence[str] = EVENTS) -> Course:
    """Any course: it begins with a load."""

    def turn(events: Sequence[str]) -> Turn:
        return Turn(
            draw(st.sampled_from(events)),
            draw(st.one_of(st.just(""), st.sampled_from(CRASHES))),
            draw(st.sampled_from(GAPS)),
            draw(st.integers(1, 3)),
            draw(st.booleans()),
        )

    turns = (turn(first), *(turn(events) for _ in range(TURNS - 1)))
    return Course(turns, draw(st.lists(delays, min_size=1, max_size=4).map(tuple)))


def drawn(strategy: st.SearchStrategy[Drawn], number: int, count: int) -> list[Drawn]:
    """``count`` examples of a strategy, the same for the same ``number``."""
    found: list[Drawn] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=False,
    )
    @given(strategy)
    def gather(example: Drawn) -> None:
        found.append(example)

    gather()
    return found[:count]
