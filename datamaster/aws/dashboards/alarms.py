"""CloudWatch alarms and the runbook, written from the objectives, and a check of an alarm's condition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from datamaster.aws.dashboards.objectives import ENVIRONMENTS, Objective

BELOW = "LessThanThreshold"
HEAD = """AWSTemplateFormatVersion: "2010-09-09"
Description: Data Master - an alarm for each objective of dashboards/objectives.yaml, from which this file is written.

Parameters:
  Environment:
    Type: String
    AllowedValues: [local, lean, dev, staging, prod]
  AlarmEmail:
    Description: Who is told. Empty where nobody is.
    Type: String
    Default: ""
  InstanceClass:
    Description: The class of DMS's instance. Empty where the replication is serverless.
    Type: String
    Default: ""
  SourceName:
    Description: The identifier of the source's cluster, or of its instance on RDS. Empty for the cluster of the stack database.
    Type: String
    Default: ""
  SourceEngine:
    Type: String
    AllowedValues: [aurora-postgresql, postgres]
    Default: aurora-postgresql
  WorkingHours:
    Description: Whether the replication is stopped every night, which is then no event to tell.
    Type: String
    AllowedValues: ["true", "false"]
    Default: "false"

Conditions:
  Told: !Not [!Equals [!Ref AlarmEmail, ""]]
  OnInstance: !Not [!Equals [!Ref InstanceClass, ""]]
  ExistingCluster: !And [!Not [!Equals [!Ref SourceName, ""]], !Equals [!Ref SourceEngine, aurora-postgresql]]
  ExistingInstance: !And [!Not [!Equals [!Ref SourceName, ""]], !Equals [!Ref SourceEngine, postgres]]
  Nightly: !Equals [!Ref WorkingHours, "true"]

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
          # EventBridge gives no source account to an encrypted topic's key:
          # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
          - Sid: Events
            Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: [kms:Decrypt, kms:GenerateDataKey*]
            Resource: "*"

  Alarms:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: !Sub dm-alarms-${Environment}
      KmsMasterKeyId: !Ref Key

  Publishers:
    Type: AWS::SNS::TopicPolicy
    Properties:
      Topics: [!Ref Alarms]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Sid: Alarms
            Effect: Allow
            Principal: {Service: cloudwatch.amazonaws.com}
            Action: sns:Publish
            Resource: !Ref Alarms
            Condition: {StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}}
          - Sid: ReplicationEvents
            Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sns:Publish
            Resource: !Ref Alarms
            Condition: {ArnEquals: {aws:SourceArn: !GetAtt ReplicationStopped.Arn}}

  # Serverless replications and tasks tell of themselves under different names; delivery is best effort, so the latencies below ring too.
  # https://docs.aws.amazon.com/dms/latest/userguide/CHAP_EventBridge.html
  ReplicationStopped:
    Type: AWS::Events::Rule
    Properties:
      Name: !Sub dm-replication-stopped-${Environment}
      Description: The replication failed, or was stopped where nothing stops it every night.
      EventPattern:
        source: [aws.dms]
        detail-type: [DMS Replication State Change, DMS Replication Task State Change]
        detail:
          eventType: !If [Nightly, [{suffix: FAILED}], [{suffix: FAILED}, {suffix: STOPPED}]]
      Targets:
        - {Id: alarms, Arn: !Ref Alarms}

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
    """The text of templates/observability.yaml."""
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
    """The text of docs/runbook.md."""
    lines = [
        "# Runbook",
        "",
        "One entry an alarm: the promise that is broken, the first look, the repair. Thresholds stand in `dashboards/objectives.yaml`,",
        "from which this page is written; alarms are called `dm-<environment>-<name>`.",
        "",
        "The commands work on a laptop's platform as they stand, and with `--env <environment>` on one in an account. There they need",
        "the policies `dm-engineer-<environment>` and `dm-operator-<environment>` of `templates/governance.yaml`. `dm status` shows the",
        "replication and every alarm that is on.",
    ]
    for objective in listed:
        limits = ", ".join(f"{environment} {_number(objective.threshold[environment])}" for environment in ENVIRONMENTS[1:])
        lines += [
            "",
            f"## {objective.name}",
            "",
            f"{objective.promise}",
            "",
            f"- **Alarm**: {objective.statistic.lower()} of `{objective.namespace}` `{objective.metric}` "
            f"{'below' if objective.below else 'above'} the threshold ({objective.unit}: {limits}){_without_data(objective)}.",
            f"- **First look**: {objective.first_look}",
            f"- **Repair**: {objective.repair}",
        ]
    return "\n".join(lines) + "\n"


def _without_data(objective: Objective) -> str:
    return ", or no value" if objective.missing == "breaching" else ""


def _resource(objective: Objective) -> str:
    dimensions = _listed(objective.dimensions)
    for condition, others in objective.dimensions_if.items():
        dimensions = f"!If [{condition}, {_listed(others)}, {dimensions}]"
    return f"""
  {objective.logical_id}:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: !Sub dm-${{Environment}}-{objective.name}
      AlarmDescription: "{objective.promise} See docs/runbook.md, {objective.name}."
      Namespace: {objective.namespace}
      MetricName: {objective.metric}
      Dimensions: {dimensions}
      Statistic: {objective.statistic}
      Period: !FindInMap [{objective.logical_id}, !Ref Environment, Period]
      EvaluationPeriods: {objective.periods}
      Threshold: !FindInMap [{objective.logical_id}, !Ref Environment, Threshold]
      ComparisonOperator: {BELOW if objective.below else "GreaterThanThreshold"}
      TreatMissingData: {objective.missing}
      AlarmActions: [!Ref Alarms]
      OKActions: [!Ref Alarms]
"""


def _listed(dimensions: Mapping[str, str]) -> str:
    return "[" + ", ".join(f"{{Name: {name}, Value: {_substituted(value)}}}" for name, value in dimensions.items()) + "]"


def _substituted(value: str) -> str:
    return f"!Sub '{value}'" if "${" in value else value


def _number(value: float) -> str:
    return f"{value:,}"
