"""The processes of a local platform: their AWS counterparts, their start commands, and their readiness checks."""

from __future__ import annotations

import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from datamaster.laptop import carried_tables
from datamaster.laptop.emulator import HEALTH, client_environment, emulator_command, emulator_settings, plain_environment
from datamaster.laptop.spark import server_environment
from datamaster.laptop.supervisor import Child
from datamaster.project import PROJECT
from lake.errors import TransientError

LOCALHOST = "127.0.0.1"
READY_SECONDS = 60.0
DELIVERY_TEMPLATE = PROJECT / "templates" / "streaming-delivery.yaml"
QUERY_MEMORY = "768MB"


class ServiceFailed(TransientError):
    """A process of the platform did not begin to answer."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} did not come up: {reason}")


@dataclass(frozen=True)
class Ports:
    """A TCP port of 127.0.0.1 for each service."""

    emulator: int
    athena: int
    comprehend: int
    statistics: int
    spark: int
    postgres: int

    @classmethod
    def free(cls) -> Ports:
        """Ports that nothing listens on, all different."""
        with ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in range(6)]
            for probe in probes:
                probe.bind((LOCALHOST, 0))
            return cls(*(probe.getsockname()[1] for probe in probes))

    @property
    def endpoints(self) -> dict[str, str]:
        """The variables by which AWS clients find the services that the emulator does not give."""
        return {
            "AWS_ENDPOINT_URL_ATHENA": f"http://{LOCALHOST}:{self.athena}",
            "AWS_ENDPOINT_URL_COMPREHEND": f"http://{LOCALHOST}:{self.comprehend}",
            "AWS_ENDPOINT_URL_DATABASE_MIGRATION_SERVICE": f"http://{LOCALHOST}:{self.statistics}",
        }

    @property
    def environment(self) -> dict[str, str]:
        """Everything that an AWS client needs to find the platform."""
        return client_environment(f"http://{LOCALHOST}:{self.emulator}") | self.endpoints

    @property
    def spark_remote(self) -> str:
        """Spark Connect's address."""
        return f"sc://{LOCALHOST}:{self.spark}"

    @property
    def dsn(self) -> str:
        """The embedded database."""
        return f"postgresql://postgres@{LOCALHOST}:{self.postgres}/postgres"


def process_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """This process's variables with the platform's in place of any other AWS."""
    return plain_environment() | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "2"} | dict(environment)


def services(home: Path, ports: Ports, *, embedded_source: bool) -> list[Child]:
    """The processes that must run before the deployment."""
    environment = process_environment(ports.environment)
    emulator = emulator_settings(ports.emulator, home / "emulator", lambda_environment=ports.endpoints)
    found = [
        Child("emulator", emulator_command(), emulator, vital=True, grace_seconds=0.5),  # its state goes with it anyway
        _python("athena", environment, "datamaster.athena", "--port", str(ports.athena), "--memory", QUERY_MEMORY),
        _python("comprehend", environment, "datamaster.laptop.comprehend", "--port", str(ports.comprehend)),
        _python("spark", server_environment(environment), "pysail", "spark", "server", "--ip", LOCALHOST, "--port", str(ports.spark)),
    ]
    if embedded_source:
        data = str(home / "postgres")
        found.append(_python("postgres", environment, "datamaster.laptop.postgres", "--data", data, "--port", str(ports.postgres)))
    return found


@dataclass(frozen=True)
class WorkerSettings:
    """The workers' settings, known after the deployment. ``environment`` is the platform's, with the names of deployed resources."""

    environment: Mapping[str, str]
    outputs: Mapping[str, Mapping[str, str]]
    dsn: str
    slot: str
    tables: Iterable[str]
    run_task_activity: str
    start_job_run_activity: str
    delivery_seconds: float
    parallel_containers: int
    parallel_jobs: int


def workers(home: Path, ports: Ports, road: WorkerSettings) -> list[Child]:
    """The processes that move and convert rows."""
    environment = process_environment(road.environment)
    parameters = {
        "Environment": "local",
        "StreamArn": road.outputs["streaming"]["StreamArn"],
        "StageBucket": road.outputs["storage"]["StageBucket"],
        "TransformFunctionArn": road.outputs["ingest-router"]["TransformRecordsArn"],
    }
    given = [word for name, value in parameters.items() for word in ("--parameter", f"{name}={value}")]
    delivery = ["--template", str(DELIVERY_TEMPLATE), "--state", str(home / "delivery"), "--interval-seconds", str(road.delivery_seconds)]
    stream, stage = road.outputs["streaming"]["StreamName"], road.outputs["storage"]["StageBucket"]
    source = ["--dsn", road.dsn, "--stream", stream, "--tables", f"@{carried_tables.save(home, road.tables)}", "--slot", road.slot]
    containers = ["containers", "--activity", road.run_task_activity, "--parallel", str(road.parallel_containers)]
    jobs = ["jobs", "--activity", road.start_job_run_activity, "--parallel", str(road.parallel_jobs), "--spark", ports.spark_remote]
    work = ["--directory", str(home / "work")]
    told = ["--delivery", str(home / "delivery"), "--work", str(home / "work"), "--report", road.outputs["control-api"]["ReportStateArn"]]
    replication = ["--dsn", road.dsn, "--slot", road.slot, "--config", road.environment["DMS_REPLICATION_CONFIG_ARN"]]
    return [
        _python("containers", environment, "datamaster.laptop.workers", *containers, *work),
        _python("jobs", environment, "datamaster.laptop.workers", *jobs, *work),
        _python("delivery", environment, "datamaster.laptop.delivery", *delivery, *given),
        _python("replicator", environment, "datamaster.replicator", *source, "--statistics-port", str(ports.statistics)),
        _python("metrics", environment, "datamaster.laptop.metrics", *replication, "--stream", stream, "--stage", stage, *told),
    ]


def wait_for_emulator(ports: Ports, alive: Callable[[], None]) -> None:
    """Wait until the emulator answers. ``alive`` raises if a wait is useless."""

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://{LOCALHOST}:{ports.emulator}{HEALTH}", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    _wait("emulator", answers, alive)


def wait_for_port(name: str, port: int, alive: Callable[[], None]) -> None:
    """Wait until something listens on ``port`` of 127.0.0.1."""

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOCALHOST, port)) == 0

    _wait(name, listens, alive)


def wait_for_postgres(dsn: str, alive: Callable[[], None]) -> None:
    """Wait until the database takes connections."""
    import psycopg2

    def answers() -> bool:
        try:
            psycopg2.connect(dsn, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    _wait("postgres", answers, alive)


def _wait(name: str, ready: Callable[[], bool], alive: Callable[[], None]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        alive()
        if time.monotonic() > deadline:
            raise ServiceFailed(name, f"no answer within {READY_SECONDS:.0f} s")
        time.sleep(0.05)


def _python(name: str, environment: Mapping[str, str], module: str, *arguments: str) -> Child:
    return Child(name, [sys.executable, "-m", module, *arguments], dict(environment))
