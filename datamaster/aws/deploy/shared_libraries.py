"""Check that native libraries load on Lambda: their processor, their glibc version, and the libraries they need.

pyelftools reads ELF. https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html explains the
versions.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from lake.errors import TerminalError

GLIBC = (2, 34)
"""glibc of Amazon Linux 2023, which runs Lambda's Python 3.12: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html."""
SYSTEM = frozenset(
    {
        *("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"),
        *("libgcc_s.so.1", "libstdc++.so.6", "libz.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"),
    }
)
"""Libraries of the runtime itself."""
_MAGIC = b"\x7fELF"


@dataclass(frozen=True)
class Machine:
    """A processor: ``name`` as in the system's ``uname``, ``elf`` as in a library's header."""

    name: str
    elf: str


MACHINES = {"x86_64": Machine("x86_64", "EM_X86_64"), "arm64": Machine("aarch64", "EM_AARCH64")}
"""By Lambda's name."""


class ForeignLibrary(TerminalError):
    """A native library would not load on Lambda."""


def natives(folder: Path) -> Iterator[Path]:
    """The native libraries under a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(_MAGIC)) == _MAGIC:
                    yield path


def check(libraries: Iterable[Path], machine: Machine) -> None:
    """Raise ``ForeignLibrary`` for another processor, a newer glibc, or a needed library that is missing."""
    paths = list(libraries)
    there = SYSTEM | {path.name for path in paths}
    for path in paths:
        with path.open("rb") as file:
            elf = ELFFile(file)
            if elf["e_machine"] != machine.elf:
                raise ForeignLibrary(f"{path.name} is for {elf['e_machine']}; the functions run on {machine.elf}")
            missing = set(_needed(elf)) - there
            newest = max(_glibc(elf), default=(0, 0))
        if missing:
            raise ForeignLibrary(f"{path.name} needs {', '.join(sorted(missing))}, which neither the layer nor the runtime holds")
        if newest > GLIBC:
            raise ForeignLibrary(f"{path.name} needs glibc {_dotted(newest)}; the runtime has {_dotted(GLIBC)}")


def strip(libraries: Iterable[Path], machine: Machine) -> None:
    """Remove debug symbols, if this machine has the same processor and the command ``strip`` (binutils)."""
    command = shutil.which("strip") if machine.name == platform.machine() else None
    paths = [str(path) for path in libraries]
    if command and paths:
        subprocess.run([command, "--strip-unneeded", *paths], check=True, capture_output=True)


def _needed(elf: Any) -> Iterator[str]:
    section = elf.get_section_by_name(".dynamic")
    for tag in section.iter_tags("DT_NEEDED") if section is not None else ():
        yield tag.needed


def _glibc(elf: Any) -> Iterator[tuple[int, ...]]:
    section = elf.get_section_by_name(".gnu.version_r")
    for _, versions in section.iter_versions() if section is not None else ():
        for version in versions:
            if version.name.startswith("GLIBC_2"):
                yield tuple(int(number) for number in version.name.removeprefix("GLIBC_").split("."))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
