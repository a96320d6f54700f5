"""The template process of Spark drivers: it loads the jobs' libraries once and is forked for each job.

Only the fork server of ``datamaster.laptop.drivers`` imports this module. The import takes two seconds of CPU.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__  # PySpark takes a main program without a file for its own doctests

import boto3  # noqa: F401
import pandas  # noqa: F401
import pyiceberg.catalog.glue
import pyiceberg.io.pyarrow  # noqa: F401
import pyspark.sql.connect.session  # noqa: F401
import yaml  # noqa: F401

from datamaster.laptop.tether import tie

PACKAGED = ("jobs", "gold", "lake", "datamaster")
"""The project's own packages: a job takes them from its archive."""


def drive(script: str, arguments: Sequence[str], path: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    """Run ``script`` in this fresh fork as an interpreter of its own would run it, appending all output to ``log``."""
    os.setsid()
    if sys.platform == "linux":
        tie(os.getppid())
    sink = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(sink, stream)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # among them the pipe by which the fork server knows that its owner lives
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGED]:
        del sys.modules[name]
    sys.argv = [script, *arguments]
    sys.path[:0] = [str(Path(script).parent), *path]
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing ends a fork without them
