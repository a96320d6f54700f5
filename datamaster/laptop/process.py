"""Child processes of the local platform: tied to their parent, logged to a file, stopped with all they started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Process(Protocol):
    """A started process: the part of ``subprocess.Popen`` that is used here."""

    pid: int

    @property
    def returncode(self) -> int | Any:
        """Exit code, negative after a signal, or None while it runs."""

    def poll(self) -> int | None:
        """Look for the end without waiting."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises ``subprocess.TimeoutExpired``."""

    def terminate(self) -> None:
        """Ask it to end."""


TETHER = Path(__file__).with_name("tether.py")
STOP_SECONDS = 10.0


def spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    directory: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in its own session, appending stdout and stderr to ``log``.

    The child dies with this process, even if this process is killed. The tie is to the thread that calls ``spawn`` (prctl(2)), so call it
    from a thread that lives as long as the child should.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *command],
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: Process, grace_seconds: float = STOP_SECONDS) -> None:
    """End ``process`` and every process of its session: asked first, killed after ``grace_seconds``."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tail(log: Path, lines: int = 20) -> str:
    """The last ``lines`` lines of a log, or a word that there is none."""
    if not log.exists():
        return f"({log} was never written)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
