"""The functions' libraries as Lambda layers: locked versions for Lambda's Python and system, with reproducible bytes.

If Rust is installed, the converter's parse kernel is built into its layer. Otherwise the converter parses in Python.
https://docs.aws.amazon.com/lambda/latest/dg/python-layers.html. Code and layers of a function may take 250 MB unzipped.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from datamaster.aws.deploy import shared_libraries
from datamaster.aws.deploy.package import digest, write_zip
from datamaster.project import PROJECT
from lake.errors import TerminalError

LOCK = PROJECT / "requirements.lock"
PYTHON = "3.12"
KERNEL = PROJECT / "converter" / "kernel" / "Cargo.toml"
KERNEL_PLATFORM = "manylinux_2_34"
PLATFORMS = (KERNEL_PLATFORM, "manylinux_2_28", "manylinux_2_17", "manylinux2014")
LAYERS: Mapping[str, tuple[str, ...]] = {
    "libraries": ("aws-lambda-powertools", "jmespath", "msgspec", "orjson", "pyyaml", "typing-extensions"),
    "arrow": ("pyarrow", "isal", "python-stdnum"),
}
UNZIPPED_LIMIT_BYTES = 250 * 2**20
# No function imports these. They are more than half of the wheels.
UNUSED_FOLDERS = ("/tests/", "/include/", "/__pycache__/", "/doc/", "/f2py/", "/_pyinstaller/", "/sboms/", "/isa-l/")
UNUSED_SUFFIXES = (".pyx", ".pxd", ".pxi", ".pyi", ".h", ".a", ".lib", ".c", ".cc", ".dat")
UNUSED_LIBRARIES = (
    *("libarrow_flight", "libarrow_python_flight", "libarrow_python_parquet_encryption", "libarrow_s3"),
    *("_flight.", "_gcsfs.", "_azurefs.", "_hdfs.", "_s3fs.", "_orc.", "_cuda.", "_substrait.", "_acero.", "_feather."),
    *("_dataset.", "_dataset_orc.", "_dataset_parquet.", "_dataset_parquet_encryption.", "_parquet_encryption.", "_pyarrow_cpp_tests."),
)


class LayerFailed(TerminalError):
    """A layer could not be built."""


@dataclass(frozen=True)
class LambdaLayer:
    """A built layer: a zip, its unzipped size in bytes, and its key in the artifacts bucket."""

    name: str
    archive: Path
    unzipped_bytes: int
    key: str


def locked(names: Iterable[str], lock: str) -> list[str]:
    """The requirements of ``names`` from the lock file. Raises ``LayerFailed`` for a name that is not locked."""
    versions = {
        line.split("==")[0].strip().lower(): line.strip() for line in lock.splitlines() if "==" in line and not line.startswith("#")
    }
    missing = [name for name in names if name not in versions]
    if missing:
        raise LayerFailed(f"{LOCK.name} does not hold {', '.join(missing)}")
    return [versions[name] for name in names]


def build_layer(name: str, build: Path, python: str = PYTHON, architecture: str = "x86_64") -> LambdaLayer:
    """Install a layer's libraries for Lambda under ``build``, remove unused files, and zip the rest.

    ``architecture`` is Lambda's name of the processor, x86_64 or arm64.

    Raises ``LayerFailed`` if pip cannot install the libraries or they are too large. Raises ``shared_libraries.ForeignLibrary`` if one of
    them would not load on Lambda.
    """
    folder = build / "layers" / name
    shutil.rmtree(folder, ignore_errors=True)
    machine = shared_libraries.MACHINES[architecture]
    kernel = build_kernel(folder) if name == "arrow" and machine.name == platform.machine() else None
    wanted = [*locked(LAYERS[name], LOCK.read_text()), *([str(kernel)] if kernel else [])]
    target = folder / "python"
    platforms = [word for system in PLATFORMS for word in ("--platform", f"{system}_{machine.name}")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"]
    _run(name, [*command, *platforms, "--python-version", python, "--target", str(target), *wanted])
    for path in [path for path in target.rglob("*") if path.is_file()]:
        if not needed(path.relative_to(folder).as_posix()) or _is_second_name(path):
            path.unlink()
    libraries = list(shared_libraries.natives(target))
    shared_libraries.strip(libraries, machine)
    shared_libraries.check(libraries, machine)
    kept = {path.relative_to(folder).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    size = sum(len(content) for content in kept.values())
    if size > UNZIPPED_LIMIT_BYTES:
        raise LayerFailed(f"layer {name} takes {size / 2**20:.0f} MB unzipped; Lambda takes {UNZIPPED_LIMIT_BYTES / 2**20:.0f} MB in all")
    archive = build / "layers" / f"{name}.zip"
    write_zip(archive, kept)
    return LambdaLayer(name, archive, size, f"layers/{name}/{digest(archive.read_bytes())}.zip")


def build_kernel(folder: Path) -> Path | None:
    """Build the parse kernel's wheel into ``folder`` for Lambda's system. Returns None without Rust.

    The wheel uses Python's stable ABI, so it serves every Python from 3.11 on. Raises ``LayerFailed`` if the build fails.
    """
    if shutil.which("cargo") is None:
        return None
    command = [sys.executable, "-m", "maturin", "build", "--quiet", "--release", "--locked", "--manifest-path", str(KERNEL)]
    _run("arrow", [*command, "--compatibility", KERNEL_PLATFORM, "--out", str(folder)])
    (wheel,) = folder.glob("dm_kernel-*.whl")
    return wheel


def needed(path: str) -> bool:
    """Whether a function can use this file of a wheel."""
    name = path.rsplit("/", 1)[-1]
    unused = any(folder in f"/{path}" for folder in UNUSED_FOLDERS) or name.endswith(UNUSED_SUFFIXES)
    return not unused and not name.startswith(UNUSED_LIBRARIES)


def _is_second_name(path: Path) -> bool:
    """Whether a library's file is a copy under its unversioned name. Wheels hold no links, so a library may be in them twice."""
    own = path.name.split(".so")[0]
    versioned = [other for other in path.parent.glob(f"{own}.so.*") if other.name.count(".") == 2]
    return own.startswith("lib") and bool(versioned) and path not in versioned


def _run(name: str, command: list[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise LayerFailed(f"layer {name}: {(run.stderr or run.stdout).strip()[-2000:]}")
