"""The COPY statements of an export: the contract's columns in the CSV that the converter reads, in ranges of the table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg2 import sql

from export.snapshot import Snapshot
from lake.cdc import BUILT_AT, LOAD, OPERATION, POSITION
from lake.contract import Contract
from lake.contract.names import ROW
from lake.control.records import timestamp
from lake.errors import TransientError

RANGE_BLOCKS = 2048
"""16 MB of the table: enough that a statement more costs nothing, small enough for progress and for an even share."""
RANGE_SCANS = 140000
"""PostgreSQL 14, the first whose scan of a range of ctids reads only these blocks."""


class Rewritten(TransientError):
    """The table is not the one of the snapshot any more."""


def header(contract: Contract) -> list[str]:
    """The columns of the CSV: the contract's, then operation, position and time."""
    return [*(column.name for column in contract.columns), OPERATION, POSITION, BUILT_AT]


def copies(
    snapshot: Snapshot, contract: Contract, built_at: datetime, since: str | None = None, only: Sequence[Sequence[str]] | None = None
) -> list[str]:
    """The statements whose rows together are the export's, with ``built_at`` as their time. Each row is in one of them.

    A whole export goes by ranges of blocks. The snapshot's own connection holds a lock on the table, so no rewrite moves a row meanwhile.
    Raises ``Rewritten``.
    """
    connection = snapshot.connection
    blocks = _lock(connection, contract)
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(_columns(snapshot, contract, built_at)), source(connection, contract))
    if only:
        return [_copy(connection, query, _keys(contract, only))]
    if since is not None and contract.export_watermark is not None:
        return [_copy(connection, query, _newer(contract, contract.export_watermark, since))]
    numbered = any(column.name == ROW for column in contract.columns)
    return [_copy(connection, query, bounds) for bounds in _ranges(0 if numbered else blocks)]


def watermark(connection: Any, contract: Contract) -> str | None:
    """The highest value of the watermark column in the snapshot."""
    if contract.export_watermark is None:
        return None
    column = sql.Identifier(contract.by_name[contract.export_watermark].source_name)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT max({})::text FROM {}").format(column, source(connection, contract)))
        (value,) = cursor.fetchone()
    return None if value is None else str(value)


def source(connection: Any, contract: Contract) -> sql.Composable:
    """The table without the tables that inherit from it. A partitioned table includes its partitions."""
    table = sql.Identifier(contract.source_schema, contract.source_table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", (table.as_string(connection),))
        only = cursor.fetchone() != (True,)
    return sql.SQL("ONLY {}").format(table) if only else table


def _columns(snapshot: Snapshot, contract: Contract, built_at: datetime) -> list[sql.Composable]:
    own = [sql.SQL("row_number() OVER ()") if column.name == ROW else sql.Identifier(column.source_name) for column in contract.columns]
    return [*own, sql.Literal(LOAD), sql.Literal(snapshot.position), sql.Literal(timestamp(built_at))]


def _copy(connection: Any, query: sql.Composable, condition: sql.Composable | None) -> str:
    chosen = query if condition is None else sql.SQL("{} WHERE {}").format(query, condition)
    return str(sql.SQL("COPY ({}) TO STDOUT WITH (FORMAT csv)").format(chosen).as_string(connection))


def _keys(contract: Contract, keys: Sequence[Sequence[str]]) -> sql.Composable:
    return sql.SQL("({}) IN ({})").format(
        sql.SQL(", ").join(sql.Identifier(column.source_name) for column in contract.key),
        sql.SQL(", ").join(sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, key))) for key in keys),
    )


def _newer(contract: Contract, watermark: str, since: str) -> sql.Composable:
    """The condition for rows from the watermark minus the lateness. Rows without a value may be new, so they are read again."""
    numeric = contract.by_name[watermark].type.is_number
    late = sql.SQL("{}") if numeric else sql.SQL("make_interval(secs => {})")
    bound = sql.SQL("{}::{} - " + late.string).format(
        sql.Literal(since), sql.SQL("numeric" if numeric else "timestamptz"), sql.Literal(contract.export_lateness)
    )
    return sql.SQL("({column} >= {bound} OR {column} IS NULL)").format(
        column=sql.Identifier(contract.by_name[watermark].source_name), bound=bound
    )


def _lock(connection: Any, contract: Contract) -> int:
    """Lock the table against rewrites, as every reading does, and return its size in blocks, or that of its largest partition.

    The size is 0 if rows cannot be told apart by their blocks: in foreign tables, other ways of storage, and on servers that would read
    the whole table for each range. A snapshot sees a table empty that was rewritten after it, so its file has to be the one that the
    snapshot knows. Raises ``Rewritten``.
    """
    table = sql.Identifier(contract.source_schema, contract.source_table).as_string(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT FROM {} LIMIT 0").format(source(connection, contract)))
        cursor.execute(
            "WITH leaf AS (SELECT relid FROM pg_partition_tree(%(table)s) WHERE isleaf UNION SELECT to_regclass(%(table)s))"
            " SELECT bool_and(coalesce(c.relfilenode = coalesce(pg_relation_filenode(c.oid), 0), false))"
            ", bool_and(c.relkind = 'p' OR (c.relkind = 'r' AND a.amname = 'heap'))"
            ", max(pg_relation_size(c.oid)) / current_setting('block_size')::int"
            " FROM leaf LEFT JOIN pg_class c ON c.oid = leaf.relid LEFT JOIN pg_am a ON a.oid = c.relam",
            {"table": table},
        )
        same, stored, blocks = cursor.fetchone()
    if not same:
        raise Rewritten(f"{contract.source_schema}.{contract.source_table} was rewritten while its snapshot was taken; export it again")
    return int(blocks) if stored and connection.server_version >= RANGE_SCANS else 0


def _ranges(blocks: int) -> list[sql.Composable | None]:
    """Conditions that split the table by blocks. The first and the last have one bound, so that no row is outside."""
    cuts = range(RANGE_BLOCKS, blocks, RANGE_BLOCKS)
    starts = [None, *cuts]
    return [_between(start, end) for start, end in zip(starts, [*cuts, None], strict=True)]


def _between(start: int | None, end: int | None) -> sql.Composable | None:
    bounds = [f"ctid {sign} '({block},0)'" for sign, block in ((">=", start), ("<", end)) if block is not None]
    return sql.SQL(" AND ".join(bounds)) if bounds else None
