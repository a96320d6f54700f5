"""Packages each Chalice app as code only: the same commit gives the same bytes, on any machine, without a network.

Libraries are no part of a package. On AWS they come in layers; on a laptop the functions run in the environment that holds them.
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

APPS = {"ingest-router": ("ingest",), "converter": ("convert",), "control-api": ("control_api", "batches")}
"""Each app's folder, and the packages of its own that it must carry."""
STAGE = "lake"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can carry
TEMPLATE = "sam.json"
"""What CloudFormation gets of an app. Chalice's YAML repeats a value by an alias, which CloudFormation refuses; JSON has none:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html"""
REQUIRED = ("app.py", "lake/contract/__init__.py", "lake/control/__init__.py", "chalice/app.py")


class PackagingFailed(TerminalError):
    """An app could not be packaged, or the package lacks what it must hold."""

    def __init__(self, app: str, reason: str) -> None:
        super().__init__(f"{app}: {reason}")


@dataclass(frozen=True)
class Package:
    """A packaged app: ``code`` is a zip, ``template`` the SAM template that ``chalice package`` wrote, merged with ours, as JSON.

    ``key`` is where the code belongs in the artifacts bucket; it names the code's content.
    """

    app: str
    code: Path
    template: Path
    key: str


def package_apps(build: Path, apps: Iterable[str] = APPS) -> dict[str, Package]:
    """Package apps side by side under ``build``. Raises ``PackagingFailed``."""
    names = list(apps)
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(lambda app: package_app(app, build), names), strict=True))


def package_app(app: str, build: Path) -> Package:
    """Run ``chalice package`` for one app and normalise what it writes. Raises ``PackagingFailed``."""
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
    """Rewrite a zip in sorted order with fixed times and rights; returns the SHA-256 of its bytes, hex, 16 digits.

    Raises ``PackagingFailed`` where a file that every app needs is missing, as ``chalice package`` does not say so itself.
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
    """Write a zip whose bytes depend on names and contents alone."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            target.writestr(entry, files[name])


def digest(content: bytes) -> str:
    """A short name for content: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]
