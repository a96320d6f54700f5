"""An ordinary user, made for the purpose where root runs the tests, starts a platform from a fresh clone with an empty home."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from datamaster.laptop import state
from tests.conftest import ROOT, require
from tests.e2e.newcomer import Newcomer
from tools.shape import FOLDERS

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PROGRAMS = ("dm", "chalice")


@pytest.fixture
def user() -> Iterator[str | None]:
    """A user of this machine without any right; None where an ordinary user runs the tests, who is one already."""
    if os.geteuid() != 0:
        yield None
        return
    name = f"dm-{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", "/nonexistent", name], check=True)
    yield name
    subprocess.run(["userdel", name], check=True)


def everybodys_python() -> Path | None:
    """An interpreter of this version that every user can start, as those under root's home are not."""
    for found in (Path(sys.executable).resolve(), Path(f"/usr/bin/python{VERSION}"), Path(f"/usr/local/bin/python{VERSION}")):
        if found.exists() and all(folder.stat().st_mode & 0o005 == 0o005 for folder in found.resolve().parents):
            return found
    return None


def link(source: str, target: str) -> None:
    """The same file under another name; a copy where the name lies in another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def install(python: Path, clone: Path) -> None:
    """A .venv in the clone as make setup leaves it, but for its packages: they are those that run this test, by another name.

    Installing them once more as that user would take minutes and fetch the same bytes again.
    """
    subprocess.run([python, "-m", "venv", "--without-pip", clone / ".venv"], check=True)
    here, there = Path(sysconfig.get_path("purelib")), clone / ".venv" / "lib" / f"python{VERSION}" / "site-packages"
    shutil.copytree(here, there, copy_function=link, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__editable__*"))
    for package, folder in FOLDERS.items():  # links, as a stage's folder on the path would bring its app.py along
        (there / package).symlink_to(clone / folder)
    for name in PROGRAMS:
        script = clone / ".venv" / "bin" / name
        script.write_text(Path(sys.executable).with_name(name).read_text().replace(sys.executable, str(script.with_name("python"))))
        script.chmod(0o755)


@pytest.fixture
def newcomer(user: str | None) -> Iterator[Newcomer]:
    """That user in a fresh clone of their own."""
    python = everybodys_python()
    require(python is not None, f"a Python {VERSION} that every user can start (apt-get install python3)")
    assert python
    with tempfile.TemporaryDirectory(prefix="dm-ordinary-") as folder:
        Path(folder).chmod(0o755)
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        newcomer = Newcomer(clone / "empty", clone / ".venv" / "bin" / "dm", user)
        if user:
            subprocess.run(["chown", "--recursive", f"{user}:", clone], check=True)
        install(python, clone)
        try:
            yield newcomer
        finally:
            with suppress(subprocess.TimeoutExpired):
                newcomer.types("down")


def test_an_ordinary_user_starts_and_stops_a_platform(newcomer: Newcomer, user: str | None, taken_ports: None) -> None:
    newcomer.succeeds("up")

    assert (newcomer.home / "state.json").owner() == (user or Path.home().owner())
    assert json.loads(newcomer.succeeds("status", "--json"))["healthy"] is True
    newcomer.succeeds("seed", "--reviews", "2000")
    newcomer.succeeds("run", "silver")
    [counted] = json.loads(newcomer.succeeds("query", "SELECT count(*) AS n FROM review", "--database", "dm_silver", "-f", "json"))
    assert counted["n"] == 2000

    newcomer.succeeds("down")
    assert state.owner_of(newcomer.home) is None
