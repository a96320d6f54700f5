"""List the tables of a user's database: size, key, and the reason if one cannot be taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from datamaster.source.naming import SourceName
from datamaster.source.pg_catalog import Cursor, quoted

COUNTED_BYTES = 8 << 20
"""Rows of a table without statistics are counted up to this size."""
KINDS = {"f": "a foreign table: PostgreSQL does not log its rows", "m": "a materialized view: PostgreSQL does not log its rows"}
TABLES = """
    SELECT n.nspname, c.relname, c.relkind, pg_total_relation_size(c.oid),
        CASE c.relkind WHEN 'p' THEN (SELECT sum(l.reltuples) FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid
            WHERE t.isleaf AND l.reltuples > 0) ELSE c.reltuples END::bigint,
        (SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum)) FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid
            AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END),
        (SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),
        has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
        AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'awsdms')
    ORDER BY 1, 2
"""


@dataclass(frozen=True)
class SourceTable:
    """A table of the source. ``rows`` is an estimate, None if there is none.

    ``obstacle`` is the reason why it cannot be taken. An ``extension``'s table is only taken if it is requested by name.
    """

    name: SourceName
    rows: int | None
    bytes: int
    key: tuple[str, ...]
    obstacle: str = ""
    extension: str = ""


@dataclass(frozen=True)
class Choice:
    """The requested tables: ``tables`` by name, or those of ``schemas`` that match ``include`` and not ``exclude``.

    Shell patterns (``*``, ``?``, ``[…]``) match the table's name or schema.table.
    """

    tables: tuple[SourceName, ...] = ()
    schemas: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, name: SourceName) -> bool:
        """Whether a table is requested."""
        if self.tables:
            return name in self.tables
        if self.schemas and name.schema not in self.schemas:
            return False
        return (not self.include or _fits(name, self.include)) and not _fits(name, self.exclude)


def survey(cursor: Cursor) -> list[SourceTable]:
    """Every table of the database, except partitions (they come with their table) and temporary tables."""
    cursor.execute(TABLES)
    return [_table(cursor, *row) for row in cursor.fetchall()]


def _table(
    cursor: Cursor,
    schema: str,
    name: str,
    kind: str,
    size: int,
    rows: int | None,
    key: Sequence[str] | None,
    extension: str | None,
    read: bool,
) -> SourceTable:
    obstacle = "its schema's name holds a dot" if "." in schema else KINDS.get(kind, "")
    known = rows if rows is not None and rows > 0 else None
    if known is None and kind in ("r", "p") and size <= COUNTED_BYTES and read and not obstacle:
        cursor.execute(f"SELECT count(*) FROM {quoted(schema)}.{quoted(name)}")
        ((known,),) = cursor.fetchall()
    return SourceTable(SourceName(schema, name), known, size, tuple(key or ()), obstacle, extension or "")


def _fits(name: SourceName, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name.table, pattern) or fnmatchcase(str(name), pattern) for pattern in patterns)
