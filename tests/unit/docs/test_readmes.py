"""The README in Portuguese shows the commands of the English one, in their order."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def commands(page: str) -> list[str]:
    """The lines of a page's sh blocks, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]


def options(page: str) -> set[str]:
    """The commands and options that a page's text names."""
    return set(re.findall(r"`((?:\.venv/bin/dm|dm|make|--)[^`]*)`", (ROOT / page).read_text(encoding="utf-8")))


def test_both_pages_show_the_same_commands() -> None:
    assert commands("README.md")
    assert commands("README.pt.md") == commands("README.md")


def test_both_pages_name_the_same_commands_and_options() -> None:
    assert options("README.pt.md") == options("README.md")
