"""A page that names code or another page names one that is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])


def links(page: Path) -> list[tuple[str, Path]]:
    """The text and target of each link of a page to a file of the project."""
    found = re.findall(r"\[([^\]]*)\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return [(text, page.parent / target) for text, target in found if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_of_the_project(page: Path) -> None:
    assert [str(target) for _, target in links(page) if not target.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_name_that_links_to_code_is_defined_there(page: Path) -> None:
    named = [(text.strip("`").split(".")[-1], target) for text, target in links(page) if text.startswith("`") and target.suffix == ".py"]

    assert [(name, target.name) for name, target in named if not defined(name, target)] == []


def defined(name: str, path: Path) -> bool:
    """Whether a module defines a function, class, method, test or constant of this name."""
    return re.search(rf"^\s*(?:def|class) {name}\b|^\s*{name}\b\s*[:=]", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def test_a_name_that_a_module_does_not_define_is_seen() -> None:
    assert not defined("no_such_name", Path(__file__))
    assert defined("links", Path(__file__))
    assert defined("PAGES", Path(__file__))


TEXTS = [(page, page.read_text(encoding="utf-8")) for page in PAGES]
MODULES = sorted({(page.name, name) for page, text in TEXTS for name in re.findall(r"python -m ([a-z_][\w.]*)", text)})
PATHS = sorted({(page.name, path) for page, text in TEXTS for path in re.findall(r"`([\w-]+/[\w/.-]+\.(?:py|yaml|sql|rs))`", text)})


@pytest.mark.parametrize(("page", "module"), MODULES, ids=lambda value: str(value))
def test_a_module_that_a_page_runs_is_there(page: str, module: str) -> None:
    assert importlib.util.find_spec(module) is not None, page


@pytest.mark.parametrize(("page", "path"), PATHS, ids=lambda value: str(value))
def test_a_file_that_a_page_names_is_there(page: str, path: str) -> None:
    assert (ROOT / path).exists(), page
