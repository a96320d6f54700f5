"""Lists the folders of tests that a change affects: ``python -m tools.affected [BASE]`` prints them, one per line.

They are a package's own tests, and those of every package that imports it by the arrows of ``tools/shape.py``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.shape import FOLDERS, ROOT, measure

TESTS = {
    "batches": ("control_api", "jobs"),
    "datamaster": ("cli",),
    "datamaster.aws.deploy": ("deploy", "catalog", "platform"),
    "datamaster.aws.pages": ("catalog", "parse"),
    "datamaster.laptop": ("platform", "delivery", "comprehend"),
    "datamaster.replicator": ("replicator", "source"),
    "convert": ("convert", "parse"),
    "lake": ("lake", "control", "privacy"),
}
"""Folders of tests under unit/ and integration/ that are not named after the package's last part."""


def changed(base: str) -> list[str]:
    """The files that differ from ``base``, committed or not, and untracked files."""
    tracked = subprocess.run(["git", "diff", "--name-only", base], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    new = subprocess.run(["git", "ls-files", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [*tracked.split(), *new.split()]


def concerned(files: Iterable[str], arrows: Iterable[tuple[str, str]]) -> set[str]:
    """The packages that hold one of the files, and all that import them, directly or not."""
    packages = {package for pair in arrows for package in pair}
    found = {package for file in files for package in packages if f"{_folder(package)}/" in f"{file}/"}
    while above := {source for source, target in arrows if target in found} - found:
        found |= above
    return found


def folders(packages: Iterable[str]) -> list[str]:
    """The existing folders of the packages' tests."""
    names = {name for package in packages for name in TESTS.get(package) or (package.split(".")[0], package.split(".")[-1])}
    candidates = (ROOT / "tests" / kind / name for kind in ("unit", "integration") for name in names)
    return sorted(str(path.relative_to(ROOT)) for path in candidates if path.is_dir())


def _folder(package: str) -> str:
    top, *rest = package.split(".")
    return "/".join((FOLDERS[top], *rest))


if __name__ == "__main__":
    files = changed(sys.argv[1] if len(sys.argv) > 1 else "main")
    own = {str(Path(file).parent) for file in files if Path(file).match("tests/**/test_*.py") and (ROOT / file).exists()}
    print("\n".join(sorted({*own, *folders(concerned(files, measure().arrows))})) or "tests/unit/tools")
