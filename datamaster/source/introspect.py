"""Write a first contract for a table from the source's catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import psycopg2.extensions
import yaml

from datamaster.source.connection import connected
from datamaster.source.naming import SourceName, column_names, folded, table_names
from datamaster.source.pg_catalog import CatalogColumn, read_columns, resolve, split_name
from datamaster.source.value_forms import numeric_size
from lake.contract.model import joined_name
from lake.contract.reader import parse_contract
from lake.source_session import SESSION_OPTIONS
from lake.types import ColumnType

API_VERSION = "v3.0.2"
Cursor: TypeAlias = psycopg2.extensions.cursor


def contract_yaml(dsn: str, table: str, references: bool = False, names: Mapping[SourceName, str] | None = None) -> str:
    """The text of a contract (Open Data Contract Standard v3) for ``table``, schema.table of the database at ``dsn``.

    Classifications, partition and quality rules are the owner's to add. ``references`` also writes the foreign keys of
    one column, which makes the tables they name part of the agreement. A type that the lake does not carry becomes
    ``text``, a numeric without precision too; the column's description says so. ``names`` are lake names given already,
    this table's among them. A table without a key is exported whole (``cdc: false``).

    Raises ``UnknownSourceTable``, ``SourceRefused``, ``SourceUnreachable``.
    """
    source = SourceName(*split_name(table))
    named = table_names([source], names or {})
    with connected(dsn, SESSION_OPTIONS) as connection, connection.cursor() as cursor:
        content = _contract(cursor, source, named, references)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    parse_contract(text, f"the contract of {source}", strict=True)
    return text


def _contract(cursor: Cursor, source: SourceName, names: Mapping[SourceName, str], references: bool) -> dict[str, Any]:
    columns, key = read_columns(cursor, *source)
    targets = _references(cursor, source, names) if references else {}
    table: dict[str, Any] = {"name": names[source], "physicalName": joined_name(*source), "physicalType": "table"}
    if columns[0].table_description:
        table["description"] = columns[0].table_description
    in_lake = column_names(column.name for column in columns)
    if not key:
        table["customProperties"] = [{"property": "cdc", "value": False}]
    table["properties"] = [_property(cursor, column, in_lake[column.name], key, targets) for column in columns]
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"{folded(source.schema)}-{folded(source.table)}".replace("_", "-"),
        "version": "1.0.0",
        "status": "active",
        "schema": [table],
    }


def _property(cursor: Cursor, column: CatalogColumn, name: str, key: tuple[str, ...], targets: dict[str, str]) -> dict[str, Any]:
    spelling, note = _spelling(cursor, column.type_id, column.modifier)
    entry: dict[str, Any] = {"name": name} | ({"physicalName": column.name} if name != column.name else {})
    entry |= {"logicalType": ColumnType.parse(spelling).rule.logicals[0], "physicalType": spelling}
    if column.name in key:
        entry |= {"primaryKey": True, "primaryKeyPosition": key.index(column.name) + 1}
    if column.required:
        entry["required"] = True
    if words := " ".join(filter(None, (column.description, note))):
        entry["description"] = words
    if column.may_be_out_of_line and not ColumnType.parse(spelling).unbounded and column.name not in key:
        entry["customProperties"] = [{"property": "unchanged", "value": True}]
    if column.name in targets:
        entry["relationships"] = [{"to": targets[column.name]}]
    return entry


def _spelling(cursor: Cursor, type_id: int, modifier: int) -> tuple[str, str]:
    """A column's type in a contract, by the table of value forms, and a note if it differs from the source's type."""
    type_id, modifier, form = resolve(cursor, type_id, modifier)
    cursor.execute("SELECT format_type(%s, %s)", (type_id, modifier))
    (source,) = cursor.fetchone()
    if form.contract in ("enum", "interval", "text[]"):
        return form.contract, ""
    if form.name == "numeric(p,s)":
        precision, scale = numeric_size(modifier) or (0, 0)
        spelling = f"numeric({precision},{scale})"
        return spelling, "" if spelling == source else f"{source} in the source."
    if form.name == "numeric":
        return form.contract, "A numeric without precision in the source, carried as its text; numeric(p, s) here makes it a number."
    if form.contract:
        return form.contract, f"{source} in the source" + (", carried as its text." if form.contract == "text" else ".")
    return _shortened(source), ""


def _shortened(spelling: str) -> str:
    """PostgreSQL's long type names in their short forms: varchar, timestamp, timestamptz."""
    spelling = spelling.replace("character varying", "varchar")
    spelling = re.sub(r"timestamp(\(\d\))? with time zone", "timestamptz", spelling)
    return re.sub(r"timestamp(\(\d\))? without time zone", "timestamp", spelling)


def _references(cursor: Cursor, source: SourceName, names: Mapping[SourceName, str]) -> dict[str, str]:
    """Single-column foreign keys: the column, and the lake's table.column that it references."""
    cursor.execute(
        "SELECT a.attname, s.nspname, t.relname, f.attname, (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped)"
        " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace s ON s.oid = t.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]"
        " JOIN pg_attribute f ON f.attrelid = t.oid AND f.attnum = k.confkey[1]"
        " WHERE n.nspname = %s AND c.relname = %s AND k.contype = 'f' AND cardinality(k.conkey) = 1",
        source,
    )
    targets = {}
    for column, schema, table, target, columns in cursor.fetchall():
        other = SourceName(schema, table)
        targets[column] = f"{table_names([other], names)[other]}.{column_names(columns)[target]}"
    return targets
