"""A driver that is forked from a loaded process is as a fresh interpreter would be, and ends with whom it belongs to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from datamaster.laptop.drivers import Driver, start_driver
from tests.processes import runs
from tests.waiting import eventually

pytestmark = pytest.mark.integration

WHAT_IT_SEES = """
import atexit, json, os, sys
import lake
atexit.register(print, "and at its end")
print(json.dumps({
    "arguments": sys.argv[1:],
    "name": __name__,
    "lake": lake.__file__,
    "environment": dict(os.environ),
    "leader": os.getsid(0) == os.getpid(),
    "loaded": "pyspark" in sys.modules,
    "project": [name for name in sys.modules if name.startswith("datamaster.")],
}))
"""
PARENT = """
import os, sys, time
from pathlib import Path
from datamaster.laptop.drivers import start_driver
from tests.waiting import eventually
script, log = map(Path, sys.argv[1:])
print(start_driver(script, [], [], os.environ, log).pid, flush=True)
time.sleep(600)
"""


def start(folder: Path, program: str, *arguments: str) -> tuple[Driver, Path]:
    script, log = folder / "job.py", folder / "job.log"
    script.write_text(program)
    archive = folder / "archive"
    (archive / "lake").mkdir(parents=True)
    (archive / "lake" / "__init__.py").touch()
    return start_driver(script, arguments, [str(archive)], {"ONLY": "this", "PATH": os.environ["PATH"]}, log), log


def test_a_driver_sees_its_own_arguments_environment_and_modules(tmp_path: Path):
    process, log = start(tmp_path, WHAT_IT_SEES, "--manifest", "s3://b/k")

    assert process.wait(60) == 0
    seen, end = log.read_text().splitlines()
    assert json.loads(seen) == {
        "arguments": ["--manifest", "s3://b/k"],
        "name": "__main__",
        "lake": str(tmp_path / "archive" / "lake" / "__init__.py"),
        "environment": {"ONLY": "this", "PATH": os.environ["PATH"]},
        "leader": True,
        "loaded": True,
        "project": [],
    }
    assert end == "and at its end"


@pytest.mark.parametrize(("program", "code", "told"), [("raise SystemExit(3)", 3, ""), ("1 / 0", 1, "ZeroDivisionError")])
def test_a_driver_that_fails_tells_its_exit_code_and_why(tmp_path: Path, program: str, code: int, told: str):
    process, log = start(tmp_path, program)

    assert process.wait(60) == code
    assert told in log.read_text()


def test_a_driver_that_runs_can_be_waited_for_and_ended(tmp_path: Path):
    process, _ = start(tmp_path, "import time; time.sleep(600)")

    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    assert process.poll() is None
    process.terminate()

    assert process.wait(60) == -signal.SIGTERM


def test_a_driver_ends_with_the_worker_that_was_killed(tmp_path: Path):
    script = tmp_path / "job.py"
    script.write_text("import time; time.sleep(600)")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(script), str(tmp_path / "log")], stdout=subprocess.PIPE)
    driver = int(parent.stdout.readline())

    parent.kill()
    parent.wait()

    eventually(lambda: not runs(driver), "the end of the driver")
