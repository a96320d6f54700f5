"""Values that came with a key: columns that a key change left out (unchanged TOAST) keep the value of the old key's row.

A key change is two lines, the old key's delete (sub-number 0) and the new key's image (1). If the image leaves a column
out, its value is the old key's at that place. That value may itself come from a third key. ``cdc_at_<column>`` holds the
evidence beside the value, as a path of places, newest first. ``20<10`` means that the key was taken over at 20 and that
the value was written at 10. ``20<`` means that the value is not known yet, ``20>10`` that it may be another one,
``10?`` that it was written at 10 and did not travel. Paths sort as text in the order of the evidence, so a late carrier
fills exactly the rows that its value went to. ``cdc_origin`` keeps the keys along the path.

There are two doubts. First, the old key was written again and merged before the key change arrived, so its value at that
place is lost. Second, a load or an export read the old key's row, and the key may have been written again before that
read. Then the read may have come before or after the key change. A reader's place in the log is not known, only the time
at which it finished (``read_until``).

Only rows that such key changes touch pass through the driver.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, Row, SparkSession

from jobs.iceberg.catalog import SILVER, engine_name
from jobs.iceberg.tables import ORIGIN, applied_at
from jobs.silver.changes import AT, GENERATION, GENERATION_WIDTH, IS_DELETE, VALID_AT
from lake import cdc
from lake.contract import Column, Contract
from lake.types import BYTES, DATE, DECIMAL, TIMESTAMP

Key = tuple[Any, ...]
COMMITTED, RECORD, PAIRED, OLD = "cdc_committed", "cdc_record", "cdc_paired", "cdc_old"
STEP, DOUBT = "<", ">"
CLOCK_SLACK = timedelta(minutes=1)
"""The possible difference between the source's clock, which gives commit times, and the clock of a reader of its rows."""


class KeyChange(NamedTuple):
    """A key change that left columns out. ``at`` is its place, ``origin`` the old key (None if its delete is not known)."""

    key: Key
    origin: Key | None
    at: str
    columns: list[str]


def key_changes(changes: DataFrame, contract: Contract) -> list[KeyChange]:
    """The key changes among ``changes`` that leave partial columns out.

    ``changes`` has key, generation, position, place, unchanged columns and deletes.
    """
    keys, columns = [c.name for c in contract.key], [c.name for c in contract.partial_columns]
    named = ", ".join(f"'{name}'" for name in columns)
    new = changes.where(f"not {IS_DELETE} and {cdc.POSITION} like '%-1' and size(array_intersect({cdc.UNCHANGED}, array({named}))) > 0")
    old = changes.where(f"{IS_DELETE} and {cdc.POSITION} like '%-0'")
    record = f"concat({GENERATION}, substring({cdc.POSITION}, 1, length({cdc.POSITION}) - 1))"
    left = new.selectExpr(*(f"`{name}`" for name in keys), AT, cdc.UNCHANGED, f"{record} as {RECORD}")
    right = old.selectExpr(*(f"`{name}` as `{OLD}_{name}`" for name in keys), f"{record} as {RECORD}", f"true as {PAIRED}")
    joined = left.join(right, RECORD, "left")
    found = joined.select(*keys, *(f"{OLD}_{name}" for name in keys), AT, cdc.UNCHANGED, PAIRED).distinct().collect()
    return [
        KeyChange(
            tuple(row[name] for name in keys),
            tuple(row[f"{OLD}_{name}"] for name in keys) if row[PAIRED] else None,
            row[AT],
            [name for name in row[cdc.UNCHANGED] if name in columns],
        )
        for row in found
    ]


@dataclass
class Events:
    """The known events of one column: the changes that carried it under each key, and the keys that took it over.

    ``images`` is the commit time of each image of a key in the batch. ``read_until`` is the time by generation at which its
    last row was read. Both are in microseconds since 1970.
    """

    read_until: Mapping[int, int] = field(default_factory=dict)
    images: Mapping[Key, Mapping[str, int]] = field(default_factory=dict)
    carriers: dict[Key, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    arrivals: dict[Key, dict[str, Key | None]] = field(default_factory=lambda: defaultdict(dict))
    stored: dict[Key, str] = field(default_factory=dict)
    steps: dict[tuple[Key, str], tuple[str, str]] = field(default_factory=dict)

    def resolve(self, key: Key, below: str | None = None) -> tuple[str, Any, list[Key]] | None:
        """Path, value and keys of the newest event of a key before a place. None if no event is known."""
        places = [at for at in (*self.carriers[key], *self.arrivals[key]) if below is None or at < below]
        if not places:
            return None
        at = max(places)
        if at in self.carriers[key]:
            return at, self.carriers[key][at], []
        origin = self.arrivals[key][at]
        found = self.resolve(origin, at) if origin is not None else None
        path, value, keys = found or ("", None, [])
        step = self._step(key, origin, at, path)
        return at + step + path, value, [] if origin is None else [origin, *keys]

    def _step(self, key: Key, origin: Key | None, at: str, path: str) -> str:
        """``DOUBT`` if the key may have taken over another value of the origin than the one with this path, else ``STEP``."""
        if origin is None:
            return STEP
        lost = self.stored.get(origin, "")[: len(at)] >= at
        # a value that was certain at the takeover stays certain, because its row has followed since
        step, path_before = self.steps.get((key, at)) or (DOUBT if lost else STEP, path)
        read = path.endswith(cdc.READ) and len(path) == len(at) and path[:GENERATION_WIDTH] == at[:GENERATION_WIDTH]
        return DOUBT if read and (self._written_anew(origin, at) or (lost and path != path_before)) else step

    def _written_anew(self, origin: Key, at: str) -> bool:
        """Whether a reader of the generation's rows may have seen an image of the origin behind this place."""
        until = self.read_until.get(int(at[:GENERATION_WIDTH]), 0)
        images = self.images.get(origin, {}).items()
        return any(place > at and committed <= until and not place.endswith(cdc.READ) for place, committed in images)

    def write(self, key: Key, column: str, change: Row) -> None:
        """Take a change of the column's value, if it is one; a value that did not travel is null at a marked place."""
        unchanged = change[cdc.UNCHANGED] or ()
        if column not in unchanged:
            mark = cdc.UNSEEN if cdc.UNSEEN + column in unchanged else ""
            self.carriers[key][change[AT] + mark] = change[column]

    def learn(self, key: Key, path: str, value: Any, origins: list[Key]) -> None:
        """Record the evidence of a silver row: the steps of its path, and the carrier at its end."""
        self.stored[key] = path
        places = path.replace(DOUBT, STEP).split(STEP)
        steps = [character for character in path if character in STEP + DOUBT]
        for number, at in enumerate(places[:-1]):
            origin = origins[number] if number < len(origins) else None
            self.arrivals[key][at] = origin
            self.steps[key, at] = steps[number], path[sum(map(len, places[: number + 1])) + number + 1 :]
            if origin is None:
                return
            key = origin
        if places[-1]:
            self.carriers[key][places[-1]] = value

    def moved(self, key: Key) -> tuple[str, Any, list[Key]] | None:
        """The result of ``resolve`` if the value came from another key, else None."""
        found = self.resolve(key)
        return found if found is not None and {STEP, DOUBT} & set(found[0]) else None


class Lineage:
    """Resolves the key changes of one batch of a table with partial columns.

    ``read_until`` is the time by generation at which a load or an export read its last row, in microseconds since 1970.
    """

    def __init__(self, spark: SparkSession, contract: Contract, changes: DataFrame, read_until: Mapping[str, int]) -> None:
        self.spark = spark
        self.contract = contract
        self.keys = [c.name for c in contract.key]
        self.columns = [c.name for c in contract.partial_columns]
        self.changes = changes.selectExpr(
            *(f"`{name}`" for name in (*self.keys, *self.columns)),
            GENERATION,
            cdc.POSITION,
            cdc.UNCHANGED,
            IS_DELETE,
            AT,
            f"unix_micros({VALID_AT}) as {COMMITTED}",
        )
        slack = CLOCK_SLACK // timedelta(microseconds=1)
        self.read_until = {int(generation): until + slack for generation, until in read_until.items()}
        self.silver = spark.table(engine_name(SILVER, contract.table))

    def resolved(self) -> DataFrame | None:
        """Rows for the keys whose values depend on a key change. None if there are none.

        A row has the key, each partial column with its path, and the origin.
        """
        arrived = self._arrived()
        followers = self._followers()
        if not arrived and not followers:
            return None
        linked = {key for new, old, _, _ in arrived for key in (new, old) if key is not None}
        for key, origins in followers.items():
            linked |= {key, *origins}
        events = self._events(arrived, linked)
        rows = [row for key in sorted({new for new, _, _, _ in arrived} | set(followers), key=repr) if (row := self._row(key, events))]
        return self.spark.createDataFrame(rows, self._schema()) if rows else None

    def _arrived(self) -> list[KeyChange]:
        return key_changes(self.changes, self.contract)

    def _followers(self) -> dict[Key, list[Key]]:
        """Silver rows with values from keys that the batch writes to."""
        moved = {
            self._key(row): self._origins(row) for row in self.silver.where(f"{ORIGIN} is not null").select(*self.keys, ORIGIN).collect()
        }
        origins = {origin for chain in moved.values() for origin in chain}
        if not origins:
            return {}
        written = {self._key(row) for row in self._only(self.changes, origins).select(*self.keys).distinct().collect()}
        return {key: chain for key, chain in moved.items() if written.intersection(chain)}

    def _events(self, arrived: list[KeyChange], linked: set[Key]) -> dict[str, Events]:
        images: dict[Key, dict[str, int]] = defaultdict(dict)
        events = {name: Events(self.read_until, images) for name in self.columns}
        for row in self._only(self.silver, linked).select(*self.keys, *self.columns, *map(applied_at, self.columns), ORIGIN).collect():
            for name in self.columns:
                if row[applied_at(name)]:
                    events[name].learn(self._key(row), row[applied_at(name)], row[name], self._origins(row))
        for row in self._only(self.changes.where(f"not {IS_DELETE}"), linked).collect():
            images[self._key(row)][row[AT]] = row[COMMITTED]
            for name in self.columns:
                events[name].write(self._key(row), name, row)
        for new, old, at, columns in arrived:
            for name in columns:
                events[name].arrivals[new][at] = old
        return events

    def _row(self, key: Key, events: dict[str, Events]) -> Key | None:
        values: list[Any] = []
        chain: list[Key] = []
        for name in self.columns:
            path, value, keys = events[name].moved(key) or (None, None, [])
            values += [value, path]
            chain = max(chain, keys, key=len)
        if all(path is None for path in values[1::2]):
            return None
        return (*key, *values, json.dumps([[_encoded(part) for part in origin] for origin in chain]) if chain else None)

    def _schema(self) -> str:
        types = {c.name: c.type.sql for c in self.contract.columns}
        fields = [f"`{name}` {types[name]}" for name in self.keys]
        fields += [part for name in self.columns for part in (f"`{name}` {types[name]}", f"{applied_at(name)} string")]
        return ", ".join([*fields, f"{ORIGIN} string"])

    def _only(self, rows: DataFrame, keys: Iterable[Key]) -> DataFrame:
        schema = self._schema().split(f", `{self.columns[0]}`")[0]
        return rows.join(self.spark.createDataFrame(sorted(keys, key=repr), schema), self.keys, "left_semi")

    def _key(self, row: Row) -> Key:
        return tuple(row[name] for name in self.keys)

    def _origins(self, row: Row) -> list[Key]:
        chain = json.loads(row[ORIGIN]) if row[ORIGIN] else []
        return [tuple(_decoded(text, column) for text, column in zip(parts, self.contract.key, strict=True)) for parts in chain]


def merged(folded: DataFrame, resolved: DataFrame, contract: Contract) -> DataFrame:
    """Folded rows with the values from key changes, and rows for keys that the batch itself does not write to."""
    keys = [c.name for c in contract.key]
    partial = {name for c in contract.partial_columns for name in (c.name, applied_at(c.name))}
    selected = [f"coalesce(f.`{name}`, r.`{name}`) as `{name}`" for name in keys]
    selected += [f"f.`{name}`" for name in folded.columns if name not in partial and name not in keys and name != ORIGIN]
    for column in contract.partial_columns:
        at = applied_at(column.name)
        wins = f"coalesce(r.{at} > coalesce(f.{at}, ''), false)"
        selected += [f"case when {wins} then r.{name} else f.{name} end as {name}" for name in (f"`{column.name}`", at)]
    selected.append(f"r.{ORIGIN} as {ORIGIN}")
    f, r = folded.alias("f"), resolved.alias("r")
    condition = [f[name].eqNullSafe(r[name]) for name in keys]
    return f.join(r, condition, "full_outer").selectExpr(*selected)


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    TIMESTAMP.name: datetime.fromisoformat,
    DATE.name: date.fromisoformat,
    BYTES.name: bytearray.fromhex,
    DECIMAL.name: Decimal,
}


def _encoded(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    return str(value) if isinstance(value, Decimal) else value


def _decoded(value: Any, column: Column) -> Any:
    return _DECODERS.get(column.type.form.name, lambda same: same)(value)
