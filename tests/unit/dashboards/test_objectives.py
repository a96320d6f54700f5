"""Objectives → alarms, runbook, thresholds: each alarm has an entry, and says the same in every place."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from typer.main import get_command

from datamaster.aws.cloudformation.reading import read_template
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


def by_name(dimensions):
    return {dimension["Name"]: dimension["Value"] for dimension in dimensions}


@pytest.mark.parametrize("objective", KNOWN, ids=lambda known: known.name)
def test_an_alarm_has_its_objectives_metric_and_thresholds(objective):
    alarm = ALARMS[objective.logical_id]
    limits = TEMPLATE["Mappings"][objective.logical_id]

    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == (objective.namespace, objective.metric, objective.statistic)
    dimensions = alarm["Dimensions"]
    for condition, others in reversed(objective.dimensions_if.items()):
        held, then, dimensions = dimensions  # of an !If
        assert (held, by_name(then)) == (condition, dict(others))
    assert by_name(dimensions) == dict(objective.dimensions)
    assert alarm["TreatMissingData"] == objective.missing
    assert alarm["ComparisonOperator"] == ("LessThanThreshold" if objective.below else "GreaterThanThreshold")
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


@pytest.mark.parametrize("objective", KNOWN, ids=lambda known: known.name)
def test_the_health_dashboard_turns_red_where_production_is_in_breach(objective):
    [panel] = [panel for panel in panels(stored()["health"]) if panel["title"] == objective.name]

    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    if objective.below:
        assert [(step["color"], step["value"]) for step in steps] == [("red", None), ("green", objective.threshold["prod"])]
        return
    red = steps[-1]
    assert red["color"] == "red"
    assert objective.threshold["prod"] <= red["value"] <= objective.threshold["prod"] + 1


def test_an_objective_without_a_threshold_for_an_environment_is_refused_by_name(tmp_path):
    text = (
        (PROJECT / "dashboards" / "objectives.yaml")
        .read_text()
        .replace("{local: 8, lean: 32400, dev: 14400, staging", "{local: 8, stagign", 1)
    )
    (tmp_path / "objectives.yaml").write_text(text)

    with pytest.raises(InvalidObjective, match='"freshness": threshold needs a value for each of local, lean, dev, staging, prod'):
        objectives(tmp_path / "objectives.yaml")


def test_an_objective_that_lacks_a_field_is_refused_by_name(tmp_path):
    (tmp_path / "objectives.yaml").write_text("objectives: [{name: freshness}]")

    with pytest.raises(InvalidObjective, match='"freshness": promise is missing'):
        objectives(tmp_path / "objectives.yaml")


def test_a_replication_that_gives_no_values_is_a_breach():
    silent = {objective.name for objective in KNOWN if objective.namespace == "AWS/DMS" and objective.missing != "breaching"}

    assert silent == set()


def test_both_kinds_of_replication_tell_the_alarms_when_they_end():
    """The names are DMS's: https://docs.aws.amazon.com/dms/latest/userguide/CHAP_EventBridge.html"""
    rule = TEMPLATE["Resources"]["ReplicationStopped"]["Properties"]
    [events] = [
        s for s in TEMPLATE["Resources"]["Publishers"]["Properties"]["PolicyDocument"]["Statement"] if s["Sid"] == "ReplicationEvents"
    ]
    keys = {s["Sid"]: s for s in TEMPLATE["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"]}

    assert rule["EventPattern"]["source"] == ["aws.dms"]
    assert rule["EventPattern"]["detail-type"] == ["DMS Replication State Change", "DMS Replication Task State Change"]
    nightly, always = rule["EventPattern"]["detail"]["eventType"][1:]
    assert (nightly, always) == ([{"suffix": "FAILED"}], [{"suffix": "FAILED"}, {"suffix": "STOPPED"}])
    assert rule["Targets"] == [{"Id": "alarms", "Arn": "Alarms"}]
    assert events["Principal"] == keys["Events"]["Principal"] == {"Service": "events.amazonaws.com"}
    assert keys["Events"]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]


def test_what_no_alarm_may_lack_is_watched():
    watched = {(objective.namespace, objective.metric) for objective in KNOWN}

    assert watched >= {
        ("AWS/Lambda", "Throttles"), ("AWS/Lambda", "Errors"), ("AWS/Firehose", "ExecuteProcessing.Success"),
        ("AWS/Firehose", "DeliveryToS3.DataFreshness"), ("AWS/S3", "PutRequests"), ("AWS/DMS", "CDCLatencySource"),
        ("AWS/DMS", "CDCLatencyTarget"), ("AWS/RDS", "OldestReplicationSlotLag"),
    }  # fmt: skip


# The sets of dimensions under which AWS publishes each namespace's metrics, from its pages.
DIMENSIONS = {
    # https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/app-job-metrics.html
    "AWS/EMRServerless": [{"ApplicationId", "ApplicationName"}],
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html
    "ECS/ContainerInsights": [{"ClusterName"}],
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
    "AWS/S3": [{"BucketName", "FilterId"}],
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/dimensions.html
    "AWS/RDS": [{"DBClusterIdentifier", "Role"}],
    "AWS/SQS": [{"QueueName"}],
    "AWS/Kinesis": [{"StreamName"}],
    "AWS/Firehose": [{"DeliveryStreamName"}],
    "AWS/Lambda": [{"FunctionName"}],
    "AWS/States": [{"StateMachineArn"}],
    "AWS/DMS": [{"ReplicationConfigId"}],
}


def test_every_panel_asks_for_dimensions_under_which_aws_publishes():
    asked = [target for panel in panels(stored()["health"]) for target in panel["targets"] if target.get("namespace", "").partition("/")[2]]

    assert asked
    wrong = [
        (target["metricName"], sorted(target["dimensions"]))
        for target in asked
        if set(target["dimensions"]) not in DIMENSIONS[target["namespace"]]
    ]
    assert wrong == []


def test_tasks_are_counted_by_the_metric_that_counts_those_that_nobody_put_into_a_service():
    names = {target.get("metricName") for panel in panels(stored()["health"]) for target in panel["targets"]}

    assert "TaskCount" in names
    assert "RunningTaskCount" not in names


def test_freshness_rings_if_nothing_reports_it_any_more():
    """The report publishes its age every five minutes, also if nothing waits."""
    [freshness] = [objective for objective in KNOWN if objective.name == "freshness"]
    every = read_template((PROJECT / "templates" / "observability.yaml").read_text())["Resources"][freshness.logical_id]["Properties"]

    assert every["TreatMissingData"] == "breaching"
    assert min(freshness.period[environment] for environment in ENVIRONMENTS if environment != "local") >= 5 * 60
