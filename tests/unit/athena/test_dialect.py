"""Expressions that Athena and the engine behind it compute, type or write differently: the answer is Athena's.

https://trino.io/docs/current/functions.html, https://docs.aws.amazon.com/athena/latest/ug/data-types.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import duckdb
import pytest

from datamaster.athena.duckdb_engine import Engine, S3Access
from datamaster.athena.executor import selected
from datamaster.athena.failures import StatementFailed, explained
from datamaster.athena.relations import ScanPlan
from datamaster.athena.statement import Select, parse

Ask = Callable[[str], tuple[list[tuple[str, str]], list[tuple[str | None, ...]]]]
TABLE = """CREATE TABLE t AS SELECT * FROM (VALUES
    (1, 0, CAST(1.50 AS DECIMAL(6, 2)), DATE '2024-01-31', TIMESTAMPTZ '2024-01-01 00:00:00+00', 2.5e0),
    (4, 2, CAST(3.25 AS DECIMAL(6, 2)), DATE '2024-02-29', TIMESTAMPTZ '2024-06-01 12:00:00+00', 0e0)) AS v(x, y, price, day, "at", f)"""


@pytest.fixture(scope="module")
def engine() -> Engine:
    engine = Engine(S3Access(None, "", "", "us-east-1"))
    engine.database.execute(TABLE)
    return engine


@pytest.fixture
def ask(engine: Engine) -> Iterator[Ask]:
    """Names with types, and rows."""
    with engine.session() as session:

        def run(sql: str) -> tuple[list[tuple[str, str]], list[tuple[str | None, ...]]]:
            statement = parse(sql)
            assert isinstance(statement, Select)
            columns, text = selected(session, ScanPlan(statement.tree, set(), {}))
            try:
                return [(column.name, column.info["Type"]) for column in columns], session.execute(text).fetchall()
            except duckdb.Error as error:
                raise explained(error) from error

        yield run


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("7 / 2", "integer", "3"),
        ("-7 / 2", "integer", "-3"),
        ("5 / NULL", "integer", None),
        ("1.0 / 3", "decimal", "0.3"),
        ("2 / 3.000", "decimal", "0.667"),
        ("1.0 * 1 / 21", "decimal", "0.0"),
        ("1e0 / 0", "double", "Infinity"),
        ("-1e0 / 0", "double", "-Infinity"),
        ("0e0 / 0", "double", "NaN"),
        ("7e0 / 2", "double", "3.5"),
        ("7.5 % 2", "decimal", "1.5"),
        ("TRY(1 / 0)", "integer", None),
        ("(SELECT sum(x) / count(*) FROM t)", "bigint", "2"),
        ("(SELECT 100.0 * count(*) / 3 FROM t)", "decimal", "66.7"),
        ("(SELECT avg(price) FROM t)", "decimal", "2.38"),
        ("(SELECT avg(x) FROM t)", "double", "2.5"),
        ("(SELECT x / y FROM t WHERE y <> 0)", "integer", "2"),
        ("DATE '2024-01-31' + INTERVAL '1' MONTH", "date", "2024-02-29"),
        ("INTERVAL '1' DAY + DATE '2024-01-31'", "date", "2024-02-01"),
        ("(SELECT max(day) - INTERVAL '1' DAY FROM t)", "date", "2024-02-28"),
        ("date_add('month', 1, DATE '2024-01-31')", "date", "2024-02-29"),
        ("date_trunc('month', DATE '2024-01-31')", "date", "2024-01-01"),
        ("TIMESTAMP '2024-01-31 10:00:00' + INTERVAL '1' MONTH", "timestamp", "2024-02-29 10:00:00.000000"),
        ("INTERVAL '90' MINUTE", "interval day to second", "0 01:30:00.000"),
        ("TIMESTAMP '2024-01-01 00:00:00' - TIMESTAMP '2024-01-02 00:00:01'", "interval day to second", "-1 00:00:01.000"),
        ("INTERVAL '27' MONTH", "interval year to month", "2-3"),
        ("NULL", "unknown", None),
    ],
)
def test_arithmetic_has_athenas_types_and_values(ask: Ask, expression: str, kind: str, value: str | None) -> None:
    assert ask(f"SELECT {expression}") == ([("_col0", kind)], [(value,)])


@pytest.mark.parametrize("expression", ["1 / 0", "1.0 / 0", "5 % 0", "(SELECT max(x / y) FROM t)", "(SELECT sum(x) / sum(y - y) FROM t)"])
def test_what_is_divided_by_zero_fails_unless_it_is_a_double(ask: Ask, expression: str) -> None:
    with pytest.raises(StatementFailed, match=r"^DIVISION_BY_ZERO: Division by zero$"):
        ask(f"SELECT {expression}")


def test_a_zero_that_a_condition_keeps_out_does_not_fail(ask: Ask) -> None:
    assert ask("SELECT CASE WHEN y = 0 THEN -1 ELSE x / y END AS q FROM t WHERE y = 0 OR x / y > 1 ORDER BY q")[1] == [("-1",), ("2",)]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("CAST(TIMESTAMP '2024-01-01 00:00:00 UTC' AS varchar)", "2024-01-01 00:00:00.000000 UTC"),
        ("CAST(TIMESTAMP '2024-01-01 00:00:00' AS varchar)", "2024-01-01 00:00:00.000000"),
        ("CAST(425e-2 AS varchar)", "4.25E0"),
        ("CAST(0e0 AS varchar)", "0E0"),
        ("CAST(CAST(0.1 AS real) AS varchar)", "1.0E-1"),
        ("CAST(7 AS varchar)", "7"),
        ("CAST(DATE '2024-01-01' AS varchar)", "2024-01-01"),
        ("CAST('abcdef' AS varchar(3))", "abc"),
        ("(SELECT CAST(count(*) AS varchar) || CAST(true AS varchar) FROM t)", "2true"),
        ("typeof(1)", "integer"),
        ("typeof('abc')", "varchar(3)"),
        ("typeof(1.50)", "decimal(3,2)"),
        ("typeof(NULL)", "unknown"),
        ("typeof(ARRAY[1e0])", "array(double)"),
        ("(SELECT typeof(max(at)) FROM t)", "timestamp(6) with time zone"),
        ("human_readable_seconds(96)", "1 minute, 36 seconds"),
        ("human_readable_seconds(56363463)", "93 weeks, 1 day, 8 hours, 31 minutes, 3 seconds"),
        ("human_readable_seconds(0)", "0 seconds"),
        ("format_datetime(TIMESTAMP '2024-02-03 14:05:06.789 UTC', 'yyyy-MM-dd''T''HH:mm:ss.SSSZZ')", "2024-02-03T14:05:06.789+00:00"),
        ("format_datetime(DATE '2024-02-03', 'E, d MMM yyyy h:mm a')", "Sat, 3 Feb 2024 12:00 AM"),
        ("parse_datetime('2024-02-03 10:11', 'yyyy-MM-dd HH:mm')", "2024-02-03 10:11:00.000000 UTC"),
    ],
)
def test_values_are_written_as_athena_writes_them(ask: Ask, expression: str, value: str) -> None:
    assert ask(f"SELECT {expression}")[1] == [(value,)]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("at AT TIME ZONE 'America/Bogota'", "2023-12-31 19:00:00.000000 America/Bogota"),
        ("at_timezone(at, 'Asia/Tokyo')", "2024-01-01 09:00:00.000000 Asia/Tokyo"),
        ("from_unixtime(0, 'Asia/Tokyo')", "1970-01-01 09:00:00.000000 Asia/Tokyo"),
        ("with_timezone(TIMESTAMP '2024-01-01 00:00:00', 'Asia/Tokyo')", "2024-01-01 00:00:00.000000 Asia/Tokyo"),
        ("TIMESTAMP '2024-01-01 10:00:00' AT TIME ZONE 'America/Bogota'", "2024-01-01 05:00:00.000000 America/Bogota"),
        ("date_trunc('month', at AT TIME ZONE 'America/Bogota')", "2023-12-01 00:00:00.000000 America/Bogota"),
    ],
)
def test_a_value_at_a_time_zone_is_shown_in_it(ask: Ask, expression: str, value: str) -> None:
    assert ask(f"SELECT {expression} FROM t WHERE x = 1") == ([("_col0", "timestamp with time zone")], [(value,)])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("hour(at AT TIME ZONE 'America/Bogota')", "19"),
        ("date(at AT TIME ZONE 'America/Bogota')", "2023-12-31"),
        ("CAST(at AT TIME ZONE 'America/Bogota' AS varchar)", "2023-12-31 19:00:00.000000 America/Bogota"),
        ("date_format(at AT TIME ZONE 'America/Bogota', '%H:%i')", "19:00"),
        ("at AT TIME ZONE 'America/Bogota' = at", "true"),
        ("at AT TIME ZONE 'America/Bogota' >= TIMESTAMP '2024-01-01 00:00:00'", "true"),
        ("to_unixtime(at AT TIME ZONE 'America/Bogota')", "1.7040672E9"),
    ],
)
def test_a_value_at_a_time_zone_is_read_in_it_and_compared_as_an_instant(ask: Ask, expression: str, value: str) -> None:
    assert ask(f"SELECT {expression} FROM t WHERE x = 1")[1] == [(value,)]


def test_days_of_a_time_zone_are_grouped(ask: Ask) -> None:
    day = "date_trunc('day', at AT TIME ZONE 'America/Bogota')"
    expected = [("2023-12-31 00:00:00.000000 America/Bogota", "1"), ("2024-06-01 00:00:00.000000 America/Bogota", "1")]
    assert ask(f"SELECT {day} AS day, count(*) FROM t GROUP BY 1 ORDER BY 1")[1] == expected
    assert ask(f"SELECT {day}, count(*) FROM t GROUP BY {day} ORDER BY {day}")[1] == expected


def test_what_no_value_of_the_engine_can_hold_fails_and_is_not_guessed(ask: Ask) -> None:
    for sql in (
        "SELECT 1 FROM (SELECT at AT TIME ZONE 'Asia/Tokyo' AS l FROM t) WHERE l > now()",
        "SELECT upper(at AT TIME ZONE 'UTC') FROM t",
    ):
        with pytest.raises(StatementFailed, match=r"^TYPE_MISMATCH"):
            ask(sql)
    with pytest.raises(StatementFailed, match=r"^NOT_SUPPORTED: the date format 'G yyyy' .* no counterpart of G"):
        ask("SELECT format_datetime(at, 'G yyyy') FROM t")


def test_headings_are_written_as_the_statement_writes_them(ask: Ask) -> None:
    names, _ = ask('SELECT 1 AS X, X, x AS "Weird Name", y FROM t')
    assert [name for name, _ in names] == ["X", "X", "Weird Name", "y"]


def test_an_unknown_function_is_not_taken_for_one_that_athena_lacks(ask: Ask) -> None:
    with pytest.raises(StatementFailed, match=r"^FUNCTION_NOT_FOUND: Function 'nope' not registered in the engine behind the local Athena"):
        ask("SELECT nope(1)")
