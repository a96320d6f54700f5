"""The docs site: ``make docs`` builds build/site from docs/ and fails on a dead link.

A link that leaves docs/ leads to a file of the project. The site holds that file as a page of its own, under ``code/``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "pages"
_LINK = re.compile(r"(?<=\]\()(?P<target>[^)#\s]+)(?=[^)]*\))")


def collect(docs: Path, pages: Path) -> None:
    """Copy ``docs`` to ``pages``, and with them each file of the project that a page links to."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(docs, pages)
    for page in sorted(pages.rglob("*.md")):
        origin = docs / page.relative_to(pages)
        inside = partial(_inside, origin=origin, page=page, docs=docs, pages=pages)
        page.write_text(_LINK.sub(inside, page.read_text()))


def _inside(link: re.Match[str], origin: Path, page: Path, docs: Path, pages: Path) -> str:
    """A link's target as the site has it; the file is added to the site if it lies outside ``docs``."""
    target = link["target"]
    named = (origin.parent / target).resolve()
    if "://" in target or named.is_relative_to(docs) or not named.is_file():
        return target
    path = named.relative_to(docs.parent)
    copy = pages / "code" / f"{path}.md"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(f"# {path}\n\n``````{path.suffix.removeprefix('.')}\n{named.read_text()}``````\n")
    return os.path.relpath(copy, page.parent)


if __name__ == "__main__":
    collect(ROOT / "docs", PAGES)
    sys.exit(subprocess.run([Path(sys.executable).with_name("zensical"), "build", "--clean", "--strict"], cwd=ROOT).returncode)
