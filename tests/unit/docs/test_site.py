"""The docs site has every page in its navigation, and the code that pages link to."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from tools.site import ROOT, collect


def pages_of(nav: list[Any]) -> list[str]:
    """The pages of a navigation, in their order."""
    values = [value for entry in nav for value in ([entry] if isinstance(entry, str) else entry.values())]
    return [page for value in values for page in ([value] if isinstance(value, str) else pages_of(value))]


def test_the_navigation_has_each_page_once_and_in_the_order_of_the_index() -> None:
    nav = pages_of(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])
    docs = ROOT / "docs"
    named = re.findall(r"\]\(([\w/-]+\.md)\)", (docs / "index.md").read_text())
    decisions = re.findall(r"\]\(([\w-]+\.md)\)", (docs / "decisions" / "index.md").read_text())
    at = named.index("decisions/index.md") + 1

    assert nav == ["index.md", *named[:at], *(f"decisions/{page}" for page in decisions), *named[at:]]
    assert sorted(nav) == sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md"))


def test_a_file_that_a_page_links_to_becomes_a_page_and_other_links_stay(tmp_path: Path) -> None:
    docs = tmp_path / "docs" / "part"
    docs.mkdir(parents=True)
    (tmp_path / "rule.py").write_text("x = 1\n")
    (docs / "page.md").write_text('[`x`](../../rule.py "x"), [other](other.md#a), [web](https://example.org), [gone](../../gone.py)')

    collect(tmp_path / "docs", tmp_path / "pages")

    assert (tmp_path / "pages/part/page.md").read_text() == (
        '[`x`](../code/rule.py.md "x"), [other](other.md#a), [web](https://example.org), [gone](../../gone.py)'
    )
    assert (tmp_path / "pages/code/rule.py.md").read_text() == "# rule.py\n\n``````py\nx = 1\n``````\n"
