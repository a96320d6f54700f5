"""The launcher: a real server, wherever its data may lie, whatever happened to the one before."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import psycopg2
import pytest

from datamaster.laptop import postgres
from tests.waiting import eventually

pytestmark = pytest.mark.integration


def value(dsn, statement):
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    try:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


@pytest.fixture
def data(tmp_path):
    yield tmp_path / "pg" / "data"
    postgres.forget_data(tmp_path / "pg" / "data")


def test_a_server_is_ready_for_logical_replication_and_speaks_utc(data):
    with postgres.start(data) as server:
        assert value(server.dsn, "SHOW wal_level") == "logical"
        assert value(server.dsn, "SHOW TimeZone") == "UTC"
        assert value(server.dsn, "SHOW listen_addresses") == "127.0.0.1"
        assert value(server.dsn, "SHOW server_encoding") == "UTF8"


def test_data_outlives_a_stop_and_a_kill(data):
    with postgres.start(data) as server:
        value(server.dsn, "CREATE TABLE kept AS SELECT 1 AS n")
    killed = postgres.start(data)
    value(killed.dsn, "INSERT INTO kept VALUES (2)")
    killed.process.kill()
    killed.process.wait()

    with postgres.start(data, killed.port) as server:
        assert server.port == killed.port
        assert value(server.dsn, "SELECT sum(n) FROM kept") == 3


def test_a_second_server_on_the_same_data_says_which_one_runs(data):
    with postgres.start(data) as server, pytest.raises(postgres.PostgresRunning, match=f"process {server.pid}, port {server.port}"):
        postgres.start(data)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as another user")
def test_root_with_a_private_directory_keeps_the_data_elsewhere_and_finds_it_again(tmp_path):
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    with postgres.start(private / "data") as server:
        value(server.dsn, "CREATE TABLE kept AS SELECT 1 AS n")
        assert private not in server.data_dir.parents
        assert server.data_dir.owner() == "nobody"

    with postgres.start(private / "data") as server:
        assert value(server.dsn, "SELECT n FROM kept") == 1
    postgres.forget_data(private / "data")

    assert not server.data_dir.exists()
    assert list(private.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as another user")
def test_root_with_private_programs_runs_a_copy_of_them(tmp_path, monkeypatch):
    package = postgres.programs().parent.parent
    private = tmp_path / "venv"
    for folder in (package, package.with_name(package.name + ".libs")):
        shutil.copytree(folder, private / folder.name, symlinks=True)
    private.chmod(0o700)
    monkeypatch.setattr(postgres, "programs", lambda: private / package.name / "pginstall" / "bin")

    with postgres.start(tmp_path / "data") as server:
        assert value(server.dsn, "SELECT 1") == 1
    postgres.forget_data(tmp_path / "data")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_with_the_process_that_runs_it(data, ending):
    command = [sys.executable, "-m", "datamaster.laptop.postgres", "--data", str(data)]
    runner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    dsn = runner.stdout.readline().strip()
    assert value(dsn, "SELECT 1") == 1

    runner.send_signal(ending)
    runner.wait(20)

    def silent() -> bool:
        try:
            psycopg2.connect(dsn).close()
        except psycopg2.OperationalError:
            return True
        return False

    eventually(silent, "the end of the server")
