"""A live workload on the source: inserts, updates, deletes and key changes in transactions of several statements.

The same seed makes the same changes on the same rows. Run one workload at a time, because new keys are taken above the highest.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg2
import psycopg2.extensions

from beer import vocabulary
from beer.generate import FIRST_MONTH, MONTH_SECONDS, MONTHS

LARGEST_TRANSACTION = 12
REVIEW_COLUMNS = (
    "review_id, brewery_id, beer_id, profile_id, review_overall, review_aroma, review_appearance, review_palate, review_taste, review_time"
)
Statement = tuple[str, tuple[object, ...]]


@dataclass
class ChurnCounts:
    """Rows changed, by kind.

    A re-insert brings back a deleted key. A month move changes ``review_time``, usually to another month.
    """

    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    key_changes: int = 0
    re_inserts: int = 0
    month_moves: int = 0
    transactions: int = 0

    @property
    def changes(self) -> int:
        """All rows changed."""
        return self.inserts + self.updates + self.deletes + self.key_changes + self.re_inserts + self.month_moves


class Keys:
    """The keys of a table. Every operation takes constant time."""

    def __init__(self, keys: list[int]) -> None:
        self._keys = keys
        self._highest = max(keys, default=0)

    def __len__(self) -> int:
        return len(self._keys)

    def any(self, rng: random.Random) -> int:
        """A random key in use."""
        return self._keys[rng.randrange(len(self._keys))]

    def reserve(self) -> int:
        """A key never used before. ``any`` and ``take`` do not return it."""
        self._highest += 1
        return self._highest

    def new(self) -> int:
        """A key never used before, which is in use from now on."""
        self._keys.append(self.reserve())
        return self._highest

    def take(self, rng: random.Random) -> int:
        """Remove a random key from those in use and return it."""
        place = rng.randrange(len(self._keys))
        self._keys[place], self._keys[-1] = self._keys[-1], self._keys[place]
        return self._keys.pop()

    def add(self, key: int) -> None:
        """Bring a key back into use."""
        self._keys.append(key)


@dataclass
class Workload:
    """The keys of the source, and the changes made to it.

    ``brewery_of`` maps a beer to its brewery. ``childless`` holds parents that the workload made itself and that have no
    children. They can be deleted or get a new key without breaking a foreign key.
    """

    rng: random.Random
    reviews: Keys
    beers: Keys
    breweries: Keys
    profiles: Keys
    brewery_of: dict[int, int]
    deleted_reviews: list[int] = field(default_factory=list)
    childless: dict[str, list[int]] = field(default_factory=lambda: {"brewery": [], "beer": [], "profile": []})
    counts: ChurnCounts = field(default_factory=ChurnCounts)

    def change(self) -> Statement:
        """Make the next change and count it."""
        choices: tuple[tuple[int, Callable[[], Statement]], ...] = (
            (34, self.insert_review),
            (26, self.update_review),
            (7, self.move_review),
            (11, self.delete_review),
            (4, self.insert_review_again),
            (3, self.change_review_key),
            (3, self.update_beer),
            (2, self.update_brewery),
            (3, self.update_profile),
            (4, self.insert_parent),
            (2, self.change_profile_key),
            (1, self.delete_parent),
        )
        return self.rng.choices([make for _, make in choices], [weight for weight, _ in choices])[0]()

    def insert_review(self) -> Statement:
        """Insert a review of a random beer."""
        self.counts.inserts += 1
        return self._review_row(self.reviews.new())

    def insert_review_again(self) -> Statement:
        """Insert a review under a key that was deleted or changed before."""
        if not self.deleted_reviews:
            return self.insert_review()
        key = self.deleted_reviews.pop(self.rng.randrange(len(self.deleted_reviews)))
        self.reviews.add(key)
        self.counts.re_inserts += 1
        return self._review_row(key)

    def update_review(self) -> Statement:
        """Change two scores. Either can become null."""
        self.counts.updates += 1
        scores = (self._score(), self._score(), self.reviews.any(self.rng))
        return "UPDATE dm_core.review SET review_overall = %s, review_taste = %s WHERE review_id = %s", scores

    def move_review(self) -> Statement:
        """Change the time of a review, usually to another month."""
        self.counts.month_moves += 1
        return "UPDATE dm_core.review SET review_time = %s WHERE review_id = %s", (self._time(), self.reviews.any(self.rng))

    def delete_review(self) -> Statement:
        """Delete a review."""
        if len(self.reviews) < 2:
            return self.insert_review()
        key = self.reviews.take(self.rng)
        self.deleted_reviews.append(key)
        self.counts.deletes += 1
        return "DELETE FROM dm_core.review WHERE review_id = %s", (key,)

    def change_review_key(self) -> Statement:
        """Give a review a new key."""
        old = self.reviews.take(self.rng)
        self.deleted_reviews.append(old)
        self.counts.key_changes += 1
        return "UPDATE dm_core.review SET review_id = %s WHERE review_id = %s", (self.reviews.new(), old)

    def update_beer(self) -> Statement:
        """Change the style and strength of a beer."""
        self.counts.updates += 1
        style, strength = self.rng.choice((*vocabulary.STYLES, None)), self.rng.choice((None, round(self.rng.uniform(2, 14), 2)))
        return "UPDATE dm_core.beer SET beer_style = %s, beer_abv = %s WHERE beer_id = %s", (style, strength, self.beers.any(self.rng))

    def update_brewery(self) -> Statement:
        """Rename a brewery."""
        self.counts.updates += 1
        return "UPDATE dm_core.brewery SET brewery_name = %s WHERE brewery_id = %s", (self._brewery_name(), self.breweries.any(self.rng))

    def update_profile(self) -> Statement:
        """Change the state and mail address of a profile."""
        self.counts.updates += 1
        key = self.profiles.any(self.rng)
        values = (self.rng.choice((*vocabulary.STATES, None)), self._mail(key), key)
        return "UPDATE dm_core.profile SET state = %s, email = %s WHERE profile_id = %s", values

    def insert_parent(self) -> Statement:
        """Insert a brewery, beer or profile."""
        self.counts.inserts += 1
        table, keys = self.rng.choice((("brewery", self.breweries), ("beer", self.beers), ("profile", self.profiles)))
        if self.rng.random() < 0.3:
            return self._parent_row(table, keys.new())
        self.childless[table].append(keys.reserve())
        return self._parent_row(table, self.childless[table][-1])

    def change_profile_key(self) -> Statement:
        """Give a profile without reviews a new key."""
        if not self.childless["profile"]:
            return self.insert_parent()
        old = self.childless["profile"].pop(0)
        new = self.profiles.reserve()
        self.childless["profile"].append(new)
        self.counts.key_changes += 1
        return "UPDATE dm_core.profile SET profile_id = %s WHERE profile_id = %s", (new, old)

    def delete_parent(self) -> Statement:
        """Delete a brewery, beer or profile without children."""
        tables = [table for table, keys in self.childless.items() if keys]
        if not tables:
            return self.insert_parent()
        table = self.rng.choice(tables)
        self.counts.deletes += 1
        return f"DELETE FROM dm_core.{table} WHERE {table}_id = %s", (self.childless[table].pop(0),)

    def _parent_row(self, table: str, key: int) -> Statement:
        if table == "brewery":
            return "INSERT INTO dm_core.brewery VALUES (%s, %s)", (key, self._brewery_name())
        if table == "beer":
            brewery = self.brewery_of[key] = self.breweries.any(self.rng)
            name = f"{self.rng.choice(vocabulary.BEER_FIRST)} {self.rng.choice(vocabulary.BEER_SECOND)}"
            return "INSERT INTO dm_core.beer VALUES (%s, %s, %s, %s, %s)", (key, brewery, name, self.rng.choice(vocabulary.STYLES), None)
        return "INSERT INTO dm_core.profile VALUES (%s, %s, %s, %s)", (
            key,
            f"new {key}",
            self._mail(key),
            self.rng.choice(vocabulary.STATES),
        )

    def _review_row(self, key: int) -> Statement:
        beer = self.beers.any(self.rng)
        scores = [self._score() for _ in range(5)]
        values = (key, self.brewery_of[beer], beer, self.profiles.any(self.rng), *scores, self._time())
        return f"INSERT INTO dm_core.review ({REVIEW_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", values

    def _brewery_name(self) -> str:
        return f"{self.rng.choice(vocabulary.BREWERY_PLACES)} {self.rng.choice(vocabulary.BREWERY_KINDS)}"

    def _mail(self, key: int) -> str:
        first, last = self.rng.choice(vocabulary.FIRST_NAMES), self.rng.choice(vocabulary.LAST_NAMES)
        return f"{first}.{last}{key}@{self.rng.choice(vocabulary.MAIL_DOMAINS)}"

    def _score(self) -> float | None:
        return None if self.rng.random() < 0.02 else self.rng.randint(2, 10) / 2

    def _time(self) -> int:
        return int(FIRST_MONTH.timestamp() + self.rng.random() * MONTHS * MONTH_SECONDS)


def run(dsn: str, changes: int, rate: float | None = None, seed: int = 1) -> ChurnCounts:
    """Change ``changes`` rows in transactions of 1 to 12, and return the counts.

    ``rate`` limits the changes a second. The tables must hold at least one brewery, beer, profile and review.
    """
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            workload = _workload(cursor, seed)
            started = time.monotonic()
            while workload.counts.changes < changes:
                size = min(workload.rng.randint(1, LARGEST_TRANSACTION), changes - workload.counts.changes)
                cursor.execute(b";".join(cursor.mogrify(*workload.change()) for _ in range(size)))
                connection.commit()
                workload.counts.transactions += 1
                if rate:
                    time.sleep(max(0.0, started + workload.counts.changes / rate - time.monotonic()))
    finally:
        connection.close()
    return workload.counts


def _workload(cursor: psycopg2.extensions.cursor, seed: int) -> Workload:
    def keys(table: str) -> list[int]:
        cursor.execute(f"SELECT {table}_id FROM dm_core.{table} ORDER BY 1")
        return [row[0] for row in cursor.fetchall()]

    cursor.execute("SELECT beer_id, brewery_id FROM dm_core.beer")
    brewery_of = dict(cursor.fetchall())
    review, beer, brewery, profile = (Keys(keys(table)) for table in ("review", "beer", "brewery", "profile"))
    return Workload(random.Random(seed), review, beer, brewery, profile, brewery_of)  # noqa: S311
