"""``dm query``: rows in three forms, and a reason where there are none."""

import io
import json

import boto3
import pytest
from rich.console import Console

from datamaster.platform.query import Athena, AthenaUnreachable, QueryFailed, as_table, write_csv, write_json

pytestmark = pytest.mark.integration


@pytest.fixture
def athena_query(service, athena):
    return Athena(output="s3://dm-results/query/", database="dm_silver", client=athena)


def test_rows_come_back_with_names_and_types(athena_query):
    result = athena_query.run("SELECT id, name, live FROM scores ORDER BY id")
    assert list(zip(result.columns, result.types, strict=True)) == [("id", "bigint"), ("name", "varchar"), ("live", "boolean")]
    assert result.rows == (("1", "Saison", "true"), ("2", "", "false"), ("3", None, None))
    assert not result.more


@pytest.mark.parametrize(("limit", "count", "more"), [(1, 1, True), (2500, 2500, False), (2499, 2499, True), (None, 2500, False)])
def test_a_limit_holds_and_tells_whether_there_is_more(athena_query, limit, count, more):
    result = athena_query.run("SELECT * FROM UNNEST(sequence(1, 2500)) AS u(x)", limit=limit)
    assert (len(result.rows), result.more) == (count, more)


def test_csv_and_json(athena_query):
    result = athena_query.run("SELECT id, name, score, price, live FROM scores WHERE id <> 2 ORDER BY id")
    text, objects = io.StringIO(), io.StringIO()
    write_csv(result, text)
    write_json(result, objects)
    assert text.getvalue() == "id,name,score,price,live\n1,Saison,4.25,12.50,true\n3,,,,\n"
    assert json.loads(objects.getvalue()) == [
        {"id": 1, "name": "Saison", "score": 4.25, "price": "12.50", "live": True},
        {"id": 3, "name": None, "score": None, "price": None, "live": None},
    ]


def test_a_table_shows_text_as_it_is(athena_query):
    shown = io.StringIO()
    console = Console(width=80, file=shown)
    console.print(as_table(athena_query.run("SELECT '[red]x[/]' AS markup, CAST(NULL AS bigint) AS n")))
    assert "[red]x[/]" in shown.getvalue()
    assert "null" in shown.getvalue()


def test_describe_comes_in_columns(athena_query):
    result = athena_query.run("DESCRIBE scores")
    assert result.columns == ("col_name", "data_type", "comment")
    assert result.rows[3] == ("price", "decimal(12,2)", "")


def test_a_refused_statement_says_why(athena_query):
    with pytest.raises(QueryFailed, match="NOT_SUPPORTED: DROP TABLE is refused and nothing was done"):
        athena_query.run("DROP TABLE scores")


def test_a_request_that_athena_does_not_take_says_why(athena):
    with pytest.raises(QueryFailed, match="No output location provided"):
        Athena(client=athena).run("SELECT 1")


def test_an_endpoint_that_does_not_answer_is_named():
    client = boto3.client("athena", endpoint_url="http://127.0.0.1:9", config=boto3.session.Config(retries={"max_attempts": 1}))
    with pytest.raises(AthenaUnreachable, match=r"127\.0\.0\.1:9"):
        Athena(output="s3://x/", client=client).run("SELECT 1")


def test_a_download_is_the_whole_result(athena_query, tmp_path):
    athena_query.download("SELECT x, 'a' AS t FROM UNNEST(sequence(1, 5000)) AS u(x)", tmp_path / "rows.csv")
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert (lines[0], lines[1], len(lines)) == ('"x","t"', '"1","a"', 5001)


def test_the_work_group_gives_the_place_of_results(athena):
    configuration = {"ResultConfiguration": {"OutputLocation": "s3://dm-results/lake/"}, "EnforceWorkGroupConfiguration": True}
    boto3.client("athena").create_work_group(Name="dm-lake", Configuration=configuration)
    assert Athena("dm-lake", database="dm_silver", client=athena).run("SELECT max(id) FROM scores").rows == (("3",),)
