"""Owns every process of a local platform: starts them, restarts one that crashes, and leaves none behind.

The program reads commands from standard input, one JSON object a line, until it is detached:

``{"start": [child, ...]}``  start these, after those before. A child has ``Child``'s fields.
``{"detach": true}``  the platform is up. From now on the end of the input is ignored.

The end of the input before that ends the platform, because its builder is gone. So does the end of a vital child, SIGTERM, and SIGINT. If
the supervisor itself is killed, the kernel kills its children (tether.py).
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from datamaster.laptop.process import spawn, stop
from datamaster.laptop.state import LOCK, LOGS, PROCESSES, write

POLL_SECONDS = 0.2
STEADY_SECONDS = 30.0
FIRST_BACKOFF_SECONDS = 0.5
LAST_BACKOFF_SECONDS = 15.0
GRACE_SECONDS = 8.0
EXIT_HELD = 3
LOCK_ATTEMPTS = 10

logger = logging.getLogger("supervisor")


@dataclass(frozen=True)
class Child:
    """A process to keep running.

    ``vital``: its state cannot be rebuilt, so the platform ends with it. ``grace_seconds``: the time it has to end.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    directory: str | None = None
    vital: bool = False
    grace_seconds: float = GRACE_SECONDS


@dataclass
class _Kept:
    child: Child
    batch: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    restarts: int = 0
    failures: int = 0
    last_exit: int | None = None


@dataclass
class Supervisor:
    """The children of one platform, and when each is started again."""

    home: Path
    kept: list[_Kept] = field(default_factory=list)
    batches: int = 0
    ended: bool = False

    def start(self, children: list[Child]) -> None:
        """Start a batch of children. It is stopped before earlier batches."""
        self.batches += 1
        for child in children:
            entry = _Kept(child, self.batches)
            self.kept.append(entry)
            self._launch(entry)
        self._publish()

    def look(self) -> None:
        """Detect children that ended, and restart those whose pause is over. The end of a vital child ends the platform."""
        changed = False
        for entry in self.kept:
            if entry.process is not None and entry.process.poll() is not None:
                changed = True
                self._lost(entry, entry.process)
            elif entry.process is None and time.monotonic() >= entry.start_again_at and not self.ended:
                changed = True
                entry.restarts += 1
                self._launch(entry)
        if changed:
            self._publish()

    def stop(self) -> None:
        """End all children, the last started batch first, a batch at once."""
        self.ended = True
        for batch in range(self.batches, 0, -1):
            running = [entry for entry in self.kept if entry.batch == batch and entry.process is not None]
            for entry in running:
                if entry.process is not None and entry.process.poll() is None:
                    entry.process.terminate()
            begin = time.monotonic()
            for entry in running:
                if entry.process is not None:
                    stop(entry.process, max(0.1, begin + entry.child.grace_seconds - time.monotonic()))
                    entry.last_exit, entry.process = entry.process.returncode, None
                    logger.info("%s has ended after %.1f s", entry.child.name, time.monotonic() - begin)
        self._publish()

    def _launch(self, entry: _Kept) -> None:
        child = entry.child
        log = self.home / LOGS / f"{child.name}.log"
        entry.process = spawn(child.command, child.environment, log, Path(child.directory) if child.directory else None)
        entry.started_at = time.monotonic()
        logger.info("%s runs as process %d", child.name, entry.process.pid)

    def _lost(self, entry: _Kept, process: subprocess.Popen[bytes]) -> None:
        stop(process)  # what it left behind
        entry.last_exit, entry.process = process.returncode, None
        entry.failures = 1 if time.monotonic() - entry.started_at > STEADY_SECONDS else entry.failures + 1
        pause = min(LAST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (entry.failures - 1))
        entry.start_again_at = time.monotonic() + pause
        logger.warning("%s ended with code %s; again in %.1f s", entry.child.name, process.returncode, pause)
        if entry.child.vital:
            logger.error("%s holds what cannot be rebuilt: the platform ends", entry.child.name)
            self.ended = True

    def _publish(self) -> None:
        told = {
            entry.child.name: {
                "pid": entry.process.pid if entry.process else None,
                "restarts": entry.restarts,
                "last_exit": entry.last_exit,
            }
            for entry in self.kept
        }
        write(self.home / PROCESSES, json.dumps(told, indent=1))


def run(home: Path, commands: IO[bytes]) -> int:
    """Keep a platform until it is stopped. Returns the exit code: 0, or 1 if a vital child was lost."""
    supervisor = Supervisor(home)
    told = False
    attached = True

    def terminate(*_: object) -> None:
        nonlocal told
        told = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, terminate)
    try:
        while not told and not supervisor.ended:
            if not attached:
                time.sleep(POLL_SECONDS)
            elif select.select([commands], [], [], POLL_SECONDS)[0]:
                line = commands.readline()
                if not line:
                    break
                command = json.loads(line)
                attached = not command.get("detach", False)
                supervisor.start([Child(**child) for child in command.get("start", ())])
            supervisor.look()
    finally:
        lost = supervisor.ended
        supervisor.stop()
        logger.info("all processes have ended")
    return 1 if lost else 0


def message(children: list[Child]) -> bytes:
    """The command that starts children."""
    return json.dumps({"start": [asdict(child) for child in children]}).encode() + b"\n"


DETACH = json.dumps({"detach": True}).encode() + b"\n"


def main() -> int:
    """``python -m datamaster.laptop.supervisor HOME``. Exit code 3 means that another supervisor holds HOME."""
    home = Path(sys.argv[1])
    lock = (home / LOCK).open("a+")
    if not _held(lock.fileno()):
        return EXIT_HELD
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    with os.fdopen(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as commands:
        return run(home, commands)


def _held(lock: int) -> bool:
    """Take the lock. A process that checks its owner holds it for a moment, so there are several attempts."""
    for _ in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(POLL_SECONDS / LOCK_ATTEMPTS)
            continue
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
