"""Spark on a laptop: one Sail server, which speaks Spark Connect, and a runner that takes EMR Serverless's job parameters.

A job runs as on EMR: it has an entry point, its arguments, its modules in an archive, and a session from
``SparkSession.builder.getOrCreate()``. Sail: https://docs.lakesail.com/sail/latest/ StartJobRun:
https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_StartJobRun.html
"""

from __future__ import annotations

import hashlib
import itertools
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3

from datamaster.laptop.drivers import Driver, start_driver
from datamaster.laptop.process import free_port, spawn, stop, tail
from lake.errors import TerminalError, TransientError
from lake.keys import split_uri

START_SECONDS = 30.0
CATALOG = "lake"


class SparkFailed(TransientError):
    """Sail did not come up."""


class InvalidJob(TerminalError):
    """The parameters do not name a job that can be run."""


@dataclass(frozen=True)
class SparkServer:
    """A running Sail server. ``remote`` is its Spark Connect address."""

    remote: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the server."""
        stop(self.process)

    def __enter__(self) -> SparkServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start_spark(environment: Mapping[str, str], log: Path) -> SparkServer:
    """Start Sail on the Glue catalog of ``environment`` (endpoint, credentials, region).

    Raises ``SparkFailed`` if it does not listen within 30 seconds.
    """
    port = free_port()
    command = [sys.executable, "-m", "pysail", "spark", "server", "--ip", "127.0.0.1", "--port", str(port)]
    process = spawn(command, server_environment(environment), log)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return SparkServer(f"sc://127.0.0.1:{port}", process)
        time.sleep(0.05)
    stop(process)
    raise SparkFailed(f"Sail did not listen on 127.0.0.1:{port} within {START_SECONDS:.0f} s\n{tail(log)}")


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The server's variables: ``environment``, the catalog, and the endpoint under the names that its S3 client reads."""
    endpoint, region = environment["AWS_ENDPOINT_URL"], environment["AWS_REGION"]
    return {
        **environment,
        "SAIL_CATALOG__LIST": f'[{{name="{CATALOG}", type="glue", region="{region}", endpoint_url="{endpoint}"}}]',
        "SAIL_CATALOG__DEFAULT_CATALOG": CATALOG,
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "TZ": "UTC",
        "RUST_LOG": "warn",
    }


def job_environment(environment: Mapping[str, str], remote: str) -> dict[str, str]:
    """A job driver's variables: ``environment``, Spark's address, and UTC as the time zone."""
    return {**environment, "SPARK_REMOTE": remote, "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}


def run_job(parameters: Mapping[str, Any], environment: Mapping[str, str], directory: Path) -> Driver:
    """Start the job of StartJobRun's ``parameters`` as a process.

    ``environment`` comes from ``job_environment``. ``directory`` keeps downloaded entry points and archives, and the job's log as
    ``<Name>.log``. The caller waits for the process, or ends it if the execution was stopped.

    Raises ``InvalidJob`` if the parameters name no entry point.
    """
    try:
        submit = parameters["JobDriver"]["SparkSubmit"]
        entry_point = fetch(submit["EntryPoint"], directory)
    except KeyError as missing:
        raise InvalidJob(f"job parameters without {missing}; JobDriver.SparkSubmit.EntryPoint names the script to run") from None
    archives = [str(fetch(uri, directory)) for uri in py_files(submit.get("SparkSubmitParameters", ""))]
    return start_driver(entry_point, submit.get("EntryPointArguments", ()), archives, environment, job_log(parameters, directory))


def job_log(parameters: Mapping[str, Any], directory: Path) -> Path:
    """The file of a job's output."""
    return directory / f"{parameters.get('Name', 'job')}.log"


def py_files(submit_parameters: str) -> list[str]:
    """The archives that ``--py-files`` of spark-submit names."""
    words = shlex.split(submit_parameters)
    return [uri for flag, value in itertools.pairwise(words) if flag == "--py-files" for uri in value.split(",")]


def fetch(uri: str, directory: Path) -> Path:
    """A local copy of an S3 object, downloaded once a version of it."""
    if not uri.startswith("s3://"):
        return Path(uri)
    bucket, key = split_uri(uri)
    s3 = boto3.client("s3")
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"]
    folder = directory / hashlib.sha256(f"{uri}\0{etag}".encode()).hexdigest()[:16]
    copy = folder / key.rsplit("/", 1)[-1]
    if not copy.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as draft:  # jobs that start together download into drafts of their own
            partial = Path(draft, copy.name)
            s3.download_file(bucket, key, str(partial))
            partial.replace(copy)
    return copy
