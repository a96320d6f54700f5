"""The functions' libraries as Lambda layers: locked versions, built for Lambda's Python and system, the same bytes every time.

The converter's parse kernel is built into its layer where Rust is installed; elsewhere the layer holds what the parser
without it needs. https://docs.aws.amazon.com/lambda/latest/dg/python-layers.html. Lambda takes 250 MB of code and layers, unzipped.
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
    "libraries": ("aws-lambda-powertools", "jmespath", "orjson", "pyyaml", "typing-extensions"),
    "arrow": ("pyarrow", "isal", "python-stdnum"),
}
UNZIPPED_LIMIT_BYTES = 250 * 2**20
# What no function imports: together more than half of the wheels.
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


def build_layer(name: str, build: Path, python: str = PYTHON, architecture: str = "x86_64") -> Layer:
    """Install a layer's libraries under ``build`` for Lambda, leave out what no function imports, and zip the rest.

    ``architecture`` is Lambda's word for the processor, x86_64 or arm64.

    Raises ``LayerFailed`` where pip cannot install them or they are too large, ``native.ForeignLibrary`` where one of them would
    not load there.
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
    return Layer(name, archive, size, f"layers/{name}/{digest(archive.read_bytes())}.zip")


def build_kernel(folder: Path) -> Path | None:
    """The parse kernel's wheel, built into ``folder`` for Lambda's system; None where there is no Rust.

    It holds to Python's stable ABI, so one wheel serves every Python from 3.11 on. Raises ``LayerFailed`` where it does not build.
    """
    if shutil.which("cargo") is None:
        return None
    command = [sys.executable, "-m", "maturin", "build", "--quiet", "--release", "--locked", "--manifest-path", str(KERNEL)]
    _run("arrow", [*command, "--compatibility", KERNEL_PLATFORM, "--out", str(folder)])
    (wheel,) = folder.glob("dm_kernel-*.whl")
    return wheel


def needed(path: str) -> bool:
    """Whether a file of a wheel is of use in a function."""
    name = path.rsplit("/", 1)[-1]
    unused = any(folder in f"/{path}" for folder in UNUSED_FOLDERS) or name.endswith(UNUSED_SUFFIXES)
    return not unused and not name.startswith(UNUSED_LIBRARIES)


def _is_second_name(path: Path) -> bool:
    """Whether a library's file lies beside the same one under the name that others load it by: wheels hold no links."""
    own = path.name.split(".so")[0]
    versioned = [other for other in path.parent.glob(f"{own}.so.*") if other.name.count(".") == 2]
    return own.startswith("lib") and bool(versioned) and path not in versioned


def _run(name: str, command: list[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise LayerFailed(f"layer {name}: {(run.stderr or run.stdout).strip()[-2000:]}")
