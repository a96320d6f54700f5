"""Habits that make prose hard to read stay as rare as they are, and lines of pages stay short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.shape import ROOT, habits, measure, prose

DOCSTRINGS = {"what": 0.4, "where": 0.4, "semicolon": 0.8, "tell": 0.2, "riddle": 0.2}
PAGES = {"what": 0.7, "where": 0.7, "semicolon": 4.3, "tell": 0.3, "riddle": 0.3}
"""The most in 1,000 words. Lower a limit when prose gets better; never raise one."""
GENERATED = {"contract.md", "metrics.md", "runbook.md", "stacks.md", "types.md"}
WRITTEN = [page for page in sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]) if page.name not in GENERATED]


def test_the_habits_of_prose_grow_no_more() -> None:
    shape = measure()

    assert {name: count for name, count in habits(shape.prose).items() if count > DOCSTRINGS[name]} == {}, "docstrings"
    assert {name: count for name, count in habits(shape.pages).items() if count > PAGES[name]} == {}, "pages"


def test_habits_are_counted_outside_code_and_links_alone() -> None:
    text = "See what `where; x` says; ```sh\nwhat; where\n``` [a](what.md)"

    assert {name: round(count * 4 / 1000) for name, count in habits([prose(text)]).items()} == {
        "what": 1,
        "where": 0,
        "semicolon": 1,
        "tell": 0,
        "riddle": 0,
    }


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_a_page_is_wrapped_at_100_columns(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    breakable = [line for line in text.splitlines() if len(line) > 100 and not line.startswith(("|", "#", "    ", "!["))]

    assert [line for line in breakable if " " in re.sub(r"`[^`]*`|\]\([^)]*\)", "", line).strip()] == []
