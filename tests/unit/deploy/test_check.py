"""What ``make check-aws`` makes of its linters' answers."""

from __future__ import annotations

import sys

from datamaster.aws.deploy import check
from datamaster.aws.deploy.lint import LintFinding


def test_a_linter_that_fails_gives_a_finding_for_each_line_that_it_writes() -> None:
    command = [sys.executable, "-c", "print('DL3007 latest'); raise SystemExit('DL3042 cache')"]

    assert check.lines("Dockerfile", "hadolint", command) == [
        LintFinding("hadolint", "DL3007 latest", "Dockerfile"),
        LintFinding("hadolint", "DL3042 cache", "Dockerfile"),
    ]


def test_a_linter_that_fails_without_a_word_is_a_finding_too() -> None:
    assert check.lines("x", "y", [sys.executable, "-c", "raise SystemExit(3)"]) == [LintFinding("y", "ended with code 3", "x")]


def test_a_linter_that_passes_gives_none_whatever_it_writes() -> None:
    assert check.lines("x", "y", [sys.executable, "-c", "print('all is well')"]) == []


def test_every_environment_of_an_account_is_judged_and_one_region_more() -> None:
    judged = [(environment.name, environment.region) for environment in check.environments()]

    here = [("lean", "us-east-1"), ("dev", "us-east-1"), ("staging", "us-east-1"), ("prod", "us-east-1")]
    assert judged == [*here, ("lean", "us-east-1"), ("prod", check.ELSEWHERE)]


def test_there_are_at_most_fifteen_exceptions_and_each_has_its_reason() -> None:
    reasons = check.excepted()

    assert len(reasons) <= 15
    assert all(len(reason.split()) > 5 for reason in reasons.values())
