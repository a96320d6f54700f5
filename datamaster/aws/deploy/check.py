"""Run linters and rules over everything that a deployment sends: ``python -m datamaster.aws.deploy.check``.

Each environment's deployment, and production's in another region, is judged by ``datamaster.aws.deploy.aws_refusals``. Rendered
templates are judged by cfn-lint, checkov, ``datamaster.aws.deploy.guard`` and Control Tower's rules in cfn-guard. State machines
are judged by asl-validator, the Dockerfile by hadolint, and GitHub's workflows by actionlint if Go can build it.

Exit code 0 means that templates/linter-exceptions.yml names every finding, and that each exception is still needed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import yaml

from datamaster.aws.cloudformation.reading import read_template
from datamaster.aws.cloudformation.rendering import stack
from datamaster.aws.deploy import control_tower, guard
from datamaster.aws.deploy.artifacts import STATE_MACHINES
from datamaster.aws.deploy.aws_refusals import RULES, refusals
from datamaster.aws.deploy.environments import EXISTING_SOURCE, Environment, load_environment
from datamaster.aws.deploy.lint import LintFinding
from datamaster.aws.deploy.package import APPS, Package, package_apps
from datamaster.aws.deploy.sent import sent
from datamaster.project import PROJECT

EXCEPTIONS = PROJECT / "templates" / "linter-exceptions.yml"
LINTERS = PROJECT / ".venv-lint" / "bin"
BUILD = PROJECT / "build" / "check"
DOCKERFILE = PROJECT / "converter" / "Dockerfile"
WORKFLOWS = PROJECT / ".github" / "workflows"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
ENVIRONMENTS, ELSEWHERE = ("lean", "dev", "staging", "prod"), "eu-central-1"


def render(build: Path, packages: Mapping[str, Package]) -> list[Path]:
    """Every template as CloudFormation gets it."""
    folder = build / "templates"
    folder.mkdir(parents=True)
    for path in sorted((PROJECT / "templates").glob("*.yaml")):
        if ".merge" not in path.name:
            shutil.copy(path, folder / path.name)
    for app in APPS:
        shutil.copy(packages[app].template, folder / f"functions-{app}.json")
    return sorted(folder.iterdir())


def environments() -> list[Environment]:
    """The environments on AWS, the smallest once more with a source that is there already, and production's in another region."""
    here = [load_environment(name) for name in ENVIRONMENTS]
    elsewhere = Environment(here[-1].name, ELSEWHERE, here[-1].variables | {"region": ELSEWHERE})
    return [*here, here[0].with_variables(EXISTING_SOURCE), elsewhere]


def collect(packages: Mapping[str, Package], build: Path) -> tuple[list[LintFinding], list[Path]]:
    """Findings for each environment, and the templates sent to the other region."""
    found, elsewhere = [], []
    for environment in environments():
        folder = build / f"{environment.name}-{environment.region}-{environment.variables['source']}"
        found += refusals(sent(environment, packages, folder))
        elsewhere = [path for path in sorted(folder.iterdir()) if path.suffix in (".yaml", ".json")]
    return found, elsewhere


def cfn_lint(templates: Sequence[Path], region: str = "us-east-1") -> list[LintFinding]:
    """Findings of cfn-lint in a region, with warnings and informational ones."""
    command = [str(LINTERS / "cfn-lint"), "--format", "json", "--include-checks", "W", "--regions", region, "--template"]
    answer = subprocess.run([*command, *map(str, templates)], capture_output=True, text=True)
    found = json.loads(answer.stdout or "[]")
    return [LintFinding(item["Rule"]["Id"], item["Message"], Path(item["Filename"]).name) for item in found]


def checkov(folder: Path) -> tuple[int, list[LintFinding]]:
    """The number of checkov's CloudFormation checks that pass, and the findings of those that fail.

    checkov gets a path from ``folder``, because it takes some paths of 40 characters for a secret.
    """
    command = [str(LINTERS / "checkov"), "--directory", ".", "--framework", "cloudformation", "--output", "json"]
    answer = subprocess.run([*command, "--quiet", "--skip-download"], capture_output=True, text=True, cwd=folder)
    report = json.loads(answer.stdout)
    failed = [LintFinding(item["check_id"], item["resource"], Path(item["file_path"]).name) for item in report["results"]["failed_checks"]]
    return report["summary"]["passed"], failed


def asl_validator(build: Path) -> list[LintFinding]:
    """Findings of asl-validator on the state machines."""
    folder = build / "statemachines"
    folder.mkdir(parents=True)
    found = []
    for path in sorted(STATE_MACHINES.glob("*.asl.yaml")):
        definition = folder / path.name.replace(".yaml", ".json")
        definition.write_bytes(orjson.dumps(yaml.safe_load(path.read_text())))
        found += lines(path.name, "asl-validator", [str(LINTERS / "asl-validator"), "--json-path", str(definition)])
    return found


def hadolint() -> list[LintFinding]:
    """Findings of hadolint, with informational ones."""
    return lines(DOCKERFILE.name, "hadolint", [str(LINTERS / "hadolint"), "--no-color", str(DOCKERFILE)])


def actionlint() -> list[LintFinding] | None:
    """Findings of actionlint, or None if Go is missing. If DM_REQUIRE is set, missing Go is a finding."""
    if shutil.which("go") is None:
        return [LintFinding("actionlint", "needs Go, and DM_REQUIRE demands it")] if os.environ.get("DM_REQUIRE") else None
    command = ["go", "run", ACTIONLINT, "-no-color", "-oneline", "-shellcheck=", *map(str, sorted(WORKFLOWS.glob("*.yml")))]
    return lines(WORKFLOWS.name, "actionlint", command)


def control_tower_rules(folder: Path, build: Path) -> tuple[int, list[LintFinding]]:
    """The number of Control Tower's rules that apply to production's stacks, and the findings."""
    stacks = sorted(path.stem for path in (PROJECT / "config").glob("*.yaml") if path.stem != "config")
    templates = {name: control_tower.rendered(stack(name, control_tower.ENVIRONMENT, folder)) for name in stacks}
    return control_tower.judge(templates, LINTERS, build)


def lines(where: str, check: str, command: Sequence[str]) -> list[LintFinding]:
    """A finding for each line that a failed linter writes."""
    answer = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    if answer.returncode == 0:
        return []
    told = (answer.stdout + answer.stderr).strip() or f"ended with code {answer.returncode}"
    return [LintFinding(check, line.strip(), where) for line in told.splitlines() if line.strip()]


def excepted() -> dict[tuple[str, str], str]:
    """The accepted findings, with their reasons."""
    return {(entry["check"], entry["resource"]): entry["reason"] for entry in yaml.safe_load(EXCEPTIONS.read_text())}


def main() -> int:
    """Render, lint and report."""
    shutil.rmtree(BUILD, ignore_errors=True)
    packages = package_apps(BUILD / "packages")
    templates = render(BUILD, packages)
    refused, elsewhere = collect(packages, BUILD / "sent")
    with ThreadPoolExecutor(2) as pool:
        linted, scanned = pool.submit(cfn_lint, templates), pool.submit(checkov, BUILD / "templates")
        moved = pool.submit(cfn_lint, elsewhere, ELSEWHERE)
        guarded = guard.all_findings((path.name, read_template(path.read_text())) for path in templates)
        ruled, tower = control_tower_rules(BUILD / "templates", BUILD / "rendered")
        guarded += tower
        machines, image, workflows = asl_validator(BUILD), hadolint(), actionlint()
        strict = refused + linted.result() + moved.result() + machines + image + (workflows or [])
        passed, failed = scanned.result()
    known = excepted()
    new = [finding for finding in failed + guarded if (finding.check, finding.resource) not in known]
    unneeded = known.keys() - {(finding.check, finding.resource) for finding in failed + guarded}
    for finding in sorted(strict + new):
        print(f"{finding.where}: {finding.check} {finding.resource}")
    for check, resource in sorted(unneeded):
        print(f"{EXCEPTIONS.name}: {check} {resource} is not found any more; remove it")
    judged = f"cfn-lint, {ruled} rules of Control Tower by cfn-guard, {len(guard.RULES)} guard rules, asl-validator, hadolint"
    judged += ", actionlint" if workflows is not None else " (actionlint not run: it needs Go)"
    rest = f"checkov: {passed} passed · {len(new)} failed, {len(known)} excepted"
    judged = f"{len(environments())} deployments by {len(RULES)} rules on what is sent, {judged}"
    print(f"{len(templates)} templates · {judged}: {len(strict)} findings · {rest}")
    return 1 if strict or new or unneeded else 0


if __name__ == "__main__":
    sys.exit(main())
