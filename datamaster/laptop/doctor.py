"""``dm doctor``: check this machine for everything that the local platform uses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

MINIMUM_PYTHON = (3, 11)
MINIMUM_MEMORY_GB = 4
MINIMUM_DISK_GB = 3
PACKAGES = ("ministack", "pysail", "pyspark-client", "pyiceberg", "pyarrow", "duckdb", "chalice", "boto3")


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at: ``good`` is False if the platform cannot run, None if it runs with less."""

    subject: str
    found: str
    good: bool | None
    advice: str = ""


def examine() -> list[Diagnosis]:
    """Look at everything; the order is that of the road."""
    checks: tuple[Callable[[], Diagnosis], ...] = (_python, _memory, _disk, _postgres, _kernel, _java)
    return [check() for check in checks] + [_package(name) for name in PACKAGES]


def _python() -> Diagnosis:
    found = ".".join(map(str, sys.version_info[:3]))
    return Diagnosis("Python", found, sys.version_info[:2] >= MINIMUM_PYTHON, "3.11 or newer")


def _memory() -> Diagnosis:
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Diagnosis("memory", f"{gigabytes:.1f} GB", gigabytes >= MINIMUM_MEMORY_GB or None, f"{MINIMUM_MEMORY_GB} GB for the demo")


def _disk() -> Diagnosis:
    gigabytes = shutil.disk_usage(Path.cwd()).free / 2**30
    return Diagnosis("free disk", f"{gigabytes:.1f} GB", gigabytes >= MINIMUM_DISK_GB or None, f"{MINIMUM_DISK_GB} GB for the demo")


def _postgres() -> Diagnosis:
    from datamaster.laptop.postgres import PostgresMissing, programs

    try:
        binaries = programs()
    except PostgresMissing as missing:
        return Diagnosis("PostgreSQL", "none", False, str(missing))
    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=False)
    return Diagnosis("PostgreSQL", answer.stdout.strip() or answer.stderr.strip(), answer.returncode == 0, "make setup installs it")


def _kernel() -> Diagnosis:
    from convert.parse import ENGINE

    name = ENGINE
    return Diagnosis(
        "parse engine", name, True if name == "kernel" else None, "install Rust (cargo) and run make kernel for the faster one"
    )


def _java() -> Diagnosis:
    java = shutil.which("java")
    return Diagnosis("Java", java or "none", True if java else None, "only make conformance (Apache Spark) needs Java 17")


def _package(name: str) -> Diagnosis:
    try:
        return Diagnosis(name, version(name), True)
    except PackageNotFoundError:
        return Diagnosis(name, "none", False, "make setup installs it")
