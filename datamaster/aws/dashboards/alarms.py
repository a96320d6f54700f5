"""CloudWatch alarms and the runbook, written from the objectives; and whether an alarm's condition holds right now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from datamaster.aws.dashboards.objectives import ENVIRONMENTS, Objective

HEAD = """AWSTemplateFormatVersion: "2010-09-09"
Description: Data Master - an alarm for each objective of dashboards/objectives.yaml, from which this file is written.

Parameters:
  Environment:
    Type: String
    AllowedValues: [local, dev, staging, prod]
  AlarmEmail:
    Description: Who is told. Empty where nobody is.
    Type: String
    Default: ""

Conditions:
  Told: !Not [!Equals [!Ref AlarmEmail, ""]]

Mappings:
"""
TOPIC = """
Resources:
  # A key of its own: CloudWatch cannot publish to a topic under the AWS managed key.
  Key:
    Type: AWS::KMS::Key
    Properties:
      Description: Messages of the alarms.
      EnableKeyRotation: true
      KeyPolicy:
        Version: "2012-10-17"
        Statement:
          - Sid: GrantsToServicesOnly
            Effect: Deny
            Principal: "*"
            Action: kms:CreateGrant
            Resource: "*"
            Condition: {BoolIfExists: {kms:GrantIsForAWSResource: "false", aws:PrincipalIsAWSService: "false"}}
          # In a key's own policy "*" is that key: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
          - Sid: Account
            Effect: Allow
            Principal: {AWS: !Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
            Action: kms:*
            Resource: "*"
          - Sid: Alarms
            Effect: Allow
            Principal: {Service: cloudwatch.amazonaws.com}
            Action: [kms:Decrypt, kms:GenerateDataKey*]
            Resource: "*"
            Condition: {StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}}

  Alarms:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: !Sub dm-alarms-${Environment}
      KmsMasterKeyId: !Ref Key

  Reader:
    Type: AWS::SNS::Subscription
    Condition: Told
    Properties:
      TopicArn: !Ref Alarms
      Protocol: email
      Endpoint: !Ref AlarmEmail
"""
OUTPUTS = """
Outputs:
  AlarmsTopicArn: {Value: !Ref Alarms}
"""


def template(listed: Iterable[Objective]) -> str:
    """templates/observability.yaml."""
    known = list(listed)
    parts = [HEAD]
    for objective in known:
        parts.append(f"  {objective.logical_id}:\n")
        for environment in ENVIRONMENTS:
            values = f"{{Threshold: {objective.threshold[environment]}, Period: {objective.period[environment]}}}"
            parts.append(f"    {environment}: {values}\n")
    parts.append(TOPIC)
    parts += [_resource(objective) for objective in known]
    parts.append(OUTPUTS)
    return "".join(parts)


def runbook(listed: Iterable[Objective]) -> str:
    """docs/runbook.md."""
    lines = [
        "# Runbook",
        "",
        "One entry an alarm: what is broken, where to look first, what repairs it. Thresholds stand in `dashboards/objectives.yaml`,",
        "from which this page is written; alarms are called `dm-<environment>-<name>`.",
    ]
    for objective in listed:
        limits = ", ".join(f"{environment} {_number(objective.threshold[environment])}" for environment in ENVIRONMENTS[1:])
        lines += [
            "",
            f"## {objective.name}",
            "",
            f"{objective.promise}",
            "",
            f"- **Alarm**: {objective.statistic.lower()} of `{objective.namespace}` `{objective.metric}` above the threshold "
            f"({objective.unit}: {limits}).",
            f"- **First look**: {objective.first_look}",
            f"- **Repair**: {objective.repair}",
        ]
    return "\n".join(lines) + "\n"


def breached(client: Any, alarm: str) -> bool | None:
    """Whether the condition of a deployed alarm holds now, by its own metric, dimensions and threshold; None without data.

    CloudWatch evaluates an alarm once a period; this looks at once, at the periods that the alarm would look at.
    """
    [described] = client.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    period, periods = described["Period"], described["EvaluationPeriods"]
    end = datetime.now(UTC) + timedelta(seconds=1)
    answer = client.get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m",
                "MetricStat": {
                    "Metric": {key: described[key] for key in ("Namespace", "MetricName", "Dimensions")},
                    "Period": period,
                    "Stat": described["Statistic"],
                },
            }
        ],
        StartTime=end - timedelta(seconds=period * (periods + 2)),
        EndTime=end,
        ScanBy="TimestampAscending",
    )
    values = answer["MetricDataResults"][0]["Values"][-periods:]
    return all(value > described["Threshold"] for value in values) if values else None


def _resource(objective: Objective) -> str:
    dimensions = "".join(f"        - {{Name: {name}, Value: {_substituted(value)}}}\n" for name, value in objective.dimensions.items())
    return f"""
  {objective.logical_id}:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: !Sub dm-${{Environment}}-{objective.name}
      AlarmDescription: "{objective.promise} See docs/runbook.md, {objective.name}."
      Namespace: {objective.namespace}
      MetricName: {objective.metric}
      Dimensions:
{dimensions}      Statistic: {objective.statistic}
      Period: !FindInMap [{objective.logical_id}, !Ref Environment, Period]
      EvaluationPeriods: {objective.periods}
      Threshold: !FindInMap [{objective.logical_id}, !Ref Environment, Threshold]
      ComparisonOperator: GreaterThanThreshold
      TreatMissingData: notBreaching
      AlarmActions: [!Ref Alarms]
      OKActions: [!Ref Alarms]
"""


def _substituted(value: str) -> str:
    return f"!Sub '{value}'" if "${" in value else value


def _number(value: float) -> str:
    return f"{value:,}"
