"""Definitions of the silver and gold tables, created and evolved from contracts. No job alters a table by SQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import IcebergType, NestedField
from pyspark.sql import DataFrame

from jobs.iceberg.catalog import SILVER, catalog
from lake.contract import Contract
from lake.errors import TerminalError
from lake.keys import silver_location
from lake.types import SQL_TYPES, widens

PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.target-file-size-bytes": str(128 * 1024 * 1024),
    "write.distribution-mode": "hash",
    "write.delete.mode": "copy-on-write",
    "write.update.mode": "copy-on-write",
    "write.merge.mode": "copy-on-write",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
}
"""Copy-on-write: if ON names the touched months, a merge costs the same as merge-on-read and readers pay nothing."""

MISSING, ORIGIN, LOADED_BY = "cdc_missing", "cdc_origin", "cdc_loaded"


class UnsafeEvolution(TerminalError):
    """A contract's change would lose data of a table."""

    def __init__(self, table: str, column: str, old: str, new: str) -> None:
        super().__init__(
            f'table "{table}", column "{column}": the lake holds {old} and the contract now says {new}; '
            f"it can only be widened (int to long, float to double, a decimal's precision). Give the column a new name instead"
        )


@dataclass(frozen=True)
class Field:
    """A column of a lake table. ``type`` is the name of its Iceberg type."""

    name: str
    type: str
    formers: tuple[str, ...] = ()

    @property
    def engine_type(self) -> str:
        """The type in the engine's SQL."""
        return SQL_TYPES.get(self.type, self.type.replace(" ", ""))


def fields_of(rows: DataFrame) -> list[Field]:
    """The columns of a query's result."""
    iceberg = {engine: name for name, engine in SQL_TYPES.items()}
    return [Field(name, iceberg.get(engine_type, engine_type)) for name, engine_type in rows.dtypes]


def silver_fields(contract: Contract) -> list[Field]:
    """Every column of a silver table, in order: the contract's, the partition's, the lake's own."""
    fields = [Field(c.name, c.type.iceberg, contract.formers(c)) for c in contract.columns]
    if contract.partition:
        fields += [Field(name, "int") for name in contract.partition.fields]
    fields += [Field(name, "timestamptz") for name in ("created_at", "updated_at", "deleted_at")]
    fields += [Field("cdc_generation", "long"), Field("cdc_position", "string"), Field(MISSING, "string"), Field(LOADED_BY, "long")]
    if contract.partial_columns:
        fields.append(Field(ORIGIN, "string"))
    return fields + [Field(applied_at(c.name), "string", tuple(map(applied_at, contract.formers(c)))) for c in contract.partial_columns]


def applied_at(column: str) -> str:
    """The name of the column with a partial column's own applied position."""
    return f"cdc_at_{column}"


def ensure_silver(contract: Contract, bucket: str) -> Table:
    """The contract's silver table, created or evolved if necessary. Raises ``UnsafeEvolution``."""
    months = contract.partition.fields if contract.partition else ()
    return ensure(SILVER, contract.table, silver_fields(contract), months, silver_location(bucket, contract.table))


def ensure(database: str, name: str, fields: list[Field], partition: Iterable[str], location: str) -> Table:
    """A table with these columns, partitioned by the values of ``partition``. It is created or evolved if necessary.

    A column that the contract no longer has stays, and is null in new rows. Raises ``UnsafeEvolution``.
    """
    try:
        table = catalog().load_table((database, name))
    except NoSuchTableError:
        return _create(database, name, fields, partition, location)
    _evolve(table, fields)
    return table


def ensure_derived(database: str, name: str, fields: list[Field], partition: Iterable[str], location: str) -> Table:
    """A table that can be computed again. If its columns changed in a way that Iceberg cannot evolve, it is created again."""
    try:
        table = ensure(database, name, fields, partition, location)
    except UnsafeEvolution:
        catalog().drop_table((database, name))
        table = _create(database, name, fields, partition, f"{location}/{uuid.uuid4().hex[:8]}")
    return table


def iceberg_schema(fields: Iterable[Field]) -> Schema:
    """The columns as PyIceberg has them, numbered in their order."""
    return Schema(*(NestedField(number, field.name, field.type, required=False) for number, field in enumerate(fields, 1)))


def _create(database: str, name: str, fields: list[Field], partition: Iterable[str], location: str) -> Table:
    schema = iceberg_schema(fields)
    spec = PartitionSpec(
        *(PartitionField(schema.find_field(column).field_id, 1000 + i, IdentityTransform(), column) for i, column in enumerate(partition))
    )
    try:
        return catalog().create_table((database, name), schema, location=location, partition_spec=spec, properties=PROPERTIES)
    except TableAlreadyExistsError:
        return catalog().load_table((database, name))


def _evolve(table: Table, fields: list[Field]) -> None:
    present = {f.name: f.field_type for f in table.schema().fields}
    with table.update_schema() as update:
        for field in fields:
            wanted = IcebergType.model_validate(field.type)
            name = field.name
            former = next((former for former in field.formers if former in present), None)
            if name not in present and former is not None:
                update.rename_column(former, name)
                present[name] = present.pop(former)
                name = former
            if field.name not in present:
                update.add_column(field.name, wanted)
            elif present[field.name] != wanted:
                if not widens(str(present[field.name]), str(wanted)):
                    raise UnsafeEvolution(table.name()[-1], field.name, str(present[field.name]), field.type)
                update.update_column(name, field_type=wanted)
