"""Runs one peer on one file, at its fastest documented settings: ``python peers.py ENGINE FORMAT SOURCE TARGET TABLE TOLERATE``.

Every peer writes the contract's columns and the change record's, in the converter's types, with zstd level 1.
"""

from __future__ import annotations

import gzip
import sys

REVIEW = [
    *((name, "int") for name in ("review_id", "brewery_id", "beer_id", "profile_id")),
    *((f"review_{name}", "float") for name in ("overall", "aroma", "appearance", "palate", "taste")),
    ("review_time", "int"),
]
ARTICLE = [("article_id", "int"), *((name, "text") for name in ("author", "email", "title", "body")), ("published", "time")]
CHANGE = [("operation", "text"), ("cdc_position", "text"), ("cdc_built_at", "time")]
CHANGE_JSON = [("cdc_committed_at", "time"), ("cdc_transaction_id", "int"), ("cdc_fence", "text")]
THREADS = 2


def columns(table: str, file_format: str) -> list[tuple[str, str]]:
    """Names and kinds of the compared columns."""
    own = REVIEW if table == "review" else ARTICLE
    return [*own, *CHANGE, *(CHANGE_JSON if file_format == "json" else [])]


def duckdb_(file_format: str, source: str, target: str, wanted: list[tuple[str, str]], tolerate: bool) -> None:
    """read_json / read_csv with given columns, COPY to Parquet."""
    import duckdb

    types = {"int": "BIGINT", "float": "DOUBLE", "text": "VARCHAR", "time": "TIMESTAMPTZ"}
    fields = "{" + ", ".join(f"'{name}': '{types[kind]}'" for name, kind in wanted) + "}"
    ignore = ", ignore_errors=true" if tolerate else ""
    if file_format == "json":
        reader = f"read_json('{source}', format='newline_delimited', columns={fields}{ignore})"
    else:
        reader = f"read_csv('{source}', header=true, delim=',', quote='\"', escape='\"', columns={fields}, auto_detect=false{ignore})"
    connection = duckdb.connect()
    connection.execute(f"SET threads={THREADS}; SET TimeZone='UTC'")
    connection.execute(f"COPY (SELECT * FROM {reader}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")


def polars_(file_format: str, source: str, target: str, wanted: list[tuple[str, str]], tolerate: bool) -> None:
    """The streaming engine: scan, parse times, sink."""
    import polars as pl

    types = {"int": pl.Int64, "float": pl.Float64, "text": pl.String, "time": pl.String}
    schema = {name: types[kind] for name, kind in wanted}
    times = [
        pl.col(name).str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.fZ" if file_format == "json" else "%Y-%m-%d %H:%M:%S%#z", time_unit="us", time_zone="UTC"
        )
        for name, kind in wanted
        if kind == "time"
    ]
    scan = pl.scan_ndjson if file_format == "json" else pl.scan_csv
    scan(source, schema=schema, ignore_errors=tolerate).with_columns(times).sink_parquet(target, compression="zstd", compression_level=1)


def chdb_(file_format: str, source: str, target: str, wanted: list[tuple[str, str]], tolerate: bool) -> None:
    """ClickHouse in the process: INSERT INTO FUNCTION file … SELECT FROM file."""
    import chdb

    types = {"int": "Int64", "float": "Float64", "text": "String", "time": "DateTime64(6, 'UTC')"}
    structure = ", ".join(f"{name} Nullable({types[kind]})" for name, kind in wanted).replace("'", "\\'")
    form = "JSONEachRow" if file_format == "json" else "CSVWithNames"
    errors = ", input_format_allow_errors_ratio=0.5" if tolerate else ""
    chdb.query(
        f"INSERT INTO FUNCTION file('{target}', 'Parquet', '{structure}') SELECT * FROM file('{source}', '{form}', '{structure}') "
        f"SETTINGS max_threads={THREADS}, output_format_parquet_compression_method='zstd', date_time_input_format='best_effort', "
        f"output_format_parquet_string_as_string=1, engine_file_truncate_on_insert=1, input_format_skip_unknown_fields=1{errors}"
    )


def pyarrow_(file_format: str, source: str, target: str, wanted: list[tuple[str, str]], _tolerate: bool) -> None:
    """pyarrow's own readers with the whole file in memory, the usual first attempt."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet as pq

    types = {"int": pa.int64(), "float": pa.float64(), "text": pa.string(), "time": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, types[kind]) for name, kind in wanted])
    if file_format == "json":
        parse = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        rows = pa.json.read_json(source, read_options=pa.json.ReadOptions(block_size=16 << 20), parse_options=parse)
    else:
        rows = pa.csv.read_csv(source, convert_options=pa.csv.ConvertOptions(column_types=schema))
    pq.write_table(rows, target, compression="zstd", compression_level=1)


def gzip_orjson(_file_format: str, source: str, target: str, wanted: list[tuple[str, str]], _tolerate: bool) -> None:
    """A loop over lines: gzip, orjson, a list of dicts."""
    from datetime import datetime

    import orjson
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"int": pa.int64(), "float": pa.float64(), "text": pa.string(), "time": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, types[kind]) for name, kind in wanted])
    times = [name for name, kind in wanted if kind == "time"]
    rows = []
    with gzip.open(source) as lines:
        for line in lines:
            row = orjson.loads(line)
            for name in times:
                row[name] = row[name] and datetime.fromisoformat(row[name])
            rows.append(row)
    pq.write_table(pa.Table.from_pylist(rows, schema), target, compression="zstd", compression_level=1)


ENGINES = {"duckdb": duckdb_, "polars": polars_, "chdb": chdb_, "pyarrow": pyarrow_, "gzip+orjson": gzip_orjson}

if __name__ == "__main__":
    engine, file_format, source, target, table, tolerate = sys.argv[1:]
    ENGINES[engine](file_format, source, target, columns(table, file_format), tolerate == "yes")
