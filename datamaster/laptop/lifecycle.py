"""The whole platform on one machine: ``up`` starts it and returns, ``down`` ends it, ``status`` reports on it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import boto3
import psutil
import psycopg2

from datamaster.aws.deploy import Deployment, Watch, deploy
from datamaster.aws.deploy.environments import load_environment
from datamaster.laptop import holdups, postgres, services, state
from datamaster.laptop.deployed import bound_functions, names, state_of
from datamaster.laptop.process import tail
from datamaster.laptop.replication_state import replication_state
from datamaster.laptop.services import Ports, ServiceFailed, WorkerSettings
from datamaster.laptop.state import PlatformNotRunning, PlatformRunning, State
from datamaster.laptop.supervisor import DETACH, EXIT_HELD, message
from datamaster.platform.settled import Stage, wait_for
from datamaster.project import PROJECT, demo_contracts
from datamaster.source.pg_catalog import SLOT
from lake import clients
from lake.contract import ContractSet
from lake.errors import LakeError

DELIVERY_SECONDS = 3.0
PARALLEL_CONTAINERS = 2
PARALLEL_JOBS = 2
DOWN_SECONDS = 40.0
LEFT_OVERS = ("emulator", "delivery", "work", "build", state.LOGS)

Progress = Callable[[str], None]


def silent(_message: str) -> None:
    """Ignore a message."""


def up(
    home: Path,
    *,
    source: str | None = None,
    contracts: Path | None = None,
    seed: Callable[[str], None] | None = None,
    variables: Mapping[str, Any] | None = None,
    delivery_seconds: float = DELIVERY_SECONDS,
    progress: Progress = silent,
) -> State:
    """Start a platform in ``home``, deploy every stack to it, and return once rows can flow.

    ``source`` is the user's own database. Without it an embedded PostgreSQL is used. ``contracts`` is the folder of the tables to carry:
    the environment's, or <home>/contracts for an own database. ``seed`` is called with the connection string during the deployment, before
    the first row is carried, and creates an embedded database's tables. ``variables`` replace values of environments/local.yaml.
    ``delivery_seconds`` limits the buffering of a raw object.

    Afterwards this process's AWS variables point to the platform. Raises ``PlatformRunning``, ``ServiceFailed``, and the errors of
    ``deploy``. After an error nothing is left running.
    """
    home = home.absolute()
    owner = state.owner_of(home)
    if owner is not None:
        raise PlatformRunning(home, owner)
    _clear(home)
    ports = Ports.free()
    with _nothing_left_in(source), _supervisor(home) as supervisor:
        progress("processes")
        supervisor.tell(message(services.services(home, ports, embedded_source=source is None)))
        folder = contracts or (home / "contracts" if source else demo_contracts())
        dsn = source or ports.dsn
        slot = f"dm_{secrets.token_hex(4)}" if source is None else SLOT
        deployment = _build(ports, dsn, source is None, folder, home / "build", seed, variables or {}, supervisor.alive, progress)
        progress("replication")
        environment = ports.environment | names(deployment)
        tables = [
            f"{table.source_schema}.{table.source_table}" for table in ContractSet.from_directory(folder).tables.values() if table.cdc
        ]
        activities = _activities(variables or {})
        road = WorkerSettings(
            environment, deployment.outputs, dsn, slot, tables, *activities, delivery_seconds, PARALLEL_CONTAINERS, PARALLEL_JOBS
        )
        supervisor.tell(message(services.workers(home, ports, road)))
        services.wait_for_port("replicator", ports.statistics, supervisor.alive)
        for name, port in (("spark", ports.spark), ("athena", ports.athena), ("comprehend", ports.comprehend)):
            services.wait_for_port(name, port, supervisor.alive)
        _wait_until_it_streams(home, dsn, slot, supervisor.alive, progress)
        found = state_of(home, deployment, environment, dsn, slot, folder)
        found.save()
        supervisor.tell(DETACH)
    return found


@contextmanager
def _nothing_left_in(source: str | None) -> Iterator[None]:
    """Remove slot, publication and schema from a user's database if the platform does not start."""
    try:
        yield
    except BaseException:
        if source is not None:
            from datamaster.source.preflight import forget

            with suppress(LakeError, psycopg2.Error):
                forget(source)
        raise


def _wait_until_it_streams(home: Path, dsn: str, slot: str, alive: Callable[[], None], progress: Progress) -> None:
    """Wait for the first load, however long it takes: it ends, or the replicator does."""
    held = holdups.replication(home, dsn, slot)

    def streams() -> bool:
        alive()
        return replication_state(dsn, slot).streams

    wait_for([Stage("first load of the tables", streams, held)], progress, float("inf"))


def down(home: Path, *, forget: bool = False) -> list[str]:
    """End the platform of ``home`` with all its processes. Does nothing without one.

    ``forget`` also removes slot, publication and the task's tables from the last platform's source. Returns descriptions of everything that
    was ended or removed.
    """
    home = home.absolute()
    owner = state.owner_of(home)
    dsn, slot = _source(home)
    if owner:
        with suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(owner)
            supervisor.terminate()
            if psutil.wait_procs([supervisor], DOWN_SECONDS)[1]:
                supervisor.kill()  # the kernel ends its children with it
    done = ["every process has ended"] if owner else [f"no platform ran in {home}"]
    if not forget:
        return done
    if dsn:
        from datamaster.source.preflight import forget as forget_source

        done += [f"removed {what}" for what in forget_source(dsn, slot)] or ["nothing of it was left in the source"]
    (home / state.STATE).unlink(missing_ok=True)
    return done


@dataclass(frozen=True)
class Status:
    """The processes of a platform as the supervisor sees them."""

    home: Path
    supervisor: int | None
    processes: dict[str, dict[str, Any]]

    @property
    def healthy(self) -> bool:
        """Every process runs."""
        return self.supervisor is not None and all(process["pid"] for process in self.processes.values())


def status(home: Path) -> Status:
    """How the platform of ``home`` is. Raises ``PlatformNotRunning``."""
    home = home.absolute()
    owner = state.owner_of(home)
    if owner is None:
        raise PlatformNotRunning(home)
    return Status(home, owner, state.processes(home))


class _Supervisor:
    def __init__(self, home: Path, process: subprocess.Popen[bytes], commands: IO[bytes]) -> None:
        self.home, self.process, self.commands = home, process, commands

    def tell(self, command: bytes) -> None:
        try:
            self.commands.write(command)
        except BrokenPipeError:
            self.alive()

    def alive(self) -> None:
        """Raise if the supervisor has ended, or a child that it needs."""
        code = self.process.poll()
        if code == EXIT_HELD:
            raise PlatformRunning(self.home, state.owner_of(self.home))
        if code is not None:
            raise ServiceFailed("the supervisor", f"it ended with code {code}\n{tail(self.home / state.LOGS / 'supervisor.log')}")
        for name, process in state.processes(self.home).items():
            if process["restarts"] > 1:
                raise ServiceFailed(name, f"it ends again and again\n{tail(self.home / state.LOGS / f'{name}.log')}")


@contextmanager
def _supervisor(home: Path) -> Iterator[_Supervisor]:
    """A supervisor that ends with all its children if the block raises."""
    logs = home / state.LOGS
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "datamaster.laptop.supervisor", str(home)],
            env=services.process_environment({}),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            bufsize=0,
        )
    assert process.stdin is not None  # noqa: S101
    try:
        yield _Supervisor(home, process, process.stdin)
    except BaseException:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(DOWN_SECONDS)
        process.kill()
        raise
    finally:
        process.stdin.close()


def _build(
    ports: Ports,
    dsn: str,
    embedded: bool,
    contracts: Path,
    build: Path,
    seed: Callable[[str], None] | None,
    variables: Mapping[str, Any],
    alive: Callable[[], None],
    progress: Progress,
) -> Deployment:
    """Fill the source and deploy the stacks, side by side."""
    pool = ThreadPoolExecutor(1)
    try:
        seeding = pool.submit(_prepare_source, dsn, embedded, seed, alive)
        services.wait_for_emulator(ports, alive)
        os.environ.update(ports.environment)
        clients.forget()
        states = boto3.client("stepfunctions")
        for arn in _activities(variables):
            states.create_activity(name=arn.rsplit(":", 1)[-1])
        deployment = deploy("local", contracts=contracts, build=build, variables=variables, watch=Watch(progress=progress))
        bound_functions(build)
        _result(seeding, progress)
        return deployment
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _prepare_source(dsn: str, embedded: bool, seed: Callable[[str], None] | None, alive: Callable[[], None]) -> None:
    if embedded:
        services.wait_for_postgres(dsn, alive)
        schema = PROJECT / load_environment("local").variables["embedded_schema"]
        with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(schema.read_text())
    else:
        from datamaster.source.preflight import forget

        forget(dsn)  # the lake is empty, so replication begins with a load and not where an earlier one ended
    if seed is not None:
        seed(dsn)


def _result(seeding: Future[None], progress: Progress) -> None:
    if not seeding.done():
        progress("rows in the source")
    seeding.result()


def _activities(variables: Mapping[str, Any]) -> tuple[str, str]:
    known = load_environment("local").with_variables(variables).variables
    return known["run_task_resource"], known["start_job_run_resource"]


def _clear(home: Path) -> None:
    """Remove the files of an earlier platform. Its lake was in an emulator that is gone."""
    home.mkdir(parents=True, exist_ok=True)
    for name in LEFT_OVERS:
        shutil.rmtree(home / name, ignore_errors=True)
    for name in (state.STATE, state.PROCESSES):
        (home / name).unlink(missing_ok=True)
    postgres.forget_data(home / "postgres")


def _source(home: Path) -> tuple[str, str]:
    with suppress(PlatformNotRunning):
        last = state.last(home)
        return last.dsn, last.slot
    return "", ""
