"""``dm --version``: the version and commit, for bug reports."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from typing import Annotated

import typer

from datamaster.cli.output import out
from datamaster.project import PROJECT


def tell(asked: bool) -> None:
    """Print version and commit, and exit."""
    if asked:
        known = commit()
        out.print(f"dm {version('datamaster')}" + (f", commit {known}" if known else ""))
        raise typer.Exit


def commit() -> str:
    """The commit that is checked out, with "+" if files differ from it. Empty if git is missing or the project is not a checkout."""
    if not (PROJECT / ".git").exists():
        return ""
    try:
        told = subprocess.run(
            ["git", "-C", str(PROJECT), "describe", "--always", "--dirty=+", "--exclude=*"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""


def root(
    _version: Annotated[bool, typer.Option("--version", callback=tell, is_eager=True, help="Tell version and commit, and end.")] = False,
) -> None:
    """Every change of a PostgreSQL database, in Apache Iceberg tables, without a server to run."""
