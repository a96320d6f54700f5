"""The list of former lines is whole: each line can be put back, and each outcome that changed has one."""

from __future__ import annotations

import re

import pytest

from tests.mutations import FORMER_LINES, ROOT, Former

ROWS = re.findall(r"^\| (.+) \| (.+) \| .+ \| \[`(\w+)`\]", (ROOT / "docs" / "files.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("former", FORMER_LINES, ids=lambda former: former.line[:40])
def test_a_former_line_has_its_place_and_its_test(former: Former) -> None:
    path, _, name = former.test.partition("::")

    file = ROOT / former.file
    found = file.read_text().count(former.line) if file.exists() else 0
    assert found == 1, f"{former.file} has this line {found} times; name in tests/mutations.py where it is now, or how it reads"
    assert f"def {name.rpartition('::')[2]}(" in (ROOT / path).read_text()


@pytest.mark.parametrize(("case", "formerly", "test"), ROWS, ids=lambda value: value[:40])
def test_a_case_that_was_wrong_has_a_former_line(case: str, formerly: str, test: str) -> None:
    assert (test in {former.test.rpartition("::")[2] for former in FORMER_LINES}) == (formerly != "right"), case
