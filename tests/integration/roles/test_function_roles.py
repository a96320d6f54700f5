"""Each function's role holds the rights that its work needs: nothing missing, nothing extra."""

from __future__ import annotations

import pytest

from datamaster.aws.cloudformation.policies import ALLOWED, decide
from datamaster.aws.cloudformation.rendering import Template
from datamaster.project import PROJECT

from .conftest import FUNCTIONS
from .implied import abandoned, implied
from .probes import probes, requests, was_allowed
from .recorder import sites
from .rights import extra, missing
from .work import Work

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def calls(guarded, tmp_path_factory):
    return Work(guarded, tmp_path_factory.mktemp("work")).all()


@pytest.fixture(scope="module")
def needed(guarded, calls):
    """The rights that each function needs."""
    stage, key = guarded.storage["StageBucket"], guarded.values["StageKeyArn"]
    return {
        function: [
            *(right for call in calls[function] for right in guarded.places.of(call)),
            *abandoned(calls[function]),
            *implied(guarded.template(app), function, stage, key),
        ]
        for function, app in FUNCTIONS.items()
    }


def test_no_function_was_refused_anything(calls):
    refused = {(function, call.operation, call.site) for function, made in calls.items() for call in made if call.refused}
    assert refused == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_holds_what_its_function_needs_and_nothing_else(guarded, needed, function):
    policies = guarded.policies(function)
    found = missing(policies, needed[function])
    assert not found, found
    superfluous = extra(policies, needed[function])
    assert not superfluous, superfluous


def test_the_containers_role_holds_what_the_same_code_needs_and_nothing_else(guarded, calls):
    needed = [*(right for call in calls["ConvertFile"] for right in guarded.places.of(call)), *abandoned(calls["ConvertFile"])]
    policies = Template(PROJECT / "templates" / "ingestion.yaml", guarded.values).policies_of("TaskRole")
    assert missing(policies, needed) == []
    assert extra(policies, needed) == []


def test_a_right_less_and_a_right_more_are_found(guarded, needed):
    """For each right of each role: without it something is missing; beside them one of another place is extra."""
    for function in FUNCTIONS:
        policies = guarded.policies(function)
        for policy in policies:
            for number, statement in enumerate(policy["Statement"]):
                less = policy | {"Statement": [entry for n, entry in enumerate(policy["Statement"]) if n != number]}
                assert missing([less], needed[function]), f"{function}: {statement}"
        more = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::dm-observer-local/*"}]}
        assert extra([*policies, more], needed[function]) == [("s3:GetObject", "arn:aws:s3:::dm-observer-local/*")]


def test_every_call_that_the_code_holds_was_made(calls):
    """A call that no function's work reaches would be one whose right nobody derives."""
    made = {call.site for function in calls.values() for call in function}
    assert sorted(sites() - made) == []


def test_what_is_implied_names_the_page_that_demands_it(guarded):
    stage = guarded.storage["StageBucket"]
    for function, app in FUNCTIONS.items():
        for right in implied(guarded.template(app), function, stage, guarded.values["StageKeyArn"]):
            assert right.page.startswith("https://docs.aws.amazon.com/"), right


def test_the_emulator_refuses_each_role_what_its_policy_does_not_give(guarded, calls, capsys):
    """Every probe by every role; a refusal counts where another role is let through with the very same call."""
    results = {(function, name): was_allowed(call) for function in FUNCTIONS for name, call in probes(guarded, function)}
    expected = {
        (function, name): decide(guarded.policies(function), request) == ALLOWED
        for function in FUNCTIONS
        for name, request in requests(guarded)
    }
    assert {key: result for key, result in results.items() if result != expected[key]} == {}

    let_through = {name for (_, name), result in results.items() if result}
    refused = {(function, name) for (function, name), result in results.items() if not result and name in let_through}
    with capsys.disabled():
        print(f"\n{len(results)} probes, {len(refused)} refusals by (role, action and place) with a twin let through")
    assert len(refused) >= 30
    assert {function for function, _ in refused} == set(FUNCTIONS)
