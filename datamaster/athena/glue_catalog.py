"""The Glue catalog for statements: databases, and the definition of each table."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from datamaster.athena.failures import SchemaNotFound, StatementFailed, TableNotFound
from datamaster.athena.statement import TableName

_VIEW = re.compile(r"/\*\s*Presto View:\s*([A-Za-z0-9+/=]+)\s*\*/")


@dataclass(frozen=True)
class GlueColumn:
    """A column with its type in Hive's words, e.g. ``decimal(12,2)``."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class View:
    """A view's SQL. Unqualified names in it belong to ``database``."""

    sql: str
    database: str


@dataclass(frozen=True)
class GlueTable:
    """One table of the catalog. ``metadata_location`` is set for Iceberg, ``view`` for views, else both are None.

    ``projected`` means that its partitions are computed, not registered.
    """

    name: TableName
    columns: tuple[GlueColumn, ...]
    partition_keys: tuple[GlueColumn, ...]
    location: str
    input_format: str
    metadata_location: str | None
    view: View | None
    projected: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    output_format: str = ""
    serde: str = ""


class Catalog:
    """Reads databases and tables of Glue. It caches nothing, so the next statement sees a commit."""

    def __init__(self, glue: Any) -> None:
        self.glue = glue

    def databases(self) -> list[str]:
        """Names of all databases, sorted."""
        pages = self.glue.get_paginator("get_databases").paginate()
        return sorted(database["Name"] for page in pages for database in page["DatabaseList"])

    def tables(self, database: str) -> list[GlueTable]:
        """All tables of a database, sorted by name. Raises ``SchemaNotFound``."""
        try:
            pages = self.glue.get_paginator("get_tables").paginate(DatabaseName=database)
            return sorted((_table(entry) for page in pages for entry in page["TableList"]), key=lambda table: table.name)
        except ClientError as error:
            raise _not_found(error, SchemaNotFound(database)) from error

    def table(self, name: TableName) -> GlueTable:
        """One table. Raises ``SchemaNotFound`` or ``TableNotFound``."""
        try:
            return _table(self.glue.get_table(DatabaseName=name.database, Name=name.table)["Table"])
        except ClientError as error:
            failure = TableNotFound(name.database, name.table) if self.has_database(name.database) else SchemaNotFound(name.database)
            raise _not_found(error, failure) from error

    def has_database(self, database: str) -> bool:
        """Whether the catalog holds the database."""
        try:
            self.glue.get_database(Name=database)
        except ClientError as error:
            if _code(error) == "EntityNotFoundException":
                return False
            raise
        return True

    def partition_locations(self, name: TableName) -> Iterator[str]:
        """The S3 locations of a Hive table's registered partitions. Athena reads no others."""
        return (partition["StorageDescriptor"]["Location"] for partition in self._partitions(name))

    def partition_values(self, name: TableName) -> Iterator[list[str]]:
        """The values of each registered partition's keys."""
        return (partition["Values"] for partition in self._partitions(name))

    def _partitions(self, name: TableName) -> Iterator[dict[str, Any]]:
        for page in self.glue.get_paginator("get_partitions").paginate(DatabaseName=name.database, TableName=name.table):
            yield from page["Partitions"]


def _table(entry: dict[str, Any]) -> GlueTable:
    storage = entry.get("StorageDescriptor") or {}
    parameters = entry.get("Parameters") or {}
    iceberg = parameters.get("table_type", "").upper() == "ICEBERG"
    view = _VIEW.search(entry.get("ViewOriginalText") or "") if entry.get("TableType") == "VIRTUAL_VIEW" else None
    return GlueTable(
        name=TableName(entry["DatabaseName"].lower(), entry["Name"].lower()),
        columns=_columns(storage.get("Columns")),
        partition_keys=_columns(entry.get("PartitionKeys")),
        location=storage.get("Location") or "",
        input_format=storage.get("InputFormat") or "",
        metadata_location=parameters.get("metadata_location") if iceberg else None,
        view=_view(view[1], entry["DatabaseName"]) if view else None,
        projected=parameters.get("projection.enabled", "").lower() == "true",
        parameters=parameters,
        output_format=storage.get("OutputFormat") or "",
        serde=(storage.get("SerdeInfo") or {}).get("SerializationLibrary") or "",
    )


def _view(encoded: str, database: str) -> View:
    definition = json.loads(base64.b64decode(encoded))
    return View(definition["originalSql"], definition.get("schema") or database)


def _columns(entries: list[dict[str, Any]] | None) -> tuple[GlueColumn, ...]:
    # PyIceberg leaves dropped columns in the Glue table, marked as not current.
    current = [entry for entry in entries or [] if (entry.get("Parameters") or {}).get("iceberg.field.current", "true") == "true"]
    return tuple(GlueColumn(entry["Name"], entry.get("Type") or "string", entry.get("Comment") or "") for entry in current)


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _not_found(error: ClientError, failure: StatementFailed) -> StatementFailed:
    if _code(error) == "EntityNotFoundException":
        return failure
    if _code(error) in ("AccessDeniedException", "AccessDenied"):
        return StatementFailed("PERMISSION_DENIED", error.response["Error"].get("Message", str(error)))
    return StatementFailed("GENERIC_USER_ERROR", f"the catalog answered {error}")
