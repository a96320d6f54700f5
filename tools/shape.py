"""The shape of the code: ``make shape`` prints packages, arrows between them, repeated names, lengths and habits of prose.

``python tools/shape.py [DIRECTORY]`` measures another checkout of this layout. An arrow is an import, also inside a function.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "beer": "examples/beer",
    "datamaster": "datamaster",
    "control_api": "control-api/control_api",
    "batches": "control-api/batches",
    "ingest": "ingest-router/ingest",
    "convert": "converter/convert",
    "jobs": "emr-jobs/jobs",
    "export": "export",
    "lake": "lake",
}
"""Each top package and its folder."""
LEVELS = (
    ("beer",),
    ("datamaster.cli",),
    ("datamaster.console",),
    ("datamaster.laptop",),
    ("datamaster.replicator", "datamaster.athena"),
    ("datamaster.aws.pages", "datamaster.aws.operation"),
    ("datamaster.aws.deploy", "datamaster.aws.access", "datamaster.aws.dashboards", "datamaster.aws.sizing"),
    ("datamaster.verify", "datamaster.aws.cloudformation"),
    ("datamaster.source", "datamaster.platform", "datamaster.wire"),
    ("datamaster", "datamaster.aws"),
    ("control_api",),
    ("batches", "ingest", "convert", "export", "jobs", "jobs.upkeep"),
    ("jobs.silver",),
    ("jobs.derived",),
    ("jobs.iceberg",),
    ("lake.control", "lake.contract", "lake.privacy", "lake"),
)
"""Packages from the top of the house to the bottom. Only within ``lake`` may an arrow stay on its level."""
CONVENTIONS = frozenset({"door.py", "settings.py", "Settings"})
"""Names that every deployed application gives the same thing: its functions' entry points, and its environment."""
HABITS = {
    "what": r"\bwhat\b",
    "where": r"\bwhere\b",
    "semicolon": r";",
    "tell": r"\b(?:tell|tells|told)\b",
    "riddle": r"\b(?:whoever|whatever|nobody|so (?:many|often|much))\b",
}
"""Habits of prose that make docstrings and pages hard to read, counted per 1,000 words."""


@dataclass
class Shape:
    """The measurement. ``arrows`` count imports by (package, imported package)."""

    lines: Counter[str] = field(default_factory=Counter)
    arrows: Counter[tuple[str, str]] = field(default_factory=Counter)
    files: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    classes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    functions: list[tuple[int, str]] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    @property
    def back(self) -> list[tuple[str, str]]:
        """The arrows that do not run down."""
        level = {package: number for number, packages in enumerate(LEVELS) for package in packages}
        inside = {name for name in level if name.split(".")[0] == "lake"}
        return sorted((a, b) for a, b in self.arrows if level[a] >= level[b] and not {a, b} <= inside)

    @property
    def share(self) -> dict[str, float]:
        """Each package's share of all lines."""
        total = self.lines.total()
        return {package: count / total for package, count in self.lines.items()}

    @property
    def doubled_files(self) -> dict[str, list[str]]:
        """File names that stand twice or more, except conventions and those that Python gives a meaning."""
        return _doubled({name: places for name, places in self.files.items() if not name.startswith("__")})

    @property
    def doubled_classes(self) -> dict[str, list[str]]:
        """Class names that stand twice or more, except conventions."""
        return _doubled(self.classes)


def habits(texts: Iterable[str]) -> dict[str, float]:
    """Each habit of prose in 1,000 words."""
    text = "\n".join(texts)
    words = len(re.findall(r"[A-Za-z']+", text)) or 1
    return {name: 1000 * len(re.findall(pattern, text, re.IGNORECASE)) / words for name, pattern in HABITS.items()}


def prose(page: str) -> str:
    """A page without its code and the targets of its links."""
    return re.sub(r"```.*?```|`[^`\n]*`|(?<=\])\([^)]*\)", "", page, flags=re.DOTALL)


def _doubled(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: places for name, places in found.items() if len(places) > 1 and name not in CONVENTIONS}


def measure(root: Path = ROOT) -> Shape:
    """Measure the product's code below ``root``, without tests, benchmarks and tools."""
    shape = Shape()
    packages = {package for level in LEVELS for package in level}
    for top, folder in FOLDERS.items():
        for path in sorted((root / folder).rglob("*.py")):
            module = ".".join((top, *path.relative_to(root / folder).with_suffix("").parts)).removesuffix(".__init__")
            package = _package(module, packages)
            text = path.read_text()
            tree = ast.parse(text)
            shape.lines[package] += text.count("\n")
            shape.files[path.name].append(str(path.relative_to(root)))
            for imported in _imports(tree):
                if imported.split(".")[0] in FOLDERS and (target := _package(imported, packages)) != package:
                    shape.arrows[package, target] += 1
            _definitions(tree, str(path.relative_to(root)), shape)
    shape.pages = [prose(path.read_text()) for path in sorted([*(root / "docs").rglob("*.md"), *root.glob("*.md")])]
    return shape


def _package(module: str, packages: set[str]) -> str:
    parts = module.split(".")
    return next(name for end in range(len(parts), 0, -1) if (name := ".".join(parts[:end])) in packages)


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _definitions(tree: ast.AST, path: str, shape: Shape) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            shape.classes[node.name].append(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            shape.functions.append(((node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.name}"))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) and (text := ast.get_docstring(node)):
            shape.prose.append(text)


def report(shape: Shape) -> Iterator[str]:
    """The measurement as lines of text."""
    yield f"{shape.lines.total():,} lines of Python"
    yield from (f"  {package:28} {count:6,} {shape.share[package]:6.1%}" for package, count in shape.lines.most_common())
    yield f"{len(shape.arrows)} arrows between packages, {len(shape.back)} back up"
    yield from (f"  {source} -> {target}" for source, target in shape.back)
    for what, doubled in (("file", shape.doubled_files), ("class", shape.doubled_classes)):
        yield f"{len(doubled)} {what} names stand twice or more"
        yield from (f"  {name}: {', '.join(places)}" for name, places in sorted(doubled.items()))
    lengths = sorted(shape.functions)
    yield f"functions: median {statistics.median(length for length, _ in lengths):.0f} lines, longest {lengths[-1][0]} ({lengths[-1][1]})"
    for kind, texts in (("docstrings", shape.prose), ("pages", shape.pages)):
        yield f"{kind}, in 1,000 words: " + ", ".join(f"{name} {count:.2f}" for name, count in habits(texts).items())


if __name__ == "__main__":
    print("\n".join(report(measure(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT))))
