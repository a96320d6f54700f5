"""The platform as ``dm up`` makes it: what it opens, what a second one says, what is left when it ends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import psutil
import psycopg2
import pytest
import yaml

from beer.generate import create_schema
from datamaster.aws.deploy.environments import ENVIRONMENTS
from datamaster.aws.deploy.stacks import Outputs, outputs_by_name
from datamaster.cli import run
from datamaster.laptop import lifecycle, state
from datamaster.laptop.memory import family, memory_of
from datamaster.laptop.state import PlatformNotRunning, PlatformRunning, State
from lake.control import ControlTable
from tests.platforms import running_platform
from tests.processes import alive, listening
from tests.waiting import eventually

pytestmark = pytest.mark.integration
SEEDED = "INSERT INTO dm_core.brewery SELECT n, 'Brewery ' || n FROM generate_series(1, 50) AS n"


def seed(dsn: str) -> None:
    create_schema(dsn)
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(SEEDED)
    connection.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, taken_ports: None) -> Iterator[State]:
    """A platform, started while the ports that its services have by default are taken."""
    with running_platform(tmp_path_factory.mktemp("home"), seed=seed) as running:
        yield running


def test_rows_of_the_source_come_as_far_as_bronze(running: State):
    control = ControlTable(running.control_table)
    bronze = eventually(lambda: list(control.listing.files(table="brewery", status="bronze")), "a file in bronze", pause=0.5)

    assert sum(file.operations.get("load", 0) for file in bronze) == 50


def test_every_process_listens_on_this_machine_only(running: State):
    assert listening(family(running.pids["supervisor"])) == {"127.0.0.1"}


def test_all_processes_together_leave_room_on_a_small_machine(running: State):
    assert 0 < memory_of([running.pids["supervisor"]]) < 2 * 2**30


def test_a_second_platform_in_the_same_home_says_that_one_runs(running: State):
    with pytest.raises(PlatformRunning, match=f"a platform runs in {running.home} already, process {running.pids['supervisor']}"):
        lifecycle.up(running.home)

    assert lifecycle.status(running.home).healthy


def test_what_the_state_names_is_there(running: State):
    assert boto3.client("s3").head_bucket(Bucket=running.lake_bucket)
    assert boto3.client("lambda").get_function(FunctionName=running.functions["transform_records"])
    assert boto3.client("stepfunctions").describe_state_machine(stateMachineArn=running.state_machines["bronze-to-silver"])
    assert boto3.client("kinesis").describe_stream_summary(StreamName=running.stream_name)
    assert state.load(running.home) == running


def test_with_its_source_in_reach_an_environment_is_exported_merged_loaded_and_compared(
    running: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The deployed platform, found by its stacks alone, as an environment in an account is."""
    values = yaml.safe_load((ENVIRONMENTS / "local.yaml").read_text()) | {"laptop": False}
    (tmp_path / "trial.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.setattr("datamaster.aws.deploy.environments.ENVIRONMENTS", tmp_path)
    monkeypatch.setattr("datamaster.aws.operation.installation.outputs_by_name", with_replication(running))
    monkeypatch.setenv("DM_SOURCE", running.dsn)

    def dm(*words: str) -> tuple[int, str]:
        code = run([*words, "--env", "trial"])
        return code, capsys.readouterr().out

    assert dm("export", "brewery", "--whole")[0] == 0
    assert dm("run", "silver", "--table", "brewery")[0] == 0
    compared = {table["table"]: table for table in json.loads(dm("verify", "--json")[1])["tables"]}
    carried = {row["table"]: row for row in json.loads(dm("tables", "ls", "--json")[1])}

    brewery = compared["dm_silver.brewery"]
    assert (brewery["expected_rows"], brewery["got_rows"], brewery["differences"], brewery["trouble"]) == (50, 50, 0, [])
    assert carried["dm_core.brewery"]["loaded"] == 50
    assert dm("reload", "brewery")[0] == 0


def with_replication(running: State) -> Callable[..., Outputs]:
    """Outputs of stacks, with those of streaming-dms, which names the replication and whose types the emulator lacks."""

    def found(client: object, names: Iterable[str]) -> Outputs:
        return outputs_by_name(client, names) | {
            "dm-local-streaming-dms": {"ReplicationConfigArn": running.environment["DMS_REPLICATION_CONFIG_ARN"], "ReplicationTaskArn": ""}
        }

    return found


def test_a_worker_that_is_killed_comes_back(running: State):
    before = running.pids["delivery"]

    os.kill(before, signal.SIGKILL)

    eventually(lambda: running.pids.get("delivery") not in (None, before), "another delivery worker")


def test_a_home_without_a_platform_says_how_to_start_one(tmp_path: Path):
    with pytest.raises(PlatformNotRunning, match=r"no platform runs in .*; start one with dm up"):
        lifecycle.status(tmp_path)
    lifecycle.down(tmp_path)


def test_after_down_amid_changes_and_a_merge_no_process_of_it_is_left(running: State):
    boto3.client("stepfunctions").start_execution(stateMachineArn=running.state_machines["bronze-to-silver"])
    drivers: set[int] = set()

    def taken() -> set[int]:
        for note in (running.home / "work" / "jobs-taken").iterdir():
            with suppress(OSError, ValueError):  # it is being written
                drivers.update(pid for name, pid in json.loads(note.read_text()).items() if name == "pid")
        return drivers

    eventually(taken, "a job's driver")
    with psycopg2.connect(running.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO dm_core.brewery SELECT n, 'Brewery ' || n FROM generate_series(1000, 30000) AS n")
    connection.close()
    everyone = family(running.pids["supervisor"])
    assert drivers
    assert drivers <= {process.pid for process in everyone}

    lifecycle.down(running.home)

    # the kernel takes a moment to clear away what was killed
    eventually(lambda: not alive(everyone), lambda: f"the end of {alive(everyone)}", seconds=30)
    with pytest.raises(PlatformNotRunning):
        state.load(running.home)


def test_a_start_that_fails_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    started: list[psutil.Process] = []

    def failing(_dsn: str) -> None:
        started.extend(family(state.owner_of(tmp_path) or 0))
        raise ValueError("the rows cannot be made")

    with pytest.raises(ValueError, match="the rows cannot be made"):
        lifecycle.up(tmp_path, seed=failing)

    assert state.owner_of(tmp_path) is None
    assert len(started) > 3
    assert alive(started) == []
