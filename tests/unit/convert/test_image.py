"""The image holds what the container command needs, at the releases that are tested here, and runs as nobody in particular."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "converter" / "Dockerfile").read_text()
STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


def test_the_image_s_libraries_are_pinned_to_the_project_s_releases() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = (ROOT / "converter" / "requirements-image.txt").read_text().splitlines()

    pins = [line for line in wanted if not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if pin not in project] == []


def test_the_last_stage_runs_without_root_and_both_bases_are_arguments() -> None:
    assert re.search(r"^USER (?!0)\d+:\d+$", STAGE, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${RUST_IMAGE}", "${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]


def test_what_the_last_stage_copies_is_enough_for_both_commands(tmp_path: Path) -> None:
    for sources in re.findall(r"^COPY (?!--from)(.+)$", STAGE, re.MULTILINE):
        *names, target = sources.split()
        for name in names:
            place = tmp_path / target
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, place)

    for module in ("convert.container", "export.task"):
        # Nothing but the copied files and the installed libraries may be found.
        places = "sys.path[:] = ['.', *(p for p in sys.path if 'site-packages' in p or 'lib/python' in p)]"
        code = f"import sys; {places}; import {module}; print({module}.__file__)"
        ran = subprocess.run(
            [sys.executable, "-P", "-c", code], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith(str(tmp_path)) or ran.stdout.startswith("./"), ran.stdout
