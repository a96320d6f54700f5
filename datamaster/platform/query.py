"""Run SQL on Athena and show the result as a table, as CSV or as JSON.

The same calls serve AWS and the local endpoint. ``AWS_ENDPOINT_URL_ATHENA`` selects one.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich import box
from rich.table import Table
from rich.text import Text

from datamaster.platform.aws_errors import EXPIRED, code_of
from lake.errors import TerminalError, TransientError

FIRST_POLL_SECONDS = 0.02
LONGEST_POLL_SECONDS = 1.0
FOLDED = 40
"""Longer texts are folded in a table."""
NUMBERS = frozenset({"tinyint", "smallint", "integer", "bigint", "float", "double", "decimal"})

Row = tuple[str | None, ...]


class QueryFailed(TerminalError):
    """Athena ended the statement without a result. The message is its reason."""


class AthenaUnreachable(TransientError):
    """Athena did not take the request."""


@dataclass(frozen=True)
class QueryResult:
    """Rows as Athena's text, null as None; a column's type is Athena's name, e.g. ``timestamp with time zone``.

    ``more`` means that the statement has further rows.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[Row, ...]
    seconds: float
    execution_id: str
    more: bool = False

    def objects(self) -> Iterator[dict[str, Any]]:
        """Rows as JSON objects: integers, doubles and booleans as such, decimals and everything else as text."""
        for row in self.rows:
            yield {name: _json_value(value, kind) for name, kind, value in zip(self.columns, self.types, row, strict=True)}


class Athena:
    """Runs statements through Athena's API.

    ``output`` is the S3 location of results, for a work group that sets none. Unqualified names belong to ``database``.
    """

    def __init__(
        self, work_group: str = "primary", output: str | None = None, database: str = "dm_gold", client: Any = None, s3: Any = None
    ) -> None:
        self.work_group, self.output, self.database = work_group, output, database
        self.client = client or boto3.client("athena")
        self.s3 = s3 or boto3.client("s3")

    def run(self, sql: str, limit: int | None = 1000) -> QueryResult:
        """Run a statement and read at most ``limit`` rows of it (None: all).

        Raises ``QueryFailed`` with Athena's reason, and ``AthenaUnreachable`` without an answer.
        """
        execution = self._finished(sql)
        seconds = execution["Statistics"].get("TotalExecutionTimeInMillis", 0) / 1000
        columns, types, rows, more = self._rows(execution, limit)
        return QueryResult(columns, types, tuple(rows), seconds, execution["QueryExecutionId"], more)

    def download(self, sql: str, path: Path) -> None:
        """Run a SELECT and fetch its whole result as Athena's CSV: a header row, every value quoted, null as nothing.

        For many rows: one object instead of a request for each thousand. Raises like ``run``.
        """
        address = urlsplit(self._finished(sql)["ResultConfiguration"]["OutputLocation"])
        self.s3.download_file(address.netloc, address.path.lstrip("/"), str(path))

    def _finished(self, sql: str) -> dict[str, Any]:
        request: dict[str, Any] = {"QueryString": sql, "WorkGroup": self.work_group, "QueryExecutionContext": {"Database": self.database}}
        if self.output:
            request["ResultConfiguration"] = {"OutputLocation": self.output}
        try:
            execution_id = self.client.start_query_execution(**request)["QueryExecutionId"]
        except ClientError as error:
            if code_of(error) in EXPIRED:
                raise
            raise QueryFailed(error.response["Error"]["Message"]) from error
        except BotoCoreError as error:
            raise AthenaUnreachable(f"Athena at {self.client.meta.endpoint_url} does not answer: {error}") from error
        try:
            return self._awaited(execution_id)
        except BaseException:
            # Ctrl-C leaves no statement running.
            self.client.stop_query_execution(QueryExecutionId=execution_id)
            raise

    def _awaited(self, execution_id: str) -> dict[str, Any]:
        pause = FIRST_POLL_SECONDS
        while True:
            execution: dict[str, Any] = self.client.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
            status = execution["Status"]
            if status["State"] == "SUCCEEDED":
                return execution
            if status["State"] in ("FAILED", "CANCELLED"):
                raise QueryFailed(status.get("StateChangeReason") or f"the statement ended {status['State']} without a reason")
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    def _rows(self, execution: dict[str, Any], limit: int | None) -> tuple[tuple[str, ...], tuple[str, ...], list[Row], bool]:
        is_query = execution.get("StatementType") == "DML"
        columns: tuple[str, ...] = ()
        types: tuple[str, ...] = ()
        rows: list[Row] = []
        # The first row of a SELECT's first page is its header.
        skip = 1 if is_query else 0
        pages = self.client.get_paginator("get_query_results").paginate(QueryExecutionId=execution["QueryExecutionId"])
        for page in pages:
            described = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
            columns, types = tuple(info["Name"] for info in described), tuple(info["Type"] for info in described)
            for entry in page["ResultSet"]["Rows"][skip:]:
                if limit is not None and len(rows) == limit:
                    return columns, types, rows, True
                cells = tuple(cell.get("VarCharValue") for cell in entry["Data"])
                rows.append(cells if is_query else _line_cells(cells, len(columns)))
            skip = 0
        return columns, types, rows, False


def as_table(result: QueryResult, title: str | None = None) -> Table:
    """A table for the terminal: numbers to the right, nulls dim."""
    table = Table(title=title, header_style="bold", box=box.SIMPLE_HEAD)
    for name, kind in zip(result.columns, result.types, strict=True):
        table.add_column(Text(name), justify="right" if kind in NUMBERS else "left", overflow="fold")
    for row in result.rows:
        table.add_row(*(Text("null", style="dim") if value is None else Text(value) for value in row))
    return table


def width(result: QueryResult) -> int:
    """The characters that a line of the table needs, if no text of more than ``FOLDED`` is left unfolded."""
    cells = ([len(row[place] or "null") for row in result.rows] for place in range(len(result.columns)))
    return sum(min(FOLDED, max([len(name), *lengths])) + 2 for name, lengths in zip(result.columns, cells, strict=True)) + 2


def as_records(result: QueryResult) -> Table:
    """A table for the terminal with a line for each value, for rows of many columns."""
    table = Table(show_header=False, box=box.SIMPLE, show_edge=False)
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for number, row in enumerate(result.rows, 1):
        table.add_row(f"row {number}", "", style="dim")
        for name, value in zip(result.columns, row, strict=True):
            table.add_row(Text(name), Text("null", style="dim") if value is None else Text(value))
    return table


def write_csv(result: QueryResult, stream: TextIO) -> None:
    """CSV with a header row; null is an empty cell."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows(result.rows)


def write_json(result: QueryResult, stream: TextIO) -> None:
    """A JSON array of objects, one a row."""
    json.dump(list(result.objects()), stream, ensure_ascii=False, indent=2)
    stream.write("\n")


def _line_cells(cells: Row, count: int) -> Row:
    """Split a row of SHOW or DESCRIBE, which is one text with tabs between its columns."""
    parts = [part.strip() for part in (cells[0] or "").split("\t")]
    return tuple((parts + [""] * count)[:count])


def _json_value(value: str | None, kind: str) -> Any:
    if value is None:
        return None
    if kind == "boolean":
        return value == "true"
    if kind in ("tinyint", "smallint", "integer", "bigint"):
        return int(value)
    if kind in ("float", "double"):
        number = float(value)
        return number if abs(number) < float("inf") else value
    return value
