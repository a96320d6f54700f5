"""A DuckDB file with bounded memory, in which tables of source and lake are compared as sets."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from datamaster.verify.report import DELETED_AT, DUPLICATE, ROW, SHOWN, Difference, TableReport

MEMORY = "512MB"
THREADS = 2
LONGEST_LINE_BYTES = 32 << 20
AS_WRITTEN = " as written"
"""Behind a column's name: the column that holds its text where that is no value of its type."""


@dataclass(frozen=True)
class Check:
    """One comparison in SQL: the condition of a difference on the joined rows, and the values to show."""

    label: str
    wrong: str
    expected: str
    got: str


class Workbench:
    """Tables of text files, compared in SQL. ``folder`` holds the files and data that does not fit into memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = duckdb.connect(str(folder / "bench.duckdb"), config={"memory_limit": MEMORY, "threads": THREADS})
        self.database.execute("SET temp_directory = ?", [str(folder / "spill")])
        self.database.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.database.close()

    def load(self, table: str, csv: Path, columns: Sequence[str], values: Mapping[str, str]) -> None:
        """Fill a table from a CSV file with these columns, all text. ``values`` holds the SQL of the table's columns over them.

        The file is removed, because it is as large as the table.
        """
        given = ", ".join(f"{text(name)}: 'VARCHAR'" for name in columns)
        selected = ", ".join(f"{expression} AS {quoted(name)}" for name, expression in values.items())
        self.database.execute(
            f"CREATE OR REPLACE TABLE {quoted(table)} AS SELECT {selected}, TRUE AS present FROM read_csv({text(str(csv))}, "
            f"columns = {{{given}}}, auto_detect = FALSE, header = TRUE, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
            f"allow_quoted_nulls = FALSE, parallel = FALSE, max_line_size = {LONGEST_LINE_BYTES}, buffer_size = {LONGEST_LINE_BYTES}, "
            f"new_line = '\\n', encoding = 'utf-8')"
        )
        csv.unlink()

    def run(self, statement: str) -> None:
        """Run a statement."""
        self.database.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """A statement's rows."""
        return self.database.execute(statement).fetchall()

    def compare(
        self, name: str, expected: str, got: str, keys: Sequence[str], columns: Sequence[str], soft_deletes: bool = False
    ) -> TableReport:
        """Compare two loaded tables by key. ``name`` is their name in the report.

        With ``soft_deletes`` a row of ``got`` with deleted_at counts as absent, and may exist or not. If both tables have a column ``<name>
        as written``, it is compared with ``<name>``.
        """
        written = {name.removesuffix(AS_WRITTEN) for name in self._columns(expected) & self._columns(got) if name.endswith(AS_WRITTEN)}
        checks = [*_row_checks(soft_deletes), *(_column_check(column, column in written, soft_deletes) for column in columns)]
        joined = [*keys, *(key + AS_WRITTEN for key in keys if key in written)]
        same = " AND ".join(f"e.{quoted(k)} IS NOT DISTINCT FROM g.{quoted(k)}" for k in joined)
        join = f"{quoted(expected)} e FULL JOIN {quoted(got)} g ON {same}"
        tallies = ", ".join(f"count(*) FILTER (WHERE {check.wrong})" for check in checks)
        found = self.database.execute(f"SELECT {tallies} FROM {join}").fetchall()[0]
        counts = {check.label: count for check, count in zip(checks, found, strict=True) if count}
        first = [d for check in checks if check.label in counts for d in self._samples(name, check, join, keys, written)]
        duplicates = self._duplicates(name, got, joined)
        if duplicates:
            counts[DUPLICATE] = self._count(f"(SELECT 1 FROM {quoted(got)} GROUP BY {_list(joined)} HAVING count(*) > 1)")
        live = f"{quoted(got)} WHERE deleted_at IS NULL" if soft_deletes else quoted(got)
        return TableReport(name, self._count(quoted(expected)), self._count(live), counts, (*duplicates, *first))

    def _samples(self, name: str, check: Check, join: str, keys: Sequence[str], written: Container[str]) -> list[Difference]:
        shown = [f"coalesce({_text('e', k, k in written)}, {_text('g', k, k in written)}, 'null')" for k in keys]
        order = ", ".join(f"coalesce(e.{quoted(k)}, g.{quoted(k)}) NULLS LAST" for k in keys)
        rows = self.database.execute(
            f"SELECT {', '.join(shown)}, CAST({check.expected} AS VARCHAR), CAST({check.got} AS VARCHAR) "
            f"FROM {join} WHERE {check.wrong} ORDER BY {order} LIMIT {SHOWN}"
        ).fetchall()
        return [Difference(name, _key_text(keys, row), check.label, row[-2], row[-1]) for row in rows]

    def _duplicates(self, name: str, got: str, keys: Sequence[str]) -> list[Difference]:
        shown = ", ".join(f"CAST({quoted(k)} AS VARCHAR)" for k in keys)
        statement = (
            f"SELECT {shown}, count(*) FROM {quoted(got)} GROUP BY {_list(keys)} HAVING count(*) > 1 ORDER BY {_list(keys)} LIMIT {SHOWN}"
        )
        rows = self.database.execute(statement).fetchall()
        return [Difference(name, _key_text(keys, row), DUPLICATE, "1 row", f"{row[-1]} rows") for row in rows]

    def _columns(self, table: str) -> set[str]:
        return {row[0] for row in self.database.execute(f"DESCRIBE {quoted(table)}").fetchall()}

    def _count(self, relation: str) -> int:
        return int(self.database.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])


def _row_checks(soft_deletes: bool) -> list[Check]:
    missing = Check(ROW, "g.present IS NULL", "'a row'", "'none'")
    if not soft_deletes:
        either = "CASE WHEN {}.present IS NULL THEN 'none' ELSE 'a row' END"
        return [Check(ROW, "g.present IS NULL OR e.present IS NULL", either.format("e"), either.format("g"))]
    alive = "(e.present IS NULL AND g.deleted_at IS NULL)"
    dead = "(e.present AND g.deleted_at IS NOT NULL)"
    wanted = "CASE WHEN e.present IS NULL THEN 'a time: the source has no such row' END"
    return [missing, Check(DELETED_AT, f"g.present AND ({alive} OR {dead})", wanted, "g.deleted_at")]


def _column_check(column: str, written: bool, soft_deletes: bool) -> Check:
    both = "e.present AND g.present" + (" AND g.deleted_at IS NULL" if soft_deletes else "")
    parts = [quoted(column), *([quoted(column + AS_WRITTEN)] if written else [])]
    differs = " OR ".join(f"e.{part} IS DISTINCT FROM g.{part}" for part in parts)
    return Check(column, f"{both} AND ({differs})", _text("e", column, written), _text("g", column, written))


def _text(side: str, column: str, written: bool) -> str:
    value = f"CAST({side}.{quoted(column)} AS VARCHAR)"
    return f"coalesce({value}, {side}.{quoted(column + AS_WRITTEN)})" if written else value


def _key_text(keys: Sequence[str], row: Sequence[object]) -> str:
    return ", ".join(f"{key} {'null' if value is None else value}" for key, value in zip(keys, row, strict=False))


def _list(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) for name in names)


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"
