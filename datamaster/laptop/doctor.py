"""``dm doctor``: what this machine has of what the laptop's lakehouse uses, and what is missing."""

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
class Finding:
    """One thing looked at: ``good`` is False where the platform cannot run, None where it runs with less."""

    subject: str
    found: str
    good: bool | None
    advice: str = ""


def examine() -> list[Finding]:
    """Look at everything; the order is that of the road."""
    checks: tuple[Callable[[], Finding], ...] = (_python, _memory, _disk, _postgres, _kernel, _java)
    return [check() for check in checks] + [_package(name) for name in PACKAGES]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", found, sys.version_info[:2] >= MINIMUM_PYTHON, "3.11 or newer")


def _memory() -> Finding:
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Finding("memory", f"{gigabytes:.1f} GB", gigabytes >= MINIMUM_MEMORY_GB or None, f"{MINIMUM_MEMORY_GB} GB for the demo")


def _disk() -> Finding:
    gigabytes = shutil.disk_usage(Path.cwd()).free / 2**30
    return Finding("free disk", f"{gigabytes:.1f} GB", gigabytes >= MINIMUM_DISK_GB or None, f"{MINIMUM_DISK_GB} GB for the demo")


def _postgres() -> Finding:
    from datamaster.laptop.postgres import PostgresMissing, programs

    try:
        binaries = programs()
    except PostgresMissing as missing:
        return Finding("PostgreSQL", "none", False, str(missing))
    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=False)
    return Finding("PostgreSQL", answer.stdout.strip() or answer.stderr.strip(), answer.returncode == 0, "make setup installs it")


def _kernel() -> Finding:
    from convert.parse import ENGINE

    name = ENGINE
    return Finding("parse engine", name, True if name == "kernel" else None, "install Rust (cargo) and run make kernel for the faster one")


def _java() -> Finding:
    java = shutil.which("java")
    return Finding("Java", java or "none", True if java else None, "only make conformance (Apache Spark) needs Java 17")


def _package(name: str) -> Finding:
    try:
        return Finding(name, version(name), True)
    except PackageNotFoundError:
        return Finding(name, "none", False, "make setup installs it")
