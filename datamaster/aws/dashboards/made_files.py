"""The files generated from code and objectives: dashboards, alarms' template, runbook, metrics page."""

from __future__ import annotations

import json
from pathlib import Path

from datamaster.aws.dashboards.alarms import runbook, template
from datamaster.aws.dashboards.analytics import analytics
from datamaster.aws.dashboards.costs import costs
from datamaster.aws.dashboards.health_panels import health
from datamaster.aws.dashboards.objectives import objectives
from datamaster.aws.dashboards.panels import Json
from datamaster.project import PROJECT
from lake.metrics_catalogue import metrics_page

DASHBOARDS = PROJECT / "dashboards"


def dashboards() -> dict[str, Json]:
    """The dashboards generated from code, by file name without suffix."""
    return {"analytics": analytics(), "health": health(), "costs": costs()}


def stored(folder: Path = DASHBOARDS) -> dict[str, Json]:
    """The dashboards in the files, by file name without suffix."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def contents() -> dict[Path, str]:
    """Every generated file with its contents."""
    written = {DASHBOARDS / f"{name}.json": json.dumps(made, indent=1, ensure_ascii=False) + "\n" for name, made in dashboards().items()}
    known = objectives()
    written[PROJECT / "templates" / "observability.yaml"] = template(known)
    written[PROJECT / "docs" / "runbook.md"] = runbook(known)
    written[PROJECT / "docs" / "metrics.md"] = metrics_page()
    return written
