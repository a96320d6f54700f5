"""The functions' libraries as Lambda layers: locked versions, built for Lambda's Python and system, the same bytes every time.

https://docs.aws.amazon.com/lambda/latest/dg/python-layers.html. Lambda takes 250 MB of code and layers, unzipped.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from datamaster.deploy.package import digest, write_zip
from datamaster.project import PROJECT
from lake.errors import TerminalError

LOCK = PROJECT / "requirements.lock"
PYTHON = "3.12"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
LAYERS: Mapping[str, tuple[str, ...]] = {
    "libraries": ("aws-lambda-powertools", "jmespath", "orjson", "pyyaml", "typing-extensions"),
    "arrow": ("pyarrow", "numpy", "isal"),
}
UNZIPPED_LIMIT_BYTES = 250 * 2**20
# What no function imports: together more than half of the wheels.
UNUSED_FOLDERS = ("/tests/", "/include/", "/__pycache__/", "/doc/", "/f2py/", "/_pyinstaller/")
UNUSED_SUFFIXES = (".pyx", ".pxd", ".pxi", ".pyi", ".h", ".a", ".lib", ".c", ".cc")
UNUSED_LIBRARIES = ("libarrow_flight", "libarrow_python_flight", "_flight.", "_gcsfs.", "_azurefs.", "_hdfs.", "_orc.", "_cuda.")


class LayerFailed(TerminalError):
    """A layer could not be built."""


@dataclass(frozen=True)
class Layer:
    """A built layer: a zip, its size unzipped in bytes, and its key in the artifacts bucket."""

    name: str
    archive: Path
    unzipped_bytes: int
    key: str


def locked(names: Iterable[str], lock: str) -> list[str]:
    """The requirements of ``names`` as the lock file has them. Raises ``LayerFailed`` naming one that is not locked."""
    versions = {
        line.split("==")[0].strip().lower(): line.strip() for line in lock.splitlines() if "==" in line and not line.startswith("#")
    }
    missing = [name for name in names if name not in versions]
    if missing:
        raise LayerFailed(f"{LOCK.name} does not hold {', '.join(missing)}")
    return [versions[name] for name in names]


def build_layer(name: str, build: Path) -> Layer:
    """Install a layer's libraries under ``build`` for Lambda, leave out what no function imports, and zip the rest.

    Raises ``LayerFailed`` where pip cannot install them or they are too large.
    """
    target = build / "layers" / name / "python"
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--upgrade"]
    command += [*platforms, "--python-version", PYTHON, "--target", str(target), *locked(LAYERS[name], LOCK.read_text())]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise LayerFailed(f"layer {name}: {run.stderr.strip()[-2000:]}")
    files = {path.relative_to(target.parent).as_posix(): path for path in target.rglob("*") if path.is_file()}
    kept = {key: path.read_bytes() for key, path in files.items() if needed(key)}
    size = sum(len(content) for content in kept.values())
    if size > UNZIPPED_LIMIT_BYTES:
        raise LayerFailed(f"layer {name} takes {size / 2**20:.0f} MB unzipped; Lambda takes {UNZIPPED_LIMIT_BYTES / 2**20:.0f} MB in all")
    archive = build / "layers" / f"{name}.zip"
    write_zip(archive, kept)
    return Layer(name, archive, size, f"layers/{name}/{digest(archive.read_bytes())}.zip")


def needed(path: str) -> bool:
    """Whether a file of a wheel is of use in a function."""
    name = path.rsplit("/", 1)[-1]
    unused = any(folder in f"/{path}" for folder in UNUSED_FOLDERS) or name.endswith(UNUSED_SUFFIXES)
    return not unused and not any(library in name for library in UNUSED_LIBRARIES)
