"""The emulator that answers AWS's APIs on this machine: started as a child, found on a free port, stopped with all its Lambdas."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tenacity import retry, retry_if_exception_type, stop_after_attempt

from datamaster.laptop.process import free_port, spawn, stop, tail
from datamaster.wire import ACCOUNT, REGION
from lake.errors import TransientError

START_SECONDS = 30.0
START_ATTEMPTS = 3
LAMBDA_CONCURRENCY = 16
LAMBDA_IDLE_SECONDS = 60
HEALTH = "/_ministack/health"


class EmulatorFailed(TransientError):
    """The emulator did not come up."""

    def __init__(self, port: int, reason: str) -> None:
        super().__init__(f"the AWS emulator did not answer on 127.0.0.1:{port}: {reason}")


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    ``environment`` holds exactly the variables that an AWS client needs: endpoint, credentials, region.
    """

    endpoint: str
    process: subprocess.Popen[bytes]
    environment: dict[str, str]

    def stop(self) -> None:
        """End the emulator and the Lambda functions that it runs."""
        stop(self.process)

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start_emulator(
    directory: Path | None = None,
    *,
    authorize: bool = False,
    lambda_concurrency: int = LAMBDA_CONCURRENCY,
    lambda_environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Emulator:
    """Start an empty emulator and wait until it answers.

    ``directory`` takes its temporary files, by default a new one of the system. ``authorize`` makes it check signatures and policies.
    ``lambda_concurrency`` limits the functions that run at once. ``lambda_environment`` is added to every function's environment, for
    endpoints outside the emulator.

    Raises ``EmulatorFailed`` if it does not answer within 30 seconds.
    """
    home = directory or Path(tempfile.mkdtemp(prefix="dm-emulator-"))
    home.mkdir(parents=True, exist_ok=True)
    log = log or home / "emulator.log"
    return _started(home, log, authorize=authorize, lambda_concurrency=lambda_concurrency, lambda_environment=lambda_environment or {})


@retry(retry=retry_if_exception_type(EmulatorFailed), stop=stop_after_attempt(START_ATTEMPTS), reraise=True)
def _started(home: Path, log: Path, **settings: Any) -> Emulator:
    port = free_port()
    process = spawn(emulator_command(), emulator_settings(port, home, **settings), log)
    try:
        _wait_until_healthy(port, process, log)
    except EmulatorFailed:
        stop(process)
        raise
    endpoint = f"http://127.0.0.1:{port}"
    return Emulator(endpoint, process, client_environment(endpoint))


def client_environment(endpoint: str) -> dict[str, str]:
    """The variables by which every AWS SDK finds the emulator at ``endpoint``."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def plain_environment() -> dict[str, str]:
    """This process's variables without any that would lead an AWS client elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def emulator_command() -> list[str]:
    """The command to run. All its settings are in its environment."""
    return [sys.executable, "-m", "datamaster.laptop.emulator_process"]


def emulator_settings(
    port: int,
    home: Path,
    *,
    authorize: bool = False,
    lambda_concurrency: int = LAMBDA_CONCURRENCY,
    lambda_environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The environment of an emulator on ``port`` of 127.0.0.1 whose files lie under ``home``."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return plain_environment() | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LAMBDA_ACCOUNT_CONCURRENCY": str(lambda_concurrency),
        "LAMBDA_WARM_TTL_SECONDS": str(LAMBDA_IDLE_SECONDS),
        "LOG_LEVEL": "WARNING",
        "AUTH": "true" if authorize else "false",
        "STATE_DIR": str(home / "state"),
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
        **(lambda_environment or {}),
    }


def _wait_until_healthy(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EmulatorFailed(port, f"it ended with code {process.returncode}\n{tail(log)}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{HEALTH}", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise EmulatorFailed(port, f"no answer within {START_SECONDS:.0f} s\n{tail(log)}")
