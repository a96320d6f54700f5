"""Which tables a statement reads: a caller's rights hang on this set."""

import pytest

from datamaster.athena.failures import NotAnswered, StatementFailed
from datamaster.athena.statement import parse, tables_read
from datamaster.athena.utilities import Show


def read(sql):
    return {f"{name.database}.{name.table}" for name in tables_read(parse(sql), "dm_gold")}


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1", set()),
        ("SELECT * FROM a", {"dm_gold.a"}),
        ("SELECT * FROM A, \"Dm_Silver\".\"B\"", {"dm_gold.a", "dm_silver.b"}),
        ("SELECT * FROM a JOIN AwsDataCatalog.dm_silver.b USING (id)", {"dm_gold.a", "dm_silver.b"}),
        ("SELECT (SELECT x FROM a) FROM b WHERE EXISTS (SELECT 1 FROM c)", {"dm_gold.a", "dm_gold.b", "dm_gold.c"}),
        ("SELECT 1 FROM a ORDER BY (SELECT 1 FROM b)", {"dm_gold.a", "dm_gold.b"}),
        ("SELECT 1 FROM a UNION ALL (SELECT 1 FROM b EXCEPT SELECT 1 FROM c)", {"dm_gold.a", "dm_gold.b", "dm_gold.c"}),
        ("SELECT * FROM \"a$snapshots\"", {"dm_gold.a"}),
        ("SELECT * FROM a FOR VERSION AS OF 5", {"dm_gold.a"}),
        ("SELECT * FROM a CROSS JOIN UNNEST(a.tags) AS t(tag)", {"dm_gold.a"}),
        ("DESCRIBE dm_silver.a", {"dm_silver.a"}),
        ("SHOW COLUMNS IN a", {"dm_gold.a"}),
        ("SHOW VIEWS IN dm_silver", {"dm_silver.*"}),
        ("SELECT * FROM information_schema.tables, b", {"dm_gold.b"}),
        ("VALUES (1, 'a')", set()),
    ],
)  # fmt: skip
def test_every_table_counts_wherever_it_stands(sql, tables):
    assert read(sql) == tables


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("WITH a AS (SELECT * FROM b) SELECT * FROM a", {"dm_gold.b"}),
        ("WITH A AS (SELECT * FROM b) SELECT * FROM \"a\"", {"dm_gold.b"}),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", {"dm_gold.a"}),
        ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b, dm_gold.a", {"dm_gold.a"}),
        ("WITH b AS (SELECT * FROM a), a AS (SELECT 1) SELECT * FROM b", {"dm_gold.a"}),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x JOIN a ON true", {"dm_gold.a"}),
        ("WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 5) SELECT * FROM a", set()),
        ("WITH a AS (SELECT 1) SELECT * FROM (SELECT * FROM (SELECT * FROM a))", set()),
    ],
)  # fmt: skip
def test_a_common_table_expression_hides_a_table_only_where_it_is_visible(sql, tables):
    assert read(sql) == tables


@pytest.mark.parametrize("sql", ["SELECT * FROM read_parquet('s3://x/y')", "SELECT * FROM read_csv('x')", "SELECT 1 FROM a, TABLE(f(1))"])
def test_a_table_function_is_refused(sql):
    with pytest.raises(NotAnswered):
        read(sql)


def test_another_catalog_is_refused():
    with pytest.raises(StatementFailed, match="CATALOG_NOT_FOUND"):
        read("SELECT * FROM memory.main.a")


@pytest.mark.parametrize("sql", ["", "SELECT 1; SELECT 2", "SELECT FROM a", "SELECT (1"])
def test_what_is_no_single_statement_is_a_syntax_error(sql):
    with pytest.raises(StatementFailed, match="SYNTAX_ERROR"):
        parse(sql)


def test_a_statement_may_end_with_a_semicolon():
    assert parse("show tables in dm_gold 'top_*';") == Show("TABLES", "dm_gold", pattern="top_*")
    assert parse("desc `dm_gold`.`a`") == Show("DESCRIBE", "dm_gold", "a")


@pytest.mark.parametrize(
    ("sql", "show"),
    [
        ("SHOW VIEWS", Show("VIEWS")),
        ("show views in dm_gold like 'a*|b'", Show("VIEWS", "dm_gold", pattern="a*|b")),
        ("SHOW PARTITIONS dm_gold.a", Show("PARTITIONS", "dm_gold", "a")),
        ("SHOW COLUMNS FROM a IN dm_gold", Show("COLUMNS", "dm_gold", "a")),
        ("SHOW CREATE TABLE `dm-gold`.a", Show("CREATE TABLE", "dm-gold", "a")),
        ("SHOW CREATE VIEW a", Show("CREATE VIEW", None, "a")),
        ("SHOW TBLPROPERTIES a ('format')", Show("TBLPROPERTIES", None, "a", "format")),
        ("SHOW TBLPROPERTIES a", Show("TBLPROPERTIES", None, "a")),
    ],
)
def test_a_statement_about_the_catalog_is_read_by_its_form(sql, show):
    assert parse(sql) == show


@pytest.mark.parametrize("sql", ["SHOW FUNCTIONS", "EXPLAIN SELECT 1", "PREPARE p FROM SELECT 1"])
def test_a_statement_that_reads_is_not_refused_as_one_that_writes(sql):
    with pytest.raises(NotAnswered, match="the local Athena does not answer it"):
        parse(sql)


@pytest.mark.parametrize("sql", ["SELECT * FROM order", "SELECT end FROM a", "SELECT a AS values FROM b", "SELECT x.table FROM a x"])
def test_a_reserved_word_without_quotes_is_a_syntax_error(sql):
    with pytest.raises(StatementFailed, match=r"SYNTAX_ERROR: mismatched input '(order|end|values|table)'"):
        parse(sql)


def test_a_reserved_word_in_quotes_and_other_words_are_names():
    assert read('SELECT "end", date, user, year, first FROM "order"') == {"dm_gold.order"}


def test_parameters_have_to_match_the_question_marks():
    with pytest.raises(StatementFailed, match="has 2 parameters, 1 were given"):
        parse("SELECT ?, ?", ["1"])
