"""The same commit gives the same bytes: packages, jobs, state machines, layers, and what the image is built from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from datamaster.aws.deploy import layers
from datamaster.aws.deploy.layers import build_layer
from datamaster.project import PROJECT

COLLECT = """
import hashlib, json, sys
from pathlib import Path
from datamaster.aws.deploy.artifacts import collect
from datamaster.aws.deploy.package import package_apps
build = Path(sys.argv[1])
objects = collect(build, package_apps(build)).objects
print(json.dumps({key: hashlib.sha256(content).hexdigest() for key, content in objects.items()}))
"""
SOURCES = ("lake", "datamaster", "emr-jobs", "templates", "examples", "ingest-router", "converter", "control-api")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "target", "deployments", "*.so")


def checkout(folder: Path, modified: float) -> Path:
    """The project's sources in another folder, every file with another time and other rights."""
    for name in SOURCES:
        shutil.copytree(PROJECT / name, folder / name, symlinks=True, ignore=LEFT_OUT)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o600)
            os.utime(path, (modified, modified))
    return folder


def packaged(source: Path, build: Path, zone: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(source), "TZ": zone, "HOME": str(build), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", COLLECT, str(build)]
    return subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True, text=True).stdout


def test_the_same_sources_in_another_folder_at_another_time_give_the_same_objects(tmp_path: Path) -> None:
    first = packaged(PROJECT, tmp_path / "first", "UTC")
    second = packaged(checkout(tmp_path / "elsewhere", 1_000_000_000), tmp_path / "second", "Asia/Tokyo")

    assert first == second
    assert all(f"functions/{app}/" in first for app in ("converter", "ingest-router", "control-api"))
    assert "/jobs.zip" in first


def test_a_layer_has_the_same_bytes_whenever_and_wherever_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "LAYERS", {"small": ("jmespath", "typing-extensions")})

    built = [build_layer("small", tmp_path / name) for name in ("first", "second")]

    assert built[0].key == built[1].key
    assert built[0].archive.read_bytes() == built[1].archive.read_bytes()


def test_every_library_of_the_image_and_of_the_kernel_is_pinned_to_one_release() -> None:
    wanted = (PROJECT / "converter" / "requirements-image.txt").read_text().splitlines()
    dockerfile = (PROJECT / "converter" / "Dockerfile").read_text()

    assert all("==" in line for line in wanted if line and not line.startswith("#"))
    assert "cargo build --release --locked" in dockerfile
