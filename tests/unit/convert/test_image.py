"""The image holds what the container command needs, at the releases that are tested here, and runs as nobody in particular."""

from __future__ import annotations

import re
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
