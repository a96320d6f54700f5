"""Control Tower's Guard rules, run by AWS's cfn-guard. AWS's CDK validator ships both.

https://docs.aws.amazon.com/controltower/latest/controlreference/proactive-controls.html · https://github.com/cdklabs/cdk-validator-cfnguard

The rules judge values, not references. So each template is rendered first with production's values.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.deploy.lint import LintFinding
from lake.errors import TerminalError

PACKAGE = "@cdklabs/cdk-validator-cfnguard"
ENVIRONMENT = "prod"
SYSTEMS = {"linux": "ubuntu", "darwin": "macos"}
PROCESSORS = {"x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
FOUND = (0, 19)
"""Exit codes of cfn-guard that come with a report: no finding, or at least one."""
NOT_ADOPTED = {
    "cloudwatch_log_group_retention_period_check": "asks for a year; operating logs are kept 30 or 90 days, the audit trail 400",
    "s3_bucket_object_lock_enabled_check": "tables are rewritten, raw objects expire; the audit trail is kept by a deny of deletes",
    "s3_event_notifications_enabled_check": "only arrivals of raw objects start anything",
}
"""Rules that contradict a decision of this project. Their findings are ignored on every resource."""


class NoGuard(TerminalError):
    """cfn-guard cannot run here."""


def program(linters: Path) -> Path:
    """The path of cfn-guard for this machine, among the installed linters. Raises ``NoGuard``."""
    if sys.platform not in SYSTEMS or platform.machine() not in PROCESSORS:
        raise NoGuard(f"{PACKAGE} carries no cfn-guard for {sys.platform} on {platform.machine()}")
    return _package(linters) / "bin" / SYSTEMS[sys.platform] / PROCESSORS[platform.machine()] / "cfn-guard"


def rendered(template: Template) -> dict[str, Any]:
    """A template with values in place of references, as cfn-guard needs it."""
    resources: dict[str, dict[str, Any]] = {}
    for name, entry in template.present().items():
        resources[name] = {"Type": entry.get("Type", ""), "Properties": template.properties(name)}
        resources[name] |= {key: entry[key] for key in ("DeletionPolicy", "UpdateReplacePolicy") if key in entry}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def judge(templates: Mapping[str, dict[str, Any]], linters: Path, build: Path) -> tuple[int, list[LintFinding]]:
    """The number of rules that apply to the rendered templates (by name), and the findings.

    Raises ``NoGuard``.
    """
    build.mkdir(parents=True, exist_ok=True)
    for name, template in templates.items():
        (build / f"{name}.json").write_text(json.dumps(template))
    rules = _package(linters) / "rules" / "control-tower" / "cfn-guard"
    command = [str(program(linters)), "validate", "--rules", str(rules), "--data", str(build)]
    answer = subprocess.run([*command, "--structured", "--output-format", "json", "--show-summary", "none"], capture_output=True, text=True)
    if answer.returncode not in FOUND:
        raise NoGuard(f"cfn-guard ended with code {answer.returncode}: {answer.stderr.strip()[:2000]}")
    reports = json.loads(answer.stdout)
    broken = [(entry["Rule"]["name"], report) for report in reports for entry in report["not_compliant"]]
    held = {rule for report in reports for rule in report["compliant"]}
    findings = [
        found
        for rule, report in broken
        if rule not in NOT_ADOPTED
        for found in _findings(rule, report, templates[Path(report["name"]).stem])
    ]
    return len((held | {rule for rule, _ in broken}) - NOT_ADOPTED.keys()), findings


def _findings(rule: str, report: Mapping[str, Any], template: Mapping[str, Any]) -> list[LintFinding]:
    """The resources of a template that break a rule."""
    [entry] = [entry for entry in report["not_compliant"] if entry["Rule"]["name"] == rule]
    names = sorted(set(re.findall(r"/Resources/(\w+)/Properties", json.dumps(entry))))
    return [LintFinding(rule, f"{template['Resources'][name]['Type']}.{name}", Path(report["name"]).stem) for name in names]


def _package(linters: Path) -> Path:
    return linters.parent / "lib" / "node_modules" / PACKAGE
