"""Package each Chalice app as code only. The same commit gives the same bytes, on any machine, without a network.

A package holds no libraries. On AWS they come in layers. On a laptop the functions run in an environment that has them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import orjson

from datamaster.aws.cloudformation.reading import read_template
from datamaster.project import PROJECT
from lake.errors import TerminalError

APPS = {"ingest-router": ("ingest",), "converter": ("convert",), "control-api": ("control_api", "batches", "ingest")}
"""Each app's folder, and the packages that it must contain."""
STAGE = "lake"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can carry
TEMPLATE = "sam.json"
"""The template file for CloudFormation. Chalice's YAML uses aliases, which CloudFormation refuses, so it is written as JSON:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html"""
REQUIRED = ("app.py", "lake/contract/__init__.py", "lake/control/__init__.py", "chalice/app.py")


class PackagingFailed(TerminalError):
    """An app could not be packaged, or its package lacks a required file."""

    def __init__(self, app: str, reason: str) -> None:
        super().__init__(f"{app}: {reason}")


@dataclass(frozen=True)
class Package:
    """A packaged app: ``code`` is a zip, ``template`` the SAM template of ``chalice package`` merged with the project's, as JSON.

    ``key`` is the code's place in the artifacts bucket. It is derived from the content.
    """

    app: str
    code: Path
    template: Path
    key: str


def package_apps(build: Path, apps: Iterable[str] = APPS) -> dict[str, Package]:
    """Package apps in parallel under ``build``. Raises ``PackagingFailed``."""
    names = list(apps)
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(lambda app: package_app(app, build), names), strict=True))


def package_app(app: str, build: Path) -> Package:
    """Run ``chalice package`` for one app and normalise its output. Raises ``PackagingFailed``."""
    target = build / app
    target.mkdir(parents=True, exist_ok=True)
    merge = PROJECT / "templates" / f"functions-{app}.merge.yaml"
    chalice = [str(Path(sys.executable).with_name("chalice")), "--project-dir", str(PROJECT / app)]
    options = ["--stage", STAGE, "--template-format", "yaml", "--merge-template", str(merge)]
    run = subprocess.run(
        [*chalice, "package", *options, str(target.resolve())],
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    code, template = target / "deployment.zip", target / "sam.yaml"
    if run.returncode != 0 or not code.exists() or not template.exists():
        raise PackagingFailed(app, f"chalice package ended with code {run.returncode}:\n{run.stderr[-4000:]}")
    sent = target / TEMPLATE
    sent.write_bytes(orjson.dumps(read_template(template.read_text())))
    return Package(app, code, sent, f"functions/{app}/{normalise(app, code)}.zip")


def normalise(app: str, archive: Path) -> str:
    """Rewrite a zip in sorted order with fixed times and modes. Returns the SHA-256 of its bytes, hex, 16 digits.

    Raises ``PackagingFailed`` if a required file is missing, because ``chalice package`` does not check that.
    """
    with zipfile.ZipFile(archive) as source:
        files = {name: source.read(name) for name in sorted(source.namelist()) if "__pycache__" not in name and not name.endswith("/")}
    missing = [
        name
        for name in (*REQUIRED, *(f"{package}/__init__.py" for package in APPS[app]))
        if not any(path.startswith(name) for path in files)
    ]
    if missing:
        raise PackagingFailed(app, f"the package lacks {', '.join(missing)}")
    write_zip(archive, files)
    return digest(archive.read_bytes())


def write_zip(archive: Path, files: dict[str, bytes]) -> None:
    """Write a zip whose bytes only depend on names and contents."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            target.writestr(entry, files[name])


def digest(content: bytes) -> str:
    """A short name for content: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]
