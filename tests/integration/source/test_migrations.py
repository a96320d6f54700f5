"""dm deploy brings the source database to what the migrations say, by the Data API, in a real PostgreSQL."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import psycopg2
import pytest

from beer import MIGRATIONS
from datamaster.aws.deploy.migrations import Database, MigrationChanged, MigrationFailed, SourceStopped, migrate, statements

from .conftest import Database as Source
from .data_api import DataApi

pytestmark = pytest.mark.integration
PASSWORD = "first-password"


ROLES = ("dm_replication", "rds_replication")


@pytest.fixture
def deploys(database: Source, emulator: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """``deploys(folder)``: what a deployment runs against the test's database; the role of RDS is there as it is on AWS."""
    database.run("CREATE ROLE rds_replication")
    about = json.dumps({"username": "dm_replication", "password": PASSWORD})
    secret = boto3.client("secretsmanager").create_secret(Name=f"replication-{id(database)}", SecretString=about)["ARN"]
    here = "us-east-1:000000000000"
    source = Database(f"arn:aws:rds:{here}:cluster:c", f"arn:aws:secretsmanager:{here}:secret:s", secret)
    with DataApi(database.dsn).listening() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_RDS_DATA", endpoint)
        yield lambda folder=MIGRATIONS: migrate(source, "us-east-1", folder)
    database.run("DROP EVENT TRIGGER IF EXISTS awsdms_intercept_ddl")
    for (role,) in database.run("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", list(ROLES)):
        database.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def as_user(database: Source) -> psycopg2.extensions.connection:
    parts = psycopg2.extensions.parse_dsn(database.dsn) | {"user": "dm_replication", "password": PASSWORD}
    connection = psycopg2.connect(**parts)
    connection.autocommit = True
    return connection


def test_an_empty_database_gets_tables_indexes_and_a_user_who_may_replicate(database: Source, deploys: Callable[..., list[str]]) -> None:
    assert deploys() == ["0001_tables.sql", "0002_indexes.sql", "0003_replication.sql"]
    assert deploys() == []

    database.run("CREATE TABLE dm_core.later (id bigint PRIMARY KEY)")
    with as_user(database) as connection, connection.cursor() as cursor:
        for table in ("review", "later"):
            cursor.execute(f"SELECT count(*) FROM dm_core.{table}")
        cursor.execute("CREATE TABLE awsdms.heartbeat (at timestamp)")
        cursor.execute("SELECT pg_has_role('rds_replication', 'USAGE')")
        assert cursor.fetchone() == (True,)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM dm_core.review")


def test_a_change_of_a_tables_definition_passes_the_log_as_dms_expects_it(database: Source, deploys: Callable[..., list[str]]) -> None:
    deploys()
    slot = "ddl_seen"
    database.run("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", slot)

    database.run("ALTER TABLE dm_core.beer ADD COLUMN colour varchar(20)")

    seen = [change for (change,) in database.run("SELECT data FROM pg_logical_slot_get_changes(%s, NULL, NULL)", slot)]
    [written] = [change for change in seen if "awsdms_ddl_audit: INSERT" in change]
    assert "ALTER TABLE dm_core.beer ADD COLUMN colour" in written
    assert database.run("SELECT count(*) FROM awsdms.awsdms_ddl_audit") == [(0,)]


def test_a_file_that_fails_leaves_nothing_and_says_which_statement(
    database: Source, deploys: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE public.good (id int);")
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE public.half (id int);\nCREATE TABEL public.wrong (id int);")

    with pytest.raises(MigrationFailed, match=r"migrations/0002_bad\.sql: CREATE TABEL public\.wrong.*syntax error"):
        deploys(tmp_path)

    assert database.run("SELECT to_regclass('public.good')::text, to_regclass('public.half')::text") == [("good", None)]
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE public.half (id int);")
    assert deploys(tmp_path) == ["0002_bad.sql"]


def test_a_file_that_was_run_may_not_be_changed(deploys: Callable[..., list[str]], tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    deploys(folder)
    (folder / "0002_indexes.sql").write_text("SELECT 1")

    with pytest.raises(MigrationChanged, match=r"0002_indexes\.sql was changed after it was run.*new file"):
        deploys(folder)


def test_the_administrators_secret_is_asked_of_rds_which_keeps_it(emulator: object) -> None:
    asked = {"Engine": "aurora-postgresql", "MasterUsername": "dm_admin", "ManageMasterUserPassword": True}
    made = boto3.client("rds").create_db_cluster(DBClusterIdentifier="dm-source-test", **asked)["DBCluster"]

    found = Database.of({"ClusterArn": made["DBClusterArn"], "ReplicationUserArn": "user"}, "us-east-1")

    assert found == Database(made["DBClusterArn"], made["MasterUserSecret"]["SecretArn"], "user")


def test_a_source_that_is_stopped_is_told_with_the_next_step(emulator: object) -> None:
    asked = {"Engine": "aurora-postgresql", "MasterUsername": "dm_admin", "ManageMasterUserPassword": True}
    rds = boto3.client("rds")
    made = rds.create_db_cluster(DBClusterIdentifier="dm-source-paused", **asked)["DBCluster"]
    rds.stop_db_cluster(DBClusterIdentifier="dm-source-paused")

    with pytest.raises(
        SourceStopped, match=r"dm-source-paused is stopp.*\nNext: aws rds start-db-cluster --db-cluster-identifier dm-source-paused"
    ):
        Database.of({"ClusterArn": made["DBClusterArn"], "ReplicationUserArn": "user"}, "us-east-1")


def test_the_password_is_never_told(database: Source, deploys: Callable[..., list[str]]) -> None:
    database.run("DROP ROLE rds_replication")

    with pytest.raises(MigrationFailed) as failure:
        deploys()

    assert "CREATE ROLE" in str(failure.value) or "GRANT" in str(failure.value)
    assert PASSWORD not in str(failure.value)


def test_statements_are_told_apart_and_bodies_stay_whole() -> None:
    text = "-- why\nSELECT ';';\n\nCREATE FUNCTION f() RETURNS int AS $$ BEGIN; RETURN 1; END; $$ LANGUAGE plpgsql;\n-- the end\n"

    assert statements(text) == ["SELECT ';'", "CREATE FUNCTION f() RETURNS int AS $$ BEGIN; RETURN 1; END; $$ LANGUAGE plpgsql"]
