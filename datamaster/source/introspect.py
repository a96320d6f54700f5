"""A first contract for a table, written from the source's catalog."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import psycopg2
import psycopg2.extensions
import yaml

from datamaster.source.pg_catalog import CatalogColumn, read_columns, resolve, split_name
from datamaster.source.value_forms import numeric_size
from lake.contract.reader import RESERVED, parse_contract
from lake.source_session import SESSION_OPTIONS
from lake.types import ColumnType

API_VERSION = "v3.0.2"
Cursor: TypeAlias = psycopg2.extensions.cursor


def contract_yaml(dsn: str, table: str, references: bool = False) -> str:
    """The text of a contract (Open Data Contract Standard v3) for ``table``, schema.table of the database at ``dsn``.

    Classifications, partition and quality rules are the owner's to add. ``references`` also writes the foreign keys of
    one column, which makes the tables they name part of the agreement. A type that the lake does not carry becomes
    ``text``, a numeric without precision too; the column's description says so.

    Raises ``UnknownSourceTable``, ``TableWithoutKey``, and ``lake.contract.InvalidContract`` where a name is one that the
    lake keeps for itself.
    """
    schema, name = split_name(table)
    connection = psycopg2.connect(dsn, options=SESSION_OPTIONS)
    try:
        with connection.cursor() as cursor:
            content = _contract(cursor, schema, name, references)
    finally:
        connection.close()
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    parse_contract(text, f"{content['schema'][0]['name']}.yaml")
    return text


def _contract(cursor: Cursor, schema: str, name: str, references: bool) -> dict[str, Any]:
    columns, key = read_columns(cursor, schema, name)
    targets = _references(cursor, schema, name) if references else {}
    lake_name = _lake_name(name)
    table: dict[str, Any] = {"name": lake_name, "physicalName": f"{schema}.{name}", "physicalType": "table"}
    if columns[0].table_description:
        table["description"] = columns[0].table_description
    table["properties"] = [_property(cursor, column, key, targets) for column in columns]
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"{_lake_name(schema)}-{lake_name}".replace("_", "-"),
        "version": "1.0.0",
        "status": "active",
        "schema": [table],
    }


def _property(cursor: Cursor, column: CatalogColumn, key: tuple[str, ...], targets: dict[str, str]) -> dict[str, Any]:
    spelling, note = _spelling(cursor, column.type_id, column.modifier)
    name = _column_name(column.name)
    entry: dict[str, Any] = {"name": name} | ({"physicalName": column.name} if name != column.name else {})
    entry |= {"logicalType": ColumnType.parse(spelling).rule.logical, "physicalType": spelling}
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


def _column_name(column: str) -> str:
    """The lake's name of a source column: lower case, letters, digits and underscores, and none that the lake keeps for itself."""
    name = re.sub(r"\W+", "_", column.lower()).strip("_") or "column"
    return f"source_{name}" if name in RESERVED or name.startswith("cdc_") or name[0].isdigit() else name


def _spelling(cursor: Cursor, type_id: int, modifier: int) -> tuple[str, str]:
    """A column's type as a contract spells it, by the table of value forms, and a word where that is another type."""
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
    """PostgreSQL's long names as contracts write them: varchar, timestamp, timestamptz."""
    spelling = spelling.replace("character varying", "varchar")
    spelling = re.sub(r"timestamp(\(\d\))? with time zone", "timestamptz", spelling)
    return re.sub(r"timestamp(\(\d\))? without time zone", "timestamp", spelling)


def _references(cursor: Cursor, schema: str, name: str) -> dict[str, str]:
    """Foreign keys of one column: the column, and table.column that it names."""
    cursor.execute(
        "SELECT a.attname, t.relname, f.attname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class t ON t.oid = k.confrelid"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]"
        " JOIN pg_attribute f ON f.attrelid = t.oid AND f.attnum = k.confkey[1]"
        " WHERE n.nspname = %s AND c.relname = %s AND k.contype = 'f' AND cardinality(k.conkey) = 1",
        (schema, name),
    )
    return {column: f"{_lake_name(table)}.{target}" for column, table, target in cursor.fetchall()}


def _lake_name(name: str) -> str:
    """A name as the lake writes it: lower case, letters, digits and underscores."""
    return re.sub(r"\W", "_", name.lower(), flags=re.ASCII)
