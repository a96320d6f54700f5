"""Reads a batch's bronze files. Unreadable files are named and left out, old schemas are read as the current one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem, S3FileSystem
from pyspark.sql import DataFrame, SparkSession

from jobs.iceberg.catalog import s3_properties
from jobs.silver import gathering
from jobs.silver.changes import unchanged_now
from lake import cdc
from lake.contract import Column, Contract
from lake.errors import TerminalError
from lake.manifests import BatchFile, FailedFile
from lake.types import FORMS, widens

READERS = 16
WINDOW = 64
"""The number of files whose content is held at once while small ones are gathered."""
ICEBERG_TYPES = {form.arrow: form.iceberg for form in FORMS.values()}
CHANGE_TYPES = {cdc.OPERATION: "string", cdc.POSITION: "string", cdc.BUILT_AT: "timestamptz"}
OPTIONAL_TYPES = {cdc.COMMITTED_AT: "timestamp", cdc.UNCHANGED: "array<string>"}


class Unreadable(TerminalError):
    """A part is corrupt or has another schema."""


FINAL = (pa.ArrowInvalid, pa.ArrowNotImplementedError, Unreadable)
"""The errors that a second read of the same object does not mend."""


@dataclass(frozen=True)
class Part:
    """One readable Parquet object."""

    uri: str
    schema: pa.Schema
    rows: int
    content: pa.Table | None = None
    """The rows of a small part, if small parts are gathered."""

    @property
    def schema_text(self) -> str:
        """The schema as text. Parts with the same text are read together."""
        text: str = self.schema.to_string(show_field_metadata=False, show_schema_metadata=False)
        return text


@dataclass(frozen=True)
class Bronze:
    """The readable rows of a batch: the contract's columns in its types, with operation, position, times and unchanged columns."""

    frame: DataFrame
    rows: int
    files: tuple[BatchFile, ...]
    failed: tuple[FailedFile, ...]


def read(spark: SparkSession, contract: Contract, files: Sequence[BatchFile], folder: str, every_page: bool = False) -> Bronze:
    """Read a batch. If any part of a file cannot be read, the whole file is left out and named with the reason.

    The Parquet footers reveal parts that are missing, truncated or of another schema. ``every_page`` reads the data too,
    which costs as much as the merge. It finds the damaged file after the engine has failed on the batch. Many small files are
    gathered under ``folder``, the batch's own (``s3://``). They stay there until ``gathering.forget``.
    """
    filesystem = _filesystem()
    gathers = sum(len(file.bronze_keys) for file in files) >= gathering.FROM_FILES
    gathered = gathering.Gathering(folder)
    failed: list[FailedFile] = []
    readable: list[BatchFile] = []
    by_schema: dict[str, list[str]] = defaultdict(list)
    schemas: dict[str, pa.Schema] = {}
    rows = 0
    with ThreadPoolExecutor(READERS) as pool:
        for first in range(0, len(files), WINDOW):
            window = files[first : first + WINDOW]
            for file, answer in zip(window, pool.map(lambda f: _open(filesystem, contract, f, every_page, gathers), window), strict=True):
                if isinstance(answer, FailedFile):
                    failed.append(answer)
                    continue
                readable.append(file)
                for part in answer:
                    rows += part.rows
                    schema = part.schema_text
                    schemas.setdefault(schema, part.schema)
                    uri = part.uri if part.content is None else gathered.add(schema, part.content)
                    by_schema[schema] += [uri] if uri else []
    for schema, uri in gathered.finish():
        by_schema[schema].append(uri)
    frames = [_frame(spark, contract, schemas[schema], uris) for schema, uris in by_schema.items()]
    frame = reduce(DataFrame.unionByName, frames) if frames else _empty(spark, contract)
    return Bronze(frame, rows, tuple(readable), tuple(failed))


def _filesystem() -> S3FileSystem:
    properties = s3_properties()
    return S3FileSystem(
        endpoint_override=properties["s3.endpoint"],
        region=properties["s3.region"],
        connect_timeout=float(properties["s3.connect-timeout"]),
        request_timeout=float(properties["s3.request-timeout"]),
    )


def _open(filesystem: FileSystem, contract: Contract, file: BatchFile, every_page: bool, gathers: bool = False) -> list[Part] | FailedFile:
    """The file's parts, or the reason why it cannot be read. With ``gathers``, small parts hold their content.

    Raises ``OSError`` if the store fails to deliver a part. The job then runs again.
    """
    parts = []
    for uri in file.bronze_keys:
        try:
            part = _part(filesystem, uri, every_page, gathers)
            _check(contract, part.schema)
        except FileNotFoundError:
            return FailedFile(file.file_id, f"{uri} does not exist")
        except FINAL as error:
            return FailedFile(file.file_id, f"{uri}: {error}")
        if part.rows:
            parts.append(part)
    return parts


def _part(filesystem: FileSystem, uri: str, every_page: bool, gathers: bool) -> Part:
    path = uri.removeprefix("s3://")
    if gathers and (body := gathering.small_object(uri)) is not None:
        return _whole(uri, body, every_page, with_content=True)
    try:
        with filesystem.open_input_file(path) as stored:
            return _parsed(uri, stored, every_page)
    except FileNotFoundError:
        raise
    except OSError:
        # Arrow raises the same error for damaged pages and a broken connection. With all bytes in memory it means damage
        with filesystem.open_input_file(path) as stored:
            body = stored.read_buffer()
        return _whole(uri, body, every_page)


def _whole(uri: str, body: pa.Buffer | bytes, every_page: bool, with_content: bool = False) -> Part:
    try:
        return _parsed(uri, pa.BufferReader(body), every_page, with_content)
    except OSError as error:
        raise Unreadable(str(error)) from error


def _parsed(uri: str, stored: pa.NativeFile, every_page: bool, with_content: bool = False) -> Part:
    with pq.ParquetFile(stored) as parquet:
        content = parquet.read(use_threads=False) if with_content else None  # other threads read other files
        if every_page and content is None:
            for _ in parquet.iter_batches():
                pass
        return Part(uri, parquet.schema_arrow, parquet.metadata.num_rows, content)


def _check(contract: Contract, schema: pa.Schema) -> None:
    names = set(schema.names)
    for name, iceberg in CHANGE_TYPES.items():
        if name not in names:
            raise Unreadable(f'no column "{name}"; a bronze file carries {", ".join(CHANGE_TYPES)}')
        _check_type(name, schema.field(name).type, iceberg)
    for column in contract.columns:
        stored = _stored_name(contract, column, names)
        if stored is not None:
            _check_type(stored, schema.field(stored).type, column.type.iceberg)
        elif column.key is not None:
            raise Unreadable(f'no key column "{column.name}"; found {", ".join(schema.names)}')


def _check_type(name: str, found: pa.DataType, iceberg: str) -> None:
    stored = f"decimal({found.precision}, {found.scale})" if pa.types.is_decimal(found) else ICEBERG_TYPES.get(str(found))
    if stored is None or not widens(stored, iceberg):
        raise Unreadable(f'column "{name}" is {found}; expected {iceberg} or a type that widens to it')


def _stored_name(contract: Contract, column: Column, names: set[str]) -> str | None:
    """The column's name in a file: its current name or a former one. None if the file is older than the column."""
    return next((name for name in (column.name, *contract.formers(column)) if name in names), None)


def _frame(spark: SparkSession, contract: Contract, schema: pa.Schema, uris: Sequence[str]) -> DataFrame:
    names = set(schema.names)
    selected = []
    for column in contract.columns:
        stored = _stored_name(contract, column, names)
        selected.append(f"cast({f'`{stored}`' if stored else 'null'} as {column.type.sql}) as `{column.name}`")
    selected += [cdc.OPERATION, cdc.POSITION, cdc.BUILT_AT]
    for name, engine_type in OPTIONAL_TYPES.items():
        value = name if name in names else f"cast(null as {engine_type})"
        selected.append(f"{unchanged_now(contract, value) if name == cdc.UNCHANGED else value} as {name}")
    return spark.read.parquet(*uris).selectExpr(*selected)


def _empty(spark: SparkSession, contract: Contract) -> DataFrame:
    columns = [f"`{c.name}` {c.type.sql}" for c in contract.columns]
    columns += [f"{cdc.OPERATION} string", f"{cdc.POSITION} string", f"{cdc.BUILT_AT} timestamp"]
    columns += [f"{name} {engine_type}" for name, engine_type in OPTIONAL_TYPES.items()]
    return spark.createDataFrame([], ", ".join(columns))
