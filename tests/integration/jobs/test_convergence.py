"""Random lives of rows, delivered in any order and more than once, end as the source has them.

Three hundred scenarios share one table by disjoint keys, so that one MERGE serves them all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.jobs.domain import Change, Lake, contract_head, delete, insert, rekey, update

pytestmark = pytest.mark.integration
SCENARIOS = int(os.environ.get("DM_SCENARIOS", "300"))
SEED = int(os.environ.get("DM_SEED", "1"))
KEYS, STEPS, ROUNDS = 4, 12, 4

NOTE = (
    contract_head("note")
    + """\
      - {name: title, physicalType: varchar(50), classification: public}
      - {name: body, physicalType: text, classification: public}
      - {name: written, physicalType: bigint}
    customProperties:
      - {property: partition, value: {column: written, unit: epoch_seconds, year: note_year, month: note_month}}
"""
)
Delivery = tuple[Change, ...]


@dataclass
class Source:
    """A small table at its source: what it holds, and what it has said of its changes."""

    base: int
    chance: random.Random
    rows: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    log: list[Delivery] = field(default_factory=list)

    def live(self) -> None:
        for step in range(1, STEPS + 1):
            position = self.base + step
            key = self.base + self.chance.randrange(KEYS)
            if key not in self.rows:
                self.write(key, position)
            else:
                self.chance.choice([self.change, self.retitle, self.move, self.drop])(key, position)

    def write(self, key: int, position: int) -> None:
        self.rows[key] = (f"title {position}", f"body {position}", self.month())
        self.log.append((insert("note", position, **self.image(key)),))

    def change(self, key: int, position: int) -> None:
        self.rows[key] = (f"title {position}", f"body {position}", self.month())
        self.log.append((update("note", position, **self.image(key)),))

    def retitle(self, key: int, position: int) -> None:
        _, body, _ = self.rows[key]
        self.rows[key] = (f"title {position}", body, self.month())
        self.log.append((update("note", position, unchanged=("body",), **self.image(key) | {"body": None}),))

    def move(self, key: int, position: int) -> None:
        free = [other for other in range(self.base, self.base + KEYS) if other not in self.rows]
        if not free:
            return self.retitle(key, position)
        new = self.chance.choice(free)
        self.rows[new] = self.rows.pop(key)
        image = self.image(new) | {"body": None}
        self.log.append(rekey("note", position, {"note_id": key}, image, unchanged=("body",)))
        return None

    def drop(self, key: int, position: int) -> None:
        del self.rows[key]
        self.log.append((delete("note", position, note_id=key),))

    def image(self, key: int) -> dict[str, object]:
        title, body, written = self.rows[key]
        return {"note_id": key, "title": title, "body": body, "written": written}

    def month(self) -> int:
        return 1_583_020_800 + self.chance.randrange(3) * 2_678_400


def test_three_hundred_lives_converge(make_lake: Callable[[Path], Lake], tmp_path: Path) -> None:
    (tmp_path / "note.yaml").write_text(NOTE)
    lake = make_lake(tmp_path)
    chance = random.Random(SEED)
    sources = [Source(1 + scenario * 100, random.Random(f"{SEED}/{scenario}")) for scenario in range(SCENARIOS)]
    rounds: list[list[Delivery]] = [[] for _ in range(ROUNDS)]
    for source in sources:
        source.live()
        for delivery in source.log:
            for number in chance.sample(range(ROUNDS), k=chance.choice([1, 1, 1, 2])):
                rounds[number].append(delivery)
    for turn in rounds:
        chance.shuffle(turn)
        half = len(turn) // 2
        lake.arrives(*turn[:half])
        lake.arrives(*turn[half:])
        lake.merge()

    expected = {key: row for source in sources for key, row in source.rows.items()}
    found = {row["note_id"]: row for row in lake.live_rows("note", "note_id", "title", "body", "written", "cdc_missing")}
    assert {key: (row["title"], row["written"]) for key, row in found.items()} == {k: (t, w) for k, (t, _, w) in expected.items()}
    sure = {key: row["body"] for key, row in found.items() if not row["cdc_missing"]}
    assert sure == {key: expected[key][1] for key in sure}
    assert len(sure) > 0.9 * len(found)

    lake.arrives(*(delivery for source in sources for delivery in source.log))
    lake.merge()

    assert {row["note_id"]: row["body"] for row in lake.live_rows("note")} == {k: body for k, (_, body, _) in expected.items()}
    assert len(lake.rows("note")) == len({change.columns["note_id"] for s in sources for delivery in s.log for change in delivery})
