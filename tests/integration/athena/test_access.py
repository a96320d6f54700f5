"""A statement runs only where its caller may read every table in it, those behind views too."""

import base64
import json
import threading

import boto3
import pytest

from datamaster.athena.__main__ import server
from datamaster.athena.failures import StatementFailed
from datamaster.platform.query import Athena, QueryFailed

pytestmark = pytest.mark.integration


@pytest.fixture
def guarded(lake, tmp_path):
    """An endpoint whose callers may not read dm_bronze; what was asked for is kept."""
    asked = []

    def allowed(access_key, tables):
        asked.append((access_key, {f"{name.database}.{name.table}" for name in tables}))
        for name in sorted(tables):
            if name.database == "dm_bronze":
                raise StatementFailed("PERMISSION_DENIED", f"{access_key} may not read {name.database}.{name.table}")

    running = server(0, "256MB", 1, tmp_path, allowed)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    client = boto3.client("athena", endpoint_url=running.url)
    yield Athena(output="s3://dm-results/access/", database="dm_silver", client=client), asked
    running.shutdown()
    thread.join()


def test_the_caller_is_asked_for_with_every_table(guarded):
    athena, asked = guarded
    athena.run("WITH a AS (SELECT id FROM scores) SELECT count(*) FROM a JOIN scores USING (id)")
    assert asked[0] == ("test", {"dm_silver.scores"})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM dm_bronze.events",
        "SELECT id FROM scores WHERE id IN (SELECT id FROM dm_bronze.events)",
        "WITH e AS (SELECT * FROM dm_bronze.events) SELECT count(*) FROM scores, e",
        'SELECT * FROM "dm_bronze"."EVENTS$files"',
        "DESCRIBE dm_bronze.events",
    ],
)
def test_one_table_without_the_right_is_enough_to_refuse(guarded, sql):
    athena, _asked = guarded
    with pytest.raises(QueryFailed, match=r"^PERMISSION_DENIED: test may not read dm_bronze\.events"):
        athena.run(sql)


def test_information_schema_lists_what_the_caller_may_list(guarded):
    athena, _asked = guarded
    found = athena.run("SELECT DISTINCT table_schema FROM information_schema.tables ORDER BY 1").rows
    assert found == (("dm_silver",), ("information_schema",))


def test_a_view_gives_no_right_to_what_it_reads(guarded):
    athena, _asked = guarded
    text = json.dumps({"originalSql": "SELECT id FROM events", "schema": "dm_bronze"})
    definition = f"/* Presto View: {base64.b64encode(text.encode()).decode()} */"
    boto3.client("glue").create_table(
        DatabaseName="dm_silver",
        TableInput={"Name": "peephole", "TableType": "VIRTUAL_VIEW", "ViewOriginalText": definition, "StorageDescriptor": {}},
    )
    with pytest.raises(QueryFailed, match=r"may not read dm_bronze\.events"):
        athena.run("SELECT * FROM peephole")
