"""GitHub's workflows: no stored key, every action pinned by commit, an approval before each environment."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from datamaster.project import PROJECT

FOLDER = PROJECT / ".github" / "workflows"
WORKFLOWS: dict[str, Any] = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))}


def steps(workflow: Any) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_action_of_others_is_pinned_by_commit(name: str) -> None:
    uses = [step["uses"] for step in steps(WORKFLOWS[name]) if "uses" in step]

    assert [use for use in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", use)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_token_is_asked_for_only_where_something_is_deployed(name: str) -> None:
    workflow = WORKFLOWS[name]
    may = {job for job, body in workflow["jobs"].items() if body.get("permissions", {}).get("id-token") == "write"}

    assert workflow["permissions"] == {"contents": "read"}
    assert may == {"deploy": {"dev", "staging", "prod"}, "deploy-environment": {"deploy"}}.get(name, set())


def test_no_workflow_holds_a_key_of_aws() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.yml"))

    assert not re.search(r"secrets\.|AKIA|aws-secret-access-key", text)


def test_each_environment_is_deployed_after_the_one_before_it_under_its_own_approval() -> None:
    jobs = WORKFLOWS["deploy"]["jobs"]
    [deploying] = WORKFLOWS["deploy-environment"]["jobs"].values()

    assert [(name, job.get("needs")) for name, job in jobs.items()] == [
        ("check", None),
        ("dev", "check"),
        ("staging", "dev"),
        ("prod", "staging"),
    ]
    assert all(jobs[name]["with"] == {"environment": name} for name in ("dev", "staging", "prod"))
    assert deploying["environment"] == "${{ inputs.environment }}"


def test_what_a_workflow_calls_is_there() -> None:
    called = [job["uses"] for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() if "uses" in job]
    commands = "\n".join(step.get("run", "") for workflow in WORKFLOWS.values() for step in steps(workflow))

    assert all((PROJECT / path).is_file() for path in called)
    assert set(re.findall(r"dm (\w+)", commands)) == {"deploy"}
    makefile = (PROJECT / "Makefile").read_text()
    assert [target for target in re.findall(r"make (\w+)", commands) if f"\n{target}:" not in makefile] == []


def test_the_release_builds_the_kernel_for_both_of_lambdas_architectures() -> None:
    matrix = WORKFLOWS["release"]["jobs"]["kernel"]["strategy"]["matrix"]["include"]

    assert {entry["architecture"] for entry in matrix} == {"x86_64", "aarch64"}


def test_the_credentials_of_a_deployment_last_as_long_as_its_job() -> None:
    [deploying] = WORKFLOWS["deploy-environment"]["jobs"].values()
    [credentials] = [step["with"] for step in deploying["steps"] if "configure-aws-credentials" in step.get("uses", "")]

    assert credentials["role-duration-seconds"] == deploying["timeout-minutes"] * 60


def test_check_runs_each_target_of_ci_run_by_a_job_of_its_own_under_one_gate() -> None:
    jobs = WORKFLOWS["check"]["jobs"]
    targets = subprocess.run([PROJECT / ".ci" / "run", "--list"], capture_output=True, text=True, check=True).stdout.split()

    assert jobs["target"]["strategy"]["matrix"]["target"] == targets
    assert jobs["target"]["steps"][-1] == {"run": ".ci/run ${{ matrix.target }}"}
    assert sorted(jobs["gate"]["needs"]) == sorted(jobs.keys() - {"gate"})
    assert jobs["gate"]["if"] == "always()"


@pytest.mark.parametrize(
    ("results", "code"), [("success success", 0), ("success failure", 1), ("skipped success", 1), ("success cancelled", 1)]
)
def test_the_gate_fails_if_any_job_did_not_succeed(results: str, code: int) -> None:
    [step] = WORKFLOWS["check"]["jobs"]["gate"]["steps"]

    assert subprocess.run(["bash", "-e", "-c", step["run"]], env={"RESULTS": results}, capture_output=True).returncode == code


def test_each_target_of_ci_run_is_one_of_make_and_another_is_refused() -> None:
    targets = subprocess.run([PROJECT / ".ci" / "run", "--list"], capture_output=True, text=True, check=True).stdout.split()
    made = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    unknown = subprocess.run([PROJECT / ".ci" / "run", "nonsense"], capture_output=True, text=True)

    assert set(targets) <= set(made)
    assert unknown.returncode == 2
    assert 'unknown target "nonsense"; one of test docs' in unknown.stderr
