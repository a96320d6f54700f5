"""A table's identity: its object id, definition, files and place in the publication, but not its name.

The log shows none of these. Only the catalog shows that a table was swapped by a rename, truncated as a partition, or removed from the
publication. It is read without locks on the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from datamaster.source.pg_catalog import Cursor, split_name

READ = """
WITH RECURSIVE asked AS (
    SELECT c.oid, n.nspname || '.' || c.relname AS name, c.relkind, c.relpersistence, c.relreplident
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND (n.nspname, c.relname) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
), tree AS (
    SELECT oid AS root, oid, relkind FROM asked
    UNION ALL
    SELECT t.root, c.oid, c.relkind FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid
    WHERE t.relkind = 'p'
)
SELECT a.name, a.oid::bigint, a.relkind = 'p', a.relpersistence = 'p',
    (SELECT p.oid || ':' || p.xmin || ' ' || r.oid || ':' || r.xmin FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
     WHERE p.pubname = %s AND r.prrelid = a.oid),
    coalesce((SELECT json_object_agg(c.oid, c.relfilenode::bigint) FROM tree t JOIN pg_class c ON c.oid = t.oid
              WHERE t.root = a.oid AND c.relkind = 'r'), '{}'),
    coalesce((SELECT json_object_agg(c.oid, 0) FROM tree t JOIN pg_class c ON c.oid = t.oid
              WHERE t.root = a.oid AND c.relkind = 'r' AND c.relpages = 0), '{}'),
    coalesce((SELECT json_object_agg(x.attnum, json_build_array(x.attname, x.atttypid::bigint, x.atttypmod, x.xmin::text))
              FROM pg_attribute x WHERE x.attrelid = a.oid AND x.attnum > 0 AND NOT x.attisdropped AND x.attgenerated = ''), '{}'),
    coalesce((SELECT json_agg(x.attname ORDER BY array_position(i.indkey::int2[], x.attnum)) FROM pg_index i
              JOIN pg_attribute x ON x.attrelid = i.indrelid AND x.attnum = ANY (i.indkey) WHERE i.indrelid = a.oid
              AND CASE a.relreplident WHEN 'i' THEN i.indisreplident WHEN 'n' THEN false ELSE i.indisprimary END), '[]')
FROM asked a
"""
REPLACED, TRUNCATED, REWRITTEN, ALTERED = "replaced", "truncated", "rewritten", "altered"
ATTACHED, DETACHED, PUBLICATION_CHANGED, KEY_CHANGED = "partition attached", "partition gone", "publication changed", "key changed"


@dataclass(frozen=True)
class Identity:
    """A table at one moment.

    ``files`` holds the file nodes of the table or its leaf partitions by object id. ``columns`` holds name, type, typmod and row version by
    attribute number. ``published`` holds the publication's catalog rows and their versions, or None if it does not carry the table. ``key``
    identifies rows in the log.
    """

    oid: int
    partitioned: bool
    logged: bool
    published: str | None
    files: Mapping[str, int]
    empty: Mapping[str, int]
    columns: Mapping[str, Sequence[Any]]
    key: Sequence[str]

    def with_files(self, files: Mapping[str, int]) -> Identity:
        """A copy with some more files."""
        return replace(self, files={**self.files, **files})

    def json(self) -> dict[str, Any]:
        """The JSON form for a task's state."""
        return asdict(self)

    @property
    def problem(self) -> tuple[str, str] | None:
        """The reason why the table cannot be replicated, and the statement that cures it. None if it can."""
        if not self.key:
            return "has no primary key; add one", "ALTER TABLE … ADD PRIMARY KEY (…), or REPLICA IDENTITY DEFAULT if it has one"
        if not self.logged:
            return "is unlogged, so its changes are not in the log", "ALTER TABLE … SET LOGGED"
        return None


class TableChange(NamedTuple):
    """An event of a table: ``kind`` is a word, ``detail`` is for people. ``reload`` means that rows may have changed unseen."""

    kind: str
    detail: str
    reload: bool


def read_identities(cursor: Cursor, names: Sequence[str], publication: str) -> dict[str, Identity]:
    """The current identities of those ``names`` (each schema.table) that exist."""
    schemas, tables = zip(*map(split_name, names), strict=True)
    cursor.execute(READ, (list(schemas), list(tables), publication))
    return {name: Identity(*rest) for name, *rest in cursor.fetchall()}


def changes(old: Identity, new: Identity, away: bool) -> Iterator[TableChange]:
    """The events between two moments. ``away`` means that nothing watched in between.

    A new file alone (VACUUM FULL, pg_repack) changes no row. The log does not show a leaf partition's TRUNCATE, but its file does.
    """
    if new.oid != old.oid:
        yield TableChange(REPLACED, "another table has its name now", True)
        return
    if new.published != old.published:
        yield TableChange(PUBLICATION_CHANGED, "somebody changed what the publication carries of it", True)
    if attached := new.files.keys() - old.files.keys():
        yield TableChange(ATTACHED, f"{len(attached)} partitions came", True)
    if gone := old.files.keys() - new.files.keys():
        yield TableChange(DETACHED, f"{len(gone)} partitions were detached or dropped", True)
    moved = {oid for oid in new.files.keys() & old.files.keys() if new.files[oid] != old.files[oid]}
    if moved and any(new.columns[n][1:] != old.columns[n][1:] for n in new.columns.keys() & old.columns.keys()):
        yield TableChange(REWRITTEN, "ALTER TABLE wrote its rows anew", True)
    elif moved and new.partitioned and (away or moved & new.empty.keys()):
        yield TableChange(TRUNCATED, "a partition was emptied", True)
    yield from _altered(old, new)
    if list(new.key) != list(old.key):
        yield TableChange(KEY_CHANGED, f"from ({', '.join(old.key)}) to ({', '.join(new.key)}): write its contract anew", False)


def _altered(old: Identity, new: Identity) -> Iterator[TableChange]:
    names = {column[0]: number for number, column in old.columns.items()}
    for number, (name, kind, modifier, _) in new.columns.items():
        before = old.columns.get(number)
        if before is None and name in names:
            yield TableChange(ALTERED, f'column "{name}" was dropped and added again', True)
        elif before is None:
            yield TableChange(ALTERED, f'column "{name}" was added', False)
        elif before[0] != name:
            yield TableChange(ALTERED, f'column "{before[0]}" is "{name}" now', False)
        elif before[1:3] != [kind, modifier]:
            yield TableChange(ALTERED, f'column "{name}" has another type', False)
    kept = {column[0] for column in new.columns.values()}
    for number, (name, *_) in old.columns.items():
        if number not in new.columns and name not in kept:
            yield TableChange(ALTERED, f'column "{name}" was dropped', False)
