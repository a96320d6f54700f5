"""Processes for Spark drivers, forked from one that has loaded Spark's client and PyIceberg.

Loading them takes longer than most jobs here. EMR Serverless keeps pre-initialised workers for the same reason. A driver still has its own
process, session, environment and module path. https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/pre-init-capacity.html
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver, get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

PRELOADED = "datamaster.laptop.driver"

_context = get_context("forkserver")


class Driver:
    """A driver, seen as ``subprocess.Popen`` shows a process."""

    def __init__(self, process: ForkServerProcess, command: Sequence[str]) -> None:
        self._process = process
        self.args = list(command)
        self.pid = process.pid or 0

    @property
    def returncode(self) -> int | None:
        """Exit code, negative after a signal, or None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """``returncode``."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raises ``TimeoutExpired`` after ``timeout`` seconds."""
        self._process.join(timeout)
        code = self.returncode
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()


def preload() -> None:
    """Start the process that drivers are forked from, so that it loads its libraries while nothing waits for them."""
    _context.set_forkserver_preload([PRELOADED])
    forkserver.ensure_running()


def start_driver(script: Path, arguments: Sequence[str], path: Sequence[str], environment: Mapping[str, str], log: Path) -> Driver:
    """Run a Python script as a program, with ``path`` before the installed modules. Its output is appended to ``log``.

    The driver leads its own session. It dies with this process, even if this process is killed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    preload()
    process = _context.Process(target=_drive, args=(str(script), list(arguments), list(path), dict(environment), str(log)))
    process.start()
    return Driver(process, [str(script), *arguments])


def _drive(script: str, arguments: Sequence[str], path: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    from datamaster.laptop.driver import drive

    drive(script, arguments, path, environment, log)
