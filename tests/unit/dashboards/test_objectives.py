"""Objectives → alarms, runbook, thresholds: each alarm has an entry, and says the same in every place."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from typer.main import get_command

from datamaster.aws.dashboards.made_files import stored
from datamaster.aws.dashboards.objectives import ENVIRONMENTS, InvalidObjective, objectives
from datamaster.aws.dashboards.queries import panels
from datamaster.cli import app
from datamaster.project import PROJECT

KNOWN = objectives()


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms as plain values."""


def plain(loader, _suffix, node):
    kinds = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence}
    return kinds.get(type(node), loader.construct_mapping)(node)


Template.add_multi_constructor("!", plain)
TEMPLATE = yaml.load((PROJECT / "templates" / "observability.yaml").read_text(), Template)
ALARMS = {name: r["Properties"] for name, r in TEMPLATE["Resources"].items() if r["Type"] == "AWS::CloudWatch::Alarm"}


def entry(name):
    """A heading's part of the runbook."""
    return (PROJECT / "docs" / "runbook.md").read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_every_objective_has_an_alarm_and_every_alarm_an_objective():
    assert sorted(ALARMS) == sorted(objective.logical_id for objective in KNOWN)


@pytest.mark.parametrize("objective", KNOWN, ids=lambda known: known.name)
def test_an_alarm_has_its_objectives_metric_and_thresholds(objective):
    alarm = ALARMS[objective.logical_id]
    limits = TEMPLATE["Mappings"][objective.logical_id]

    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == (objective.namespace, objective.metric, objective.statistic)
    assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == dict(objective.dimensions)
    assert {name: limits[name]["Threshold"] for name in ENVIRONMENTS} == dict(objective.threshold)
    assert alarm["AlarmActions"] == ["Alarms"]


@pytest.mark.parametrize("objective", KNOWN, ids=lambda known: known.name)
def test_every_alarm_has_a_first_look_and_a_repair_in_the_runbook(objective):
    text = entry(objective.name)

    assert "**First look**: " in text
    assert re.search(r"\*\*Repair\*\*: \S+", text)


def test_every_command_of_the_runbook_exists():
    command: Any = get_command(app)
    known = set(command.commands) | {f"{group} {name}" for group, sub in command.commands.items() for name in getattr(sub, "commands", {})}

    named = re.findall(r"\bdm ((?:files|contract) \w+|[a-z]+)", (PROJECT / "docs" / "runbook.md").read_text())

    assert named
    assert sorted({name for name in named if name not in known}) == []


@pytest.mark.parametrize("objective", [known for known in KNOWN if known.namespace != "AWS/Billing"], ids=lambda known: known.name)
def test_the_health_dashboard_turns_red_where_production_is_in_breach(objective):
    [panel] = [panel for panel in panels(stored()["health"]) if panel["title"] == objective.name]

    red = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]

    assert red["color"] == "red"
    assert objective.threshold["prod"] <= red["value"] <= objective.threshold["prod"] + 1


def test_an_objective_without_a_threshold_for_an_environment_is_refused_by_name(tmp_path):
    text = (PROJECT / "dashboards" / "objectives.yaml").read_text().replace("{local: 8, dev: 14400, staging", "{local: 8, stagign", 1)
    (tmp_path / "objectives.yaml").write_text(text)

    with pytest.raises(InvalidObjective, match='"freshness": threshold needs a value for each of local, dev, staging, prod'):
        objectives(tmp_path / "objectives.yaml")


def test_an_objective_that_lacks_a_field_is_refused_by_name(tmp_path):
    (tmp_path / "objectives.yaml").write_text("objectives: [{name: freshness}]")

    with pytest.raises(InvalidObjective, match='"freshness": promise is missing'):
        objectives(tmp_path / "objectives.yaml")
