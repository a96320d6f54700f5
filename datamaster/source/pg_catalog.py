"""A table's definition in the source's catalog: columns, value forms, key."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

import psycopg2.extensions

from datamaster.source.value_forms import ValueForm, form_of
from lake.errors import TerminalError

Cursor: TypeAlias = psycopg2.extensions.cursor

SLOT, PUBLICATION = "dm_replicator", "dm_replicator"
UTF8 = "utf-8"


class UnknownSourceTable(TerminalError):
    """The source has no such table."""


class UnknownEncoding(TerminalError):
    """Python cannot read the server's encoding."""


class TableWithoutKey(TerminalError):
    """A table has no primary key, so its rows cannot be identified."""


@dataclass(frozen=True)
class SourceColumn:
    """One column: its name, the form of its values, and whether it may be null."""

    name: str
    form: ValueForm
    nullable: bool
    type_id: int


@dataclass(frozen=True)
class Table:
    """A table of the source. ``key`` names the primary key's columns in order. ``codec`` is the encoding of its values."""

    schema: str
    name: str
    columns: tuple[SourceColumn, ...]
    key: tuple[str, ...]
    codec: str = UTF8

    @property
    def identifier(self) -> str:
        """Schema and name, quoted for SQL."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @cached_property
    def key_places(self) -> tuple[int, ...]:
        """The positions of the key's columns in ``columns``, in the key's order."""
        names = [column.name for column in self.columns]
        return tuple(names.index(name) for name in self.key)

    @cached_property
    def writers(self) -> tuple[tuple[str, Callable[[bytes], object]], ...]:
        """Each column's name and the function that writes its values."""
        return tuple((column.name, column.form.write) for column in self.columns)

    @property
    def signature(self) -> list[list[object]]:
        """Names and types of the columns. It differs if the definition has changed."""
        return [[column.name, column.type_id] for column in self.columns]

    @property
    def definition(self) -> dict[str, object]:
        """The ``table-def`` of a control record."""
        columns = {column.name: {"nullable": column.nullable, "type": column.form.dms} for column in self.columns}
        return {"columns": columns, "primary-key": list(self.key)}


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def split_name(name: str) -> tuple[str, str]:
    """Schema and table of ``schema.table``. Raises ``UnknownSourceTable`` if there is no schema."""
    schema, dot, table = name.partition(".")
    if not (schema and dot and table):
        raise UnknownSourceTable(f'table "{name}"; expected schema.table')
    return schema, table


class CatalogColumn(NamedTuple):
    """A column of the catalog. ``type_id`` and ``modifier`` are PostgreSQL's atttypid and atttypmod.

    ``may_be_out_of_line`` means that a long value is stored out of line (TOAST), so an update may omit it.
    """

    name: str
    type_id: int
    modifier: int
    required: bool
    description: str | None
    table_description: str | None
    may_be_out_of_line: bool
    table_oid: int


def read_columns(cursor: Cursor, schema: str, name: str) -> tuple[list[CatalogColumn], tuple[str, ...]]:
    """The stored columns of a table, and the names of its key's, none if it has no key. Raises ``UnknownSourceTable``."""
    cursor.execute(
        "SELECT a.attname, a.atttypid::bigint, a.atttypmod, a.attnotnull, col_description(c.oid, a.attnum),"
        " obj_description(c.oid, 'pg_class'),"
        " t.typname IN ('varchar', 'bpchar') AND (c.relkind = 'p' OR c.reltoastrelid <> 0) AND a.attstorage <> 'p',"
        " c.oid::bigint"
        " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped"
        " AND a.attgenerated = '' ORDER BY a.attnum",
        (schema, name),
    )
    columns = [CatalogColumn(*row) for row in cursor.fetchall()]
    if not columns:
        raise UnknownSourceTable(f'the source has no table "{schema}.{name}"')
    return columns, primary_key(cursor, columns[0].table_oid)


def read_table(cursor: Cursor, schema: str, name: str, codec: str = UTF8) -> Table:
    """Read a table from the catalog. ``codec`` is the encoding of its values. Raises ``UnknownSourceTable``, ``TableWithoutKey``."""
    columns, key = read_columns(cursor, schema, name)
    if not key:
        raise TableWithoutKey(f'table "{schema}.{name}" has no primary key; add one')
    forms = (SourceColumn(c.name, resolve_form(cursor, c.type_id, c.modifier, codec), not c.required, c.type_id) for c in columns)
    return Table(schema, name, tuple(forms), key, codec)


def primary_key(cursor: Cursor, oid: int) -> tuple[str, ...]:
    """The columns that identify a table's rows in the log, in the index's order. Empty if there are none or the table is gone.

    They are the primary key's, or those of the unique index that is the replica identity.
    """
    cursor.execute(
        "SELECT a.attname FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
        " WHERE c.oid = %s AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'n' THEN false ELSE i.indisprimary END"
        " ORDER BY array_position(i.indkey::int2[], a.attnum)",
        (oid,),
    )
    return tuple(row[0] for row in cursor.fetchall())


def server_encoding(cursor: Cursor) -> tuple[str, str]:
    """The server's encoding in PostgreSQL's terms, and the matching codec. Raises ``UnknownEncoding``.

    A SQL_ASCII database has no encoding. Its values are read as UTF-8, one by one.
    """
    cursor.execute("SHOW server_encoding")
    (name,) = cursor.fetchone()
    codec = UTF8 if name == "SQL_ASCII" else psycopg2.extensions.encodings.get(name)
    if codec is None:
        raise UnknownEncoding(f'server encoding "{name}" holds values without an equivalent in UTF-8, and Python does not read it')
    return str(name), str(codec)


def resolve_form(cursor: Cursor, type_id: int, modifier: int, codec: str = UTF8) -> ValueForm:
    """The value form of a type by its object id. A domain has the form of its base type."""
    _, _, form = resolve(cursor, type_id, modifier)
    return form if codec == UTF8 else replace(form, write=lambda value: form.write(value.decode(codec).encode()))


def resolve(cursor: Cursor, type_id: int, modifier: int) -> tuple[int, int, ValueForm]:
    """Type and typmod below all domains, and the form of the values."""
    while True:
        cursor.execute("SELECT typname, typcategory, typtype, typbasetype::bigint, typtypmod FROM pg_type WHERE oid = %s", (type_id,))
        row = cursor.fetchone()
        if row is None:
            return type_id, modifier, form_of("", "", modifier)
        name, category, kind, base, base_modifier = row
        if kind != "d":
            return type_id, modifier, form_of(name, category, modifier)
        type_id, modifier = base, base_modifier


def session_name(slot: str) -> str:
    """The application name of a task's sessions."""
    return f"awsdms {slot}"


def lock_number(slot: str) -> int:
    """The number of the advisory lock that prevents a second task on ``slot``."""
    return zlib.crc32(f"awsdms {slot}".encode())
