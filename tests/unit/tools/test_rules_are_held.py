"""Each rule of docs/semantics.md ends with the code and the test that hold it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "semantics.md"
_LINK = re.compile(r'\[(code|test)\]\(([^) ]+)(?: "([^"]+)")?\)')


def rules() -> list[str]:
    """The bullets of the page, each on one line."""
    return [rule.replace("\n ", "") for rule in re.findall(r"^- (.*(?:\n  .*)*)", PAGE.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: re.sub(r"\W+", "-", rule[:50]))
def test_a_rule_names_the_code_and_the_test_that_hold_it(rule: str) -> None:
    links = {kind: (PAGE.parent / path, name) for kind, path, name in _LINK.findall(rule)}

    assert links.keys() == {"code", "test"}, 'end the rule with [code](…) and [test](… "name of the test")'
    code, (test, name) = links["code"][0], links["test"]
    assert code.is_file(), code
    assert f"def {name}(" in test.read_text(), f"{test} has no {name}"
