"""The local Athena answers what Athena answers, and refuses what it cannot do."""

import base64
import concurrent.futures
import json
import time

import boto3
import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.integration


def test_every_type_is_written_as_athena_writes_it(rows):
    assert rows("SELECT * FROM scores ORDER BY id") == [
        ("id", "name", "score", "price", "live", "at", "day", "tags", "raw"),
        ("1", "Saison", "4.25", "12.50", "true", "2024-01-01 00:00:00.000000 UTC", "2024-01-01", "[a, null]", "00 ff"),
        ("2", "", "1.0E7", "-0.05", "false", "2024-02-29 23:59:59.000007 UTC", None, "[]", ""),
        ("3", None, None, None, None, None, None, None, None),
    ]


def test_column_types_are_athenas(athena, finished):
    execution = finished("SELECT *, count(*) OVER () AS n FROM scores")
    columns = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert [(column["Name"], column["Type"]) for column in columns] == [
        ("id", "bigint"), ("name", "varchar"), ("score", "double"), ("price", "decimal"), ("live", "boolean"),
        ("at", "timestamp with time zone"), ("day", "date"), ("tags", "array"), ("raw", "varbinary"), ("n", "bigint"),
    ]  # fmt: skip
    assert (columns[3]["Precision"], columns[3]["Scale"]) == (12, 2)


def test_the_result_is_one_csv_object_in_s3_with_nulls_apart_from_empty_text(finished):
    execution = finished("SELECT name, id FROM scores WHERE id > 1 ORDER BY id")
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://dm-results/out/{execution['QueryExecutionId']}.csv"
    body = boto3.client("s3").get_object(Bucket="dm-results", Key=location.removeprefix("s3://dm-results/"))["Body"].read()
    assert body == b'"name","id"\n"","2"\n,"3"\n'


def test_pages_together_are_the_whole_result_once(athena, finished):
    execution = finished('SELECT x AS "a,""b", \'line\nwith "quotes", and comma\' AS t FROM UNNEST(sequence(1, 2500)) AS u(x)')
    pages = list(
        athena.get_paginator("get_query_results").paginate(
            QueryExecutionId=execution["QueryExecutionId"], PaginationConfig={"PageSize": 999}
        )
    )
    found = [[cell["VarCharValue"] for cell in row["Data"]] for page in pages for row in page["ResultSet"]["Rows"]]
    assert [len(page["ResultSet"]["Rows"]) for page in pages] == [999, 999, 503]
    assert found[0] == ['a,"b', "t"]
    assert [int(row[0]) for row in found[1:]] == list(range(1, 2501))
    assert {row[1] for row in found[1:]} == {'line\nwith "quotes", and comma'}


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT 7 / 2", "3"),
        ("SELECT id / 2 FROM scores WHERE id = 3", "1"),
        ("SELECT 7.0E0 / 2", "3.5"),
        ("SELECT sum(id) FROM scores", "6"),
        ("SELECT round(avg(CAST(id AS double)), 2) FROM scores", "2.0"),
        ("SELECT date_format(at, '%Y-%m') FROM scores WHERE id = 1", "2024-01"),
        ("SELECT CAST(from_unixtime(1580515200) AS date)", "2020-02-01"),
        ("SELECT CAST(NULL AS bigint)", None),
        ("SELECT MAP(ARRAY['a'], ARRAY[CAST(1 AS double)])", "{a=1.0}"),
        ("SELECT CAST(0.00012E0 AS double)", "1.2E-4"),
        ("SELECT array_join(tags, '|') FROM scores WHERE id = 1", "a"),
        ("SELECT count(*) FROM \"dm_silver\".\"SCORES\" WHERE dm_silver.scores.id > 1", "2"),
        ("WITH scores AS (SELECT 1 AS id) SELECT count(*) FROM scores", "1"),
        ("WITH a AS (SELECT id FROM scores), b AS (SELECT * FROM a) SELECT max(id) FROM b", "3"),
        ("SELECT count(*) FROM awsdatacatalog.dm_silver.scores s JOIN (SELECT id FROM scores) t ON s.id = t.id", "3"),
        ("SELECT id FROM scores WHERE id IN (SELECT max(id) FROM dm_silver.scores)", "3"),
        ("VALUES (5)", "5"),
        ("SELECT count(*) FROM scores WHERE at >= TIMESTAMP '2024-01-02 00:00:00'", "1"),
        ("SELECT count(*) FROM scores WHERE at BETWEEN TIMESTAMP '2024-01-01 00:00:00' AND TIMESTAMP '2024-01-01 00:00:00.000'", "1"),
        ("SELECT count(*) FROM scores WHERE CAST(at AS timestamp(3)) = TIMESTAMP '2024-01-01 00:00:00'", "1"),
        ("SELECT count(*) FROM scores WHERE at >= TIMESTAMP '2023-12-31 19:00:00 America/Bogota'", "2"),
        ("SELECT count(*) FROM scores WHERE at > DATE '2024-01-01'", "1"),
    ],
)  # fmt: skip
def test_values_are_athenas(rows, sql, value):
    assert rows(sql)[1:] == [(value,)]


SINCE = "TIMESTAMP '2024-01-01 00:00:00' AND TIMESTAMP '2030-01-01 00:00:00'"


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        (f"SELECT at FROM scores WHERE at BETWEEN {SINCE}", 2),
        (f"SELECT from_unixtime(floor(to_unixtime(at) / 300) * 300) AS time, count(*) FROM scores WHERE at BETWEEN {SINCE} GROUP BY 1", 2),
        ("SELECT day FROM scores WHERE day BETWEEN date '2024-01-01' AND date '2030-01-01'", 1),
        ("SELECT 1 FROM scores WHERE to_unixtime(at) BETWEEN 1704067200 AND 1893456000", 2),
        ("SELECT parse_datetime('2024-01-01', 'yyyy-MM-dd')", 1),
    ],
)
def test_what_grafanas_macros_become_is_answered(rows, sql, count):
    """https://github.com/grafana/athena-datasource/blob/main/pkg/athena/macros.go"""
    assert len(rows(sql)) == count + 1


def test_unnamed_columns_are_called_by_their_place(rows):
    assert rows("SELECT id, count(*), max(name) AS m, 1 FROM scores WHERE id = 1 GROUP BY id")[0] == ("id", "_col1", "m", "_col3")


def test_rows_come_in_the_statements_order(rows):
    found = rows("SELECT x, x FROM UNNEST(sequence(1, 60000)) AS u(x) ORDER BY x DESC")
    assert [int(row[0]) for row in found[1:]] == list(range(60000, 0, -1))


def test_parameters_are_literals_in_order(rows):
    assert rows("SELECT name FROM scores WHERE id = ? AND name = ?", ExecutionParameters=["1", "'Saison'"])[1:] == [("Saison",)]


def test_a_parameter_that_is_no_literal_is_refused(reason):
    assert "no literal" in reason("SELECT ?", ExecutionParameters=["(SELECT max(id) FROM scores)"])


def test_a_table_with_projected_days_has_the_rows_of_every_day(rows):
    assert rows("SELECT count(*) FROM dm_bronze.arrivals")[1:] == [("2",)]
    assert rows("SELECT id FROM dm_bronze.arrivals WHERE ingest_date = DATE '2024-01-02'")[1:] == [("1",)]


def test_a_hive_table_has_the_rows_of_its_registered_partitions(rows):
    assert rows("SELECT * FROM dm_bronze.events") == [("id", "price", "ingest_date"), ("1", "1.10", "2024-01-01")]


def test_a_table_whose_place_is_empty_has_no_rows(rows):
    assert rows("SELECT id, price FROM dm_bronze.nothing_yet") == [("id", "price")]


def view(database, name, sql):
    """Create a view, as Athena keeps it in Glue."""
    text = json.dumps({"originalSql": sql, "catalog": "awsdatacatalog", "schema": "dm_silver"})
    definition = f"/* Presto View: {base64.b64encode(text.encode()).decode()} */"
    described = {"Name": name, "TableType": "VIRTUAL_VIEW", "ViewOriginalText": definition, "StorageDescriptor": {}}
    boto3.client("glue").create_table(DatabaseName=database, TableInput=described)


def test_a_view_reads_what_it_stands_for(rows):
    view("dm_bronze", "liked", "SELECT id AS liked FROM scores WHERE score > 4")
    assert rows("SELECT v.liked FROM dm_bronze.liked v ORDER BY 1") == [("liked",), ("1",), ("2",)]


class TestTimeTravel:
    def test_by_version(self, rows, lake):
        assert rows(f"SELECT count(*) FROM scores FOR VERSION AS OF {lake['first_snapshot']}")[1:] == [("2",)]

    def test_by_timestamp(self, rows, lake):
        second = lake["scores"].refresh().current_snapshot().timestamp_ms
        before = f"from_unixtime({(second - 1) / 1000})"
        assert rows(f"SELECT count(*) FROM scores FOR TIMESTAMP AS OF {before} AS old")[1:] == [("2",)]
        assert rows("SELECT count(*) FROM scores FOR TIMESTAMP AS OF current_timestamp")[1:] == [("3",)]

    def test_before_the_first_snapshot_fails(self, reason):
        assert "no version history" in reason("SELECT * FROM scores FOR TIMESTAMP AS OF TIMESTAMP '2001-01-01 00:00:00 UTC'")

    def test_snapshots_are_a_table(self, rows, lake):
        found = rows('SELECT snapshot_id, operation, summary FROM "scores$snapshots" ORDER BY committed_at')
        assert [row[:2] for row in found[1:]] == [
            (str(lake["first_snapshot"]), "append"),
            (str(lake["scores"].refresh().current_snapshot().snapshot_id), "append"),
        ]
        assert "added-records=2" in found[1][2]

    @pytest.mark.parametrize("name", ["history", "files", "manifests", "partitions", "refs"])
    def test_other_metadata_tables_answer(self, rows, name):
        assert len(rows(f'SELECT * FROM dm_silver."scores${name}"')) >= 2


class TestDescriptions:
    def test_show_databases(self, rows):
        assert ("dm_silver",) in rows("SHOW DATABASES")
        assert rows("SHOW SCHEMAS LIKE 'dm_b*'") == [("dm_bronze",)]

    def test_show_tables(self, rows):
        assert rows("SHOW TABLES") == [("scores",)]
        for pattern in ("ev*|x", "ev.*", "*ent*", "x|events"):
            assert rows(f"SHOW TABLES IN dm_bronze '{pattern}'") == [("events",)]
        assert rows("SHOW TABLES IN dm_bronze 'e'") == []

    def test_show_columns(self, rows):
        assert rows("SHOW COLUMNS IN dm_bronze.events") == [("id",), ("price",), ("ingest_date",)]

    def test_describe(self, rows):
        assert [row[0].split() for row in rows("DESCRIBE dm_silver.scores")][:2] == [["id", "bigint"], ["name", "string"]]

    def test_show_partitions(self, rows, reason):
        assert rows("SHOW PARTITIONS dm_bronze.events") == [("ingest_date=2024-01-01",)]
        assert '"scores$partitions"' in reason("SHOW PARTITIONS scores")
        assert "is not a partitioned table" in reason("SHOW PARTITIONS dm_bronze.nothing_yet")

    def test_show_tblproperties(self, rows):
        assert rows("SHOW TBLPROPERTIES scores")[0] == ("table_type\ticeberg",)
        assert rows("SHOW TBLPROPERTIES scores ('format')") == [("parquet",)]
        assert ("projection.enabled\ttrue",) in rows("SHOW TBLPROPERTIES dm_bronze.arrivals")
        assert "does not have property: nope" in rows("SHOW TBLPROPERTIES scores ('nope')")[0][0]

    def test_show_create_table(self, rows):
        text = "\n".join(row[0] for row in rows("SHOW CREATE TABLE scores"))
        assert text.startswith("CREATE TABLE dm_silver.scores (\n  id bigint,\n  name string,")
        assert "LOCATION 's3://dm-lake/silver/scores'\nTBLPROPERTIES (\n  'table_type'='iceberg'" in text
        hive = "\n".join(row[0] for row in rows("SHOW CREATE TABLE dm_bronze.events"))
        assert "PARTITIONED BY ( \n  `ingest_date` date COMMENT '')" in hive

    def test_show_views_and_what_they_stand_for(self, rows, reason):
        view("dm_silver", "names", "SELECT name FROM scores\nWHERE id = 1")
        try:
            assert rows("SHOW VIEWS IN dm_silver LIKE 'na*'") == [("names",)]
            assert [row[0] for row in rows("SHOW CREATE VIEW names")] == [
                "CREATE VIEW dm_silver.names AS",
                "SELECT name FROM scores",
                "WHERE id = 1",
            ]
            assert "SHOW CREATE VIEW" in reason("SHOW CREATE TABLE names")
        finally:
            boto3.client("glue").delete_table(DatabaseName="dm_silver", Name="names")


class TestInformationSchema:
    def test_tables(self, rows):
        sql = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'dm_silver'"
        assert rows(sql) == [("table_name", "table_type"), ("scores", "BASE TABLE")]

    def test_columns_have_trinos_types(self, rows):
        sql = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'dm_silver' AND table_name = 'scores'"
        assert rows(f"{sql} ORDER BY ordinal_position")[1:] == [
            ("id", "bigint"), ("name", "varchar"), ("score", "double"), ("price", "decimal(12,2)"), ("live", "boolean"),
            ("at", "timestamp(6) with time zone"), ("day", "date"), ("tags", "array(varchar)"), ("raw", "varbinary"),
        ]  # fmt: skip

    def test_what_a_schema_browser_asks(self, rows):
        sql = """SELECT table_schema, table_name, column_name, data_type, extra_info FROM information_schema.columns
                 WHERE table_schema NOT IN ('information_schema') ORDER BY 1, 2"""
        assert ("dm_bronze", "events", "ingest_date", "date", "partition key") in rows(sql)
        assert ("dm_bronze",) in rows('SELECT schema_name FROM "awsdatacatalog"."information_schema"."schemata"')
        assert rows("SELECT information_schema.tables.table_name FROM information_schema.tables WHERE table_name = 'scores'")[1:] == [
            ("scores",)
        ]

    def test_other_tables_of_it_are_unknown(self, reason):
        assert reason("SELECT * FROM information_schema.nope").startswith("TABLE_NOT_FOUND")


class TestRefusals:
    @pytest.mark.parametrize(
        ("sql", "what"),
        [
            ("CREATE TABLE t AS SELECT 1 AS a", "CREATE TABLE"),
            ("CREATE OR REPLACE VIEW v AS SELECT 1 AS a", "CREATE OR"),
            ("INSERT INTO scores SELECT * FROM scores", "INSERT INTO"),
            ("DELETE FROM scores", "DELETE FROM"),
            ("UPDATE scores SET id = 1", "UPDATE scores".upper()),
            ("MERGE INTO scores USING scores s ON true WHEN MATCHED THEN DELETE", "MERGE INTO"),
            ("DROP TABLE scores", "DROP TABLE"),
            ("ALTER TABLE scores ADD COLUMNS (x int)", "ALTER TABLE"),
            ("MSCK REPAIR TABLE scores", "MSCK REPAIR"),
            ("UNLOAD (SELECT 1) TO 's3://dm-lake/x/' WITH (format = 'PARQUET')", "UNLOAD SELECT"),
            ("OPTIMIZE scores REWRITE DATA USING BIN_PACK", "OPTIMIZE"),
            ("VACUUM scores", "VACUUM"),
            ("EXPLAIN SELECT 1", "EXPLAIN SELECT"),
        ],
    )
    def test_what_would_write_is_refused_with_a_reason(self, reason, rows, sql, what):
        message = reason(sql)
        assert message.startswith(f"NOT_SUPPORTED: {what}")
        assert "nothing was done" in message
        assert rows("SELECT count(*) FROM scores")[1:] == [("3",)]

    @pytest.mark.parametrize(
        "sql", ["SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM duckdb_secrets()"]
    )
    def test_the_engines_own_table_functions_are_out_of_reach(self, reason, sql):
        assert "only tables of the Glue catalog are read" in reason(sql)

    @pytest.mark.parametrize("sql", ["SELECT * FROM '/etc/passwd'", "SELECT * FROM duckdb_tables", "SELECT * FROM pg_catalog.pg_class"])
    def test_the_engines_own_catalog_is_out_of_reach(self, reason, sql):
        assert "NOT_FOUND" in reason(sql) or "SYNTAX_ERROR" in reason(sql)

    def test_an_unknown_table_is_athenas_message(self, reason):
        assert reason("SELECT * FROM nope") == "TABLE_NOT_FOUND: Table 'awsdatacatalog.dm_silver.nope' does not exist"

    def test_an_unknown_database_is_athenas_message(self, reason):
        assert reason("SELECT * FROM nope.scores") == "SCHEMA_NOT_FOUND: Schema 'nope' does not exist"

    def test_an_unknown_column_is_athenas_message(self, reason):
        assert reason("SELECT nope FROM scores") == "COLUMN_NOT_FOUND: Column 'nope' cannot be resolved"
        assert reason("SELECT s.nope FROM scores s") == "COLUMN_NOT_FOUND: Column 'nope' cannot be resolved"

    def test_an_unknown_function_is_named(self, reason):
        assert reason("SELECT nope(1)").startswith("FUNCTION_NOT_FOUND: Function 'nope' not registered")

    def test_broken_sql_is_a_syntax_error(self, reason):
        assert reason("SELEC 1 FROM").startswith(("SYNTAX_ERROR", "NOT_SUPPORTED"))
        assert reason("SELECT FROM WHERE").startswith("SYNTAX_ERROR")
        assert reason("SELECT 1; SELECT 2").startswith("SYNTAX_ERROR")

    def test_a_sum_beyond_bigint_fails_as_there(self, reason):
        assert reason("SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS t(x)").startswith(
            ("NUMERIC_VALUE_OUT_OF_RANGE", "INVALID_CAST")
        )

    def test_a_result_place_that_does_not_exist_fails(self, reason):
        assert "s3://no-such-bucket/" in reason("SELECT 1", ResultConfiguration={"OutputLocation": "s3://no-such-bucket/"})


class TestRequests:
    def test_without_any_place_for_the_result_the_request_is_invalid(self, athena):
        with pytest.raises(ClientError, match="No output location provided"):
            athena.start_query_execution(QueryString="SELECT 1")

    def test_a_work_group_gives_the_place_and_may_enforce_it(self, finished, emulator):
        configuration = {"ResultConfiguration": {"OutputLocation": "s3://dm-results/group/"}, "EnforceWorkGroupConfiguration": True}
        boto3.client("athena").create_work_group(Name="dm", Configuration=configuration)
        execution = finished("SELECT 1", WorkGroup="dm", ResultConfiguration={"OutputLocation": "s3://dm-results/own/"})
        assert execution["ResultConfiguration"]["OutputLocation"].startswith("s3://dm-results/group/")

    def test_a_work_group_tells_every_setting(self, athena, emulator):
        configuration = athena.get_work_group(WorkGroup="primary")["WorkGroup"]["Configuration"]
        assert configuration["EnforceWorkGroupConfiguration"] is False
        assert configuration["EngineVersion"]["EffectiveEngineVersion"] == "Athena engine version 3"

    def test_the_same_client_token_starts_nothing_new(self, athena):
        request = {"QueryString": "SELECT 1", "ClientRequestToken": "t" * 32, "ResultConfiguration": {"OutputLocation": "s3://dm-results/"}}
        assert athena.start_query_execution(**request)["QueryExecutionId"] == athena.start_query_execution(**request)["QueryExecutionId"]
        with pytest.raises(ClientError, match="Idempotent parameters do not match"):
            athena.start_query_execution(**request | {"QueryString": "SELECT 2"})

    def test_a_statement_has_at_most_262144_bytes(self, athena, finished):
        text = "SELECT '" + "x" * (262_144 - 9) + "'"
        assert finished(text)["Status"]["State"] == "SUCCEEDED"
        with pytest.raises(ClientError, match="length less than or equal to 262144"):
            finished(text + " ")

    def test_an_unknown_execution_is_invalid(self, athena):
        with pytest.raises(ClientError, match="was not found"):
            athena.get_query_execution(QueryExecutionId="nope")

    def test_results_of_a_failed_execution_are_an_error(self, athena, finished):
        execution = finished("SELECT * FROM nope")
        with pytest.raises(ClientError, match="Final query state: FAILED"):
            athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])

    def test_executions_are_listed_newest_first_and_read_in_batches(self, athena, finished):
        ids = [finished("SELECT 1", WorkGroup="listed")["QueryExecutionId"] for _ in range(3)]
        assert athena.list_query_executions(WorkGroup="listed", MaxResults=2)["QueryExecutionIds"] == ids[:0:-1]
        batch = athena.batch_get_query_execution(QueryExecutionIds=[ids[0], "nope"])
        assert [execution["QueryExecutionId"] for execution in batch["QueryExecutions"]] == ids[:1]
        assert [missing["QueryExecutionId"] for missing in batch["UnprocessedQueryExecutionIds"]] == ["nope"]

    def test_a_running_statement_can_be_stopped(self, athena):
        endless = (
            "SELECT count(*) FROM UNNEST(sequence(1, 100000)) AS a(x) CROSS JOIN UNNEST(sequence(1, 1000000)) AS b(y) WHERE x * y % 7 = 3"
        )
        execution_id = athena.start_query_execution(QueryString=endless, ResultConfiguration={"OutputLocation": "s3://dm-results/"})[
            "QueryExecutionId"
        ]
        time.sleep(0.5)
        athena.stop_query_execution(QueryExecutionId=execution_id)
        assert athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]["Status"]["State"] == "CANCELLED"

    def test_statements_run_at_once(self, rows):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: rows(f"SELECT count(*) + {n} FROM scores")[1][0], range(24)))
        assert found == [str(3 + n) for n in range(24)]

    def test_descriptions_come_from_the_catalog(self, athena, lake):
        names = [
            table["Name"]
            for table in athena.list_table_metadata(CatalogName="AwsDataCatalog", DatabaseName="dm_silver")["TableMetadataList"]
        ]
        assert names == ["scores"]
        databases = athena.list_databases(CatalogName="awsdatacatalog")["DatabaseList"]
        assert {"dm_bronze", "dm_silver"} <= {database["Name"] for database in databases}

    def test_the_database_of_unqualified_names_may_stand_in_backticks(self, rows):
        assert ("id",) in rows("SHOW COLUMNS IN scores", database="`dm_silver`")
