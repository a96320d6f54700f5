"""Holds the templates, rendered with the packaged functions, to cfn-lint and checkov: ``python -m datamaster.deploy.check``.

Exit code 0 where nothing is found but what templates/linter-exceptions.yml names, and every exception is still needed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from datamaster.deploy.package import APPS, package_apps
from datamaster.project import PROJECT

EXCEPTIONS = PROJECT / "templates" / "linter-exceptions.yml"
LINTERS = PROJECT / ".venv-lint" / "bin"
BUILD = PROJECT / "build" / "check"


@dataclass(frozen=True, order=True)
class Finding:
    """One check that one resource fails."""

    check: str
    resource: str
    where: str = ""


def render(build: Path) -> list[Path]:
    """Every template as CloudFormation would get it."""
    shutil.rmtree(build, ignore_errors=True)
    packages = package_apps(build / "packages")
    folder = build / "templates"
    folder.mkdir(parents=True)
    for path in sorted((PROJECT / "templates").glob("*.yaml")):
        if ".merge" not in path.name:
            shutil.copy(path, folder / path.name)
    for app in APPS:
        shutil.copy(packages[app].template, folder / f"functions-{app}.yaml")
    return sorted(folder.iterdir())


def cfn_lint(templates: list[Path]) -> list[Finding]:
    """Findings of cfn-lint, warnings and informational ones included."""
    command = [str(LINTERS / "cfn-lint"), "--format", "json", "--include-checks", "W", "--regions", "us-east-1", "--template"]
    answer = subprocess.run([*command, *map(str, templates)], capture_output=True, text=True)
    found = json.loads(answer.stdout or "[]")
    return [Finding(item["Rule"]["Id"], item["Message"], Path(item["Filename"]).name) for item in found]


def checkov(folder: Path) -> tuple[int, list[Finding]]:
    """How many CloudFormation checks of checkov pass, and those that fail."""
    command = [str(LINTERS / "checkov"), "--directory", str(folder), "--framework", "cloudformation", "--output", "json"]
    answer = subprocess.run([*command, "--quiet", "--skip-download"], capture_output=True, text=True)
    report = json.loads(answer.stdout)
    failed = [Finding(item["check_id"], item["resource"], Path(item["file_path"]).name) for item in report["results"]["failed_checks"]]
    return report["summary"]["passed"], failed


def excepted() -> dict[tuple[str, str], str]:
    """The findings that stand, with their reasons."""
    return {(entry["check"], entry["resource"]): entry["reason"] for entry in yaml.safe_load(EXCEPTIONS.read_text())}


def main() -> int:
    """Render, lint, and tell."""
    templates = render(BUILD)
    lint = cfn_lint(templates)
    passed, failed = checkov(BUILD / "templates")
    known = excepted()
    new = [finding for finding in failed if (finding.check, finding.resource) not in known]
    unneeded = known.keys() - {(finding.check, finding.resource) for finding in failed}
    for finding in sorted(lint + new):
        print(f"{finding.where}: {finding.check} {finding.resource}")
    for check, resource in sorted(unneeded):
        print(f"{EXCEPTIONS.name}: {check} {resource} is not found any more; remove it")
    print(
        f"{len(templates)} templates · cfn-lint: {len(lint)} findings · checkov: {passed} passed, {len(new)} failed, {len(known)} excepted"
    )
    return 1 if lint or new or unneeded else 0


if __name__ == "__main__":
    sys.exit(main())
