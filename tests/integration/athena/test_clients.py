"""Other people's clients of Athena, as they are installed: PyAthena, SQLAlchemy, awswrangler, dbt.

They live in an environment of their own (``make check-clients``): awswrangler wants another pyarrow, dbt another PyAthena.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import require

pytestmark = pytest.mark.integration
PYTHON = os.environ.get("DM_CLIENTS_PYTHON", "")

PYATHENA = """
import json
from datetime import datetime
from pyathena import connect
from sqlalchemy import create_engine, inspect
place = {"s3_staging_dir": "s3://dm-results/pyathena/", "region_name": "us-east-1", "poll_interval": 0.1}
cursor = connect(schema_name="dm_silver", **place).cursor()
cursor.execute("SELECT id, name, price, day, score FROM scores WHERE at >= %(since)s ORDER BY id", {"since": datetime(2024, 1, 1)})
rows = [[str(cell) for cell in row] for row in cursor.fetchall()]
kinds = [column[1] for column in cursor.description]
url = "awsathena+rest://:@athena.us-east-1.amazonaws.com:443/dm_silver?s3_staging_dir=s3%3A%2F%2Fdm-results%2Fpyathena%2F"
browser = inspect(create_engine(url))
columns = {column["name"]: str(column["type"]) for column in browser.get_columns("scores", schema="dm_silver")}
print(json.dumps([rows, kinds, browser.get_schema_names(), browser.get_table_names("dm_silver"), columns]))
"""
WRANGLER = """
import json
import awswrangler
place = {"database": "dm_silver", "s3_output": "s3://dm-results/wrangler/"}
read = awswrangler.athena.read_sql_query("SELECT id, score, at FROM scores ORDER BY id", ctas_approach=False, **place)
browsed = awswrangler.athena.read_sql_query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'dm_silver'",
                                            ctas_approach=False, **place)
described = awswrangler.athena.describe_table("scores", **place)
created = awswrangler.athena.show_create_table("scores", **place)
try:
    awswrangler.athena.read_sql_query("SELECT 1 AS one", **place)
except Exception as error:
    refused = str(error)
print(json.dumps([read["id"].tolist(), str(read["at"].dtype), browsed["table_name"].tolist(), len(described), created, refused]))
"""
PROFILE = """
clients:
  target: local
  outputs:
    local: {type: athena, s3_staging_dir: "s3://dm-results/dbt/", region_name: us-east-1, schema: dm_silver, database: awsdatacatalog,
            poll_interval: 0.1}
"""
PROJECT = "name: clients\nprofile: clients\nversion: '1.0.0'\nconfig-version: 2\n"
SOURCES = "version: 2\nsources:\n  - {name: lake, database: awsdatacatalog, schema: dm_silver, tables: [{name: scores}]}\n"


@pytest.fixture
def client(service, monkeypatch):
    """Run a client's program against the local Athena; returns what it prints."""
    require(bool(PYTHON), "an environment of Athena's clients (make check-clients)")
    monkeypatch.setenv("AWS_ENDPOINT_URL_ATHENA", service.url)

    def run(*command: str) -> str:
        done = subprocess.run([PYTHON, *command], capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    return run


def test_pyathena_reads_rows_and_browses_the_catalog(client):
    rows, kinds, schemas, tables, columns = json.loads(client("-c", PYATHENA))
    assert rows == [["1", "Saison", "12.50", "2024-01-01", "4.25"], ["2", "", "-0.05", "None", "10000000.0"]]
    assert kinds == ["bigint", "varchar", "decimal", "date", "double"]
    assert {"dm_bronze", "dm_silver"} <= set(schemas)
    assert tables == ["scores"]
    assert (columns["price"], columns["id"]) == ("DECIMAL(12, 2)", "BIGINT")


def test_awswrangler_reads_rows_and_descriptions(client):
    ids, kind, browsed, described, created, refused = json.loads(client("-c", WRANGLER).splitlines()[-1])
    assert (ids, browsed, described) == ([1, 2, 3], ["scores"], 9)
    assert kind.startswith("datetime64[")
    assert created.startswith("CREATE TABLE dm_silver.scores")
    assert "NOT_SUPPORTED: CREATE TABLE is refused and nothing was done" in refused


def test_dbt_shows_a_query_of_a_source(client, tmp_path: Path):
    for name, text in (("profiles.yml", PROFILE), ("dbt_project.yml", PROJECT), ("models/sources.yml", SOURCES)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    folder = ["--project-dir", str(tmp_path), "--profiles-dir", str(tmp_path)]
    query = "select id, name from {{ source('lake', 'scores') }} where id < 3 order by id"
    told = client(
        "-c",
        "from dbt.cli.main import cli; cli()",
        "--no-send-anonymous-usage-stats",
        "show",
        "--inline",
        query,
        "--output",
        "json",
        *folder,
    )
    assert '"id": 1' in told
    assert '"name": "Saison"' in told
