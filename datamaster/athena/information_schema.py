"""information_schema: the Glue catalog as tables, which schema browsers and BI tools ask.

https://docs.aws.amazon.com/athena/latest/ug/querying-glue-catalog.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from datamaster.athena.failures import TableNotFound
from datamaster.athena.glue_catalog import Catalog, GlueTable
from datamaster.athena.result_values import trino_type
from datamaster.athena.statement import CATALOG, INFORMATION_SCHEMA

if TYPE_CHECKING:
    import pyarrow

COLUMNS = {
    "schemata": ("catalog_name", "schema_name"),
    "tables": ("table_catalog", "table_schema", "table_name", "table_type"),
    "views": ("table_catalog", "table_schema", "table_name", "view_definition"),
    "columns": (
        *("table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "column_default"),
        *("is_nullable", "data_type", "comment", "extra_info"),
    ),
}
Row = tuple[str | int | None, ...]
Schema = Callable[[GlueTable], Any]
"""The Iceberg schema of a table: Glue's type of a timestamp does not tell whether it has a zone."""


class InformationSchema:
    """Its tables, made of the databases that ``visible`` lets through."""

    def __init__(self, catalog: Catalog, schema: Schema, visible: Callable[[str], bool]) -> None:
        self.catalog, self.schema, self.visible = catalog, schema, visible

    def table(self, name: str) -> pyarrow.Table:
        """One of its tables. Raises ``TableNotFound``."""
        import pyarrow

        if name not in COLUMNS:
            raise TableNotFound(INFORMATION_SCHEMA, name)
        rows: Iterator[Row] = getattr(self, f"_{name}")()
        kinds = {column: pyarrow.int64() if column == "ordinal_position" else pyarrow.string() for column in COLUMNS[name]}
        found = [dict(zip(COLUMNS[name], row, strict=True)) for row in rows]
        return pyarrow.Table.from_pylist(found, pyarrow.schema(list(kinds.items())))

    def _databases(self) -> list[str]:
        return [database for database in self.catalog.databases() if self.visible(database)]

    def _all(self) -> Iterator[GlueTable]:
        for database in self._databases():
            yield from self.catalog.tables(database)

    def _schemata(self) -> Iterator[Row]:
        yield from ((CATALOG, name) for name in sorted([*self._databases(), INFORMATION_SCHEMA]))

    def _tables(self) -> Iterator[Row]:
        for table in self._all():
            yield CATALOG, table.name.database, table.name.table, "VIEW" if table.view else "BASE TABLE"
        yield from ((CATALOG, INFORMATION_SCHEMA, name, "BASE TABLE") for name in sorted(COLUMNS))

    def _views(self) -> Iterator[Row]:
        yield from ((CATALOG, table.name.database, table.name.table, table.view.sql) for table in self._all() if table.view)

    def _columns(self) -> Iterator[Row]:
        for table in self._all():
            kinds = self._kinds(table)
            keys = {key.name for key in table.partition_keys}
            for place, column in enumerate(table.columns + table.partition_keys, 1):
                extra = "partition key" if column.name in keys else None
                name = (CATALOG, table.name.database, table.name.table, column.name)
                yield *name, place, None, "YES", kinds[column.name], column.comment or None, extra
        for own, columns in sorted(COLUMNS.items()):
            for place, name_ in enumerate(columns, 1):
                kind = "bigint" if name_ == "ordinal_position" else "varchar"
                yield CATALOG, INFORMATION_SCHEMA, own, name_, place, None, "YES", kind, None, None

    def _kinds(self, table: GlueTable) -> Mapping[str, str]:
        """Trino's types by column."""
        columns = table.columns + table.partition_keys
        kinds = {column.name: trino_type(column.type, "hive") for column in columns}
        if table.metadata_location is not None and any(kind.startswith("timestamp") for kind in kinds.values()):
            zoned = {field.name for field in self.schema(table).fields if str(field.field_type) == "timestamptz"}
            kinds |= {name: f"{kinds[name]} with time zone" for name in zoned & kinds.keys()}
        return kinds
