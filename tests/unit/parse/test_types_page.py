"""docs/types.md says what the code does."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from datamaster.aws.pages.types_page import render

PAGE = Path(__file__).resolve().parents[3] / "docs" / "types.md"


def test_the_page_is_what_the_table_of_types_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "write it anew: python -m datamaster.aws.pages.types_page > docs/types.md"


def test_the_page_names_every_reason_for_a_reject(parse: ModuleType) -> None:
    assert all(f"| `{reason}` |" in render() for reason in parse.Reason)
