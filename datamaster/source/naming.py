"""A unique, stable lake name for every table and column of a source.

A table's name consists of [a-z0-9_], which Glue, S3 and every engine accept. If a name is taken, or reserved for the lake's own tables, it
gets its schema as a prefix, then a number as a suffix. Letters of other scripts are replaced by a short digest of the source's name. Names
in existing contracts stay.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from lake.contract.names import OWN, QUALITY_RESULTS, column_problem, tables_beside


class SourceName(NamedTuple):
    """Schema and name of a table in the source."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


def table_names(sources: Iterable[SourceName], known: Mapping[SourceName, str]) -> dict[SourceName, str]:
    """The lake's name of each table. ``known`` are names already given."""
    names = dict(known)
    new = sorted(set(sources) - known.keys(), key=lambda s: (folded(s.table) != s.table, s))
    wanted_as_is = Counter(s.table for s in new)
    for source in new:
        plain = folded(source.table)
        candidates = _candidates(source, plain)
        if plain == source.table and wanted_as_is[plain] > 1:
            next(candidates)  # if two schemas have a table of this name, neither gets it
        names[source] = next(name for name in candidates if _free(name, names.values()))
    return names


def column_names(columns: Iterable[str]) -> dict[str, str]:
    """The lake's name of each column: lower-case letters, digits and underscores, and no reserved name."""
    given = list(columns)
    names: dict[str, str] = {}
    for column in sorted(given, key=lambda c: _column(c) != c):
        plain = _column(column)
        numbered = itertools.chain([plain], (f"{plain}_{number}" for number in itertools.count(2)))
        names[column] = next(name for name in numbered if name not in names.values())
    return {column: names[column] for column in given}


def folded(name: str) -> str:
    """A source's name in lower case without accents, of [a-z0-9_], starting with a letter."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    plain = re.sub(r"[^a-z0-9_]+", "_", bare).strip("_")
    if any(c.isalnum() and not c.isascii() for c in bare) or not plain:
        plain = f"{plain or 't'}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return plain if plain[0].isalpha() else f"t_{plain}"


def _candidates(source: SourceName, plain: str) -> Iterator[str]:
    in_schema = f"{folded(source.schema)}_{plain}"
    yield from (plain, in_schema)
    yield from (f"{in_schema}_{number}" for number in itertools.count(2))


def _free(name: str, taken: Collection[str]) -> bool:
    """Whether the name and its companion tables collide with no table of a contract or of the lake."""
    own = {beside for table in taken for beside in tables_beside(table)}
    return name not in {*taken, QUALITY_RESULTS, *own} and OWN not in name and set(tables_beside(name)).isdisjoint(taken)


def _column(column: str) -> str:
    name = re.sub(r"\W+", "_", column.lower()).strip("_") or "column"
    return f"source_{name}" if column_problem(name) or name[0].isdigit() else name
