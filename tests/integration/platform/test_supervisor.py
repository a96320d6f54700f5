"""The supervisor, with real processes: what crashes comes back, and nothing outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datamaster.laptop import state
from datamaster.laptop.memory import family
from datamaster.laptop.supervisor import DETACH, EXIT_HELD, Child, message
from tests.processes import alive, runs
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.integration


def sleeper(name: str, seconds: float = 600, vital: bool = False) -> Child:
    """A process that does nothing for a while and then ends with code 7."""
    program = f"import sys, time; time.sleep({seconds}); sys.exit(7)"
    return Child(name, [sys.executable, "-S", "-c", program], {}, vital=vital)


def parent_of_two() -> Child:
    """A process with a child of its own that ignores SIGTERM."""
    program = "import signal, subprocess, sys, time; subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)']); "
    program += "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    return Child("stubborn", [sys.executable, "-S", "-c", program], {})


class Running:
    """A supervisor under test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = self.another()

    def another(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "datamaster.laptop.supervisor", str(self.home)], stdin=subprocess.PIPE, bufsize=0)

    def tell(self, words: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(words)

    def start(self, *children: Child) -> None:
        self.tell(message(list(children)))
        eventually(lambda: all(self.pid(child.name) for child in children), "every child's process")

    def pid(self, name: str) -> int | None:
        return state.processes(self.home).get(name, {}).get("pid")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()


def test_a_process_that_crashed_is_started_again(supervisor: Running):
    supervisor.start(sleeper("worker"))
    first = supervisor.pid("worker")

    os.kill(first, signal.SIGKILL)

    eventually(lambda: supervisor.pid("worker") not in (None, first), "another worker")
    assert state.processes(supervisor.home)["worker"]["restarts"] == 1


def test_a_process_that_ends_at_once_again_and_again_is_started_less_and_less_often(supervisor: Running):
    supervisor.tell(message([sleeper("broken", seconds=0)]))

    time.sleep(4)

    assert 1 <= state.processes(supervisor.home)["broken"]["restarts"] <= 4
    assert state.processes(supervisor.home)["broken"]["last_exit"] == 7


def test_stopping_leaves_no_process_even_of_those_that_do_not_listen(supervisor: Running):
    supervisor.start(sleeper("worker"), parent_of_two())
    pids = [supervisor.pid("worker"), supervisor.pid("stubborn")]
    eventually(lambda: len(family(pids[1])) == 2, "the child of the child")
    started = [process for pid in pids for process in family(pid)]

    supervisor.process.terminate()

    assert supervisor.process.wait(PATIENCE_SECONDS) == 0
    assert alive(started) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own tie between parent and child is Linux's")
def test_a_supervisor_that_is_killed_takes_its_children_along(supervisor: Running):
    supervisor.start(sleeper("worker"), sleeper("other"))
    pids = [supervisor.pid("worker"), supervisor.pid("other")]
    supervisor.tell(DETACH)

    supervisor.process.kill()

    eventually(lambda: not any(runs(pid) for pid in pids), "the end of the processes")


def test_the_platform_ends_where_its_builder_goes_before_it_was_complete(supervisor: Running):
    supervisor.start(sleeper("worker"))
    worker = supervisor.pid("worker")

    supervisor.process.stdin.close()

    assert supervisor.process.wait(PATIENCE_SECONDS) == 0
    assert not runs(worker)


def test_the_platform_stays_where_its_builder_goes_after_it_was_complete(supervisor: Running):
    supervisor.start(sleeper("worker"))
    supervisor.tell(DETACH)

    supervisor.process.stdin.close()
    time.sleep(1)

    assert supervisor.process.poll() is None
    assert runs(supervisor.pid("worker"))


def test_the_end_of_a_vital_process_is_the_end_of_the_platform(supervisor: Running):
    supervisor.start(sleeper("emulator", vital=True), sleeper("worker"))
    worker = supervisor.pid("worker")
    supervisor.tell(DETACH)

    os.kill(supervisor.pid("emulator"), signal.SIGKILL)

    assert supervisor.process.wait(PATIENCE_SECONDS) == 1
    assert not runs(worker)


def test_a_second_supervisor_of_the_same_home_ends_and_the_first_goes_on(supervisor: Running):
    supervisor.start(sleeper("worker"))

    second = supervisor.another()

    assert second.wait(PATIENCE_SECONDS) == EXIT_HELD
    assert runs(supervisor.pid("worker"))
    assert state.owner_of(supervisor.home) == supervisor.process.pid
