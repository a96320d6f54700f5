"""Roles that AWS's services take hold what their work asks for: by the definitions that they run, and by AWS's page on each."""

import re

import pytest

from datamaster.aws.cloudformation.policies import listed
from datamaster.aws.cloudformation.rendering import Template
from datamaster.project import PROJECT
from tests.unit.access.conftest import VALUES

MACHINES = {
    "ingestion.yaml": ("convert-file",),
    "processing.yaml": ("bronze-to-silver", "silver-to-gold", "maintenance"),
}
# What an integration asks for besides invoking a function, with its tags: connect-ecs.html and connect-emr-serverless.html of
# https://docs.aws.amazon.com/step-functions/latest/dg/, for each the kind of place that it may be asked at.
INTEGRATIONS = {
    "${RunTaskResource}": {
        "ecs:RunTask": "task-definition",
        "ecs:StopTask": "task/",
        "ecs:DescribeTasks": "task/",
        "ecs:TagResource": "task/",
        "iam:PassRole": "",
    },
    "${StartJobRunResource}": {
        "emr-serverless:StartJobRun": "/applications/",
        "emr-serverless:GetJobRun": "/jobruns/",
        "emr-serverless:CancelJobRun": "/jobruns/",
        "emr-serverless:TagResource": "/jobruns/",
        "iam:PassRole": "",
    },
}
EVENTS = dict.fromkeys(("events:DescribeRule", "events:PutRule", "events:PutTargets"), "StepFunctionsGetEventsFor")
# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html and xray-permissions.html
LOGS_AND_TRACES = dict.fromkeys(
    [f"logs:{name}" for name in (
        "CreateLogDelivery", "DeleteLogDelivery", "DescribeLogGroups", "DescribeResourcePolicies", "GetLogDelivery", "ListLogDeliveries",
        "PutResourcePolicy", "UpdateLogDelivery",
    )] + [f"xray:{name}" for name in ("GetSamplingRules", "GetSamplingTargets", "PutTelemetryRecords", "PutTraceSegments")],
    "*",
)  # fmt: skip
# What a service asks of the role it takes, by template and role, each from its own page.
SERVICES = {
    # https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3
    ("streaming-delivery.yaml", "Role"): {
        "kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards",
        "s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:PutObject",
        "kms:Decrypt", "kms:GenerateDataKey", "lambda:GetFunctionConfiguration", "lambda:InvokeFunction", "logs:PutLogEvents",
    },
    # https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html#CHAP_Target.Kinesis.Prerequisites
    ("streaming-dms.yaml", "StreamRole"): {
        "kinesis:DescribeStream", "kinesis:PutRecord", "kinesis:PutRecords", "kms:GenerateDataKey",
    },
    # https://docs.aws.amazon.com/dms/latest/userguide/security_iam_secretsmanager.html
    ("streaming-dms.yaml", "SecretRole"): {"secretsmanager:GetSecretValue", "kms:Decrypt", "kms:DescribeKey"},
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    ("ingestion.yaml", "TaskExecutionRole"): {
        "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer",
        "logs:CreateLogStream", "logs:PutLogEvents",
    },
    # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    ("network-nat.yaml", "FlowLogRole"): {
        "logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents",
    },
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html#setting-up-execution-role
    ("processing.yaml", "ScheduleRole"): {"states:StartExecution"},
}  # fmt: skip


def template(name):
    return Template(PROJECT / "templates" / name, VALUES)


def grants(name, role):
    """Action and resource of everything that a role is given."""
    return {
        (action, str(resource))
        for policy in template(name).policies_of(role)
        for statement in policy["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def definition(machine):
    return (PROJECT / "templates" / "statemachines" / f"{machine}.asl.yaml").read_text()


def asked(machines):
    """What the definitions ask for: functions by their substitution, and the other actions with the kind of place."""
    text = "\n".join(map(definition, machines))
    functions = set(re.findall(r"FunctionName: \$\{(\w+)\}", text))
    others = {**LOGS_AND_TRACES}
    for resource, actions in INTEGRATIONS.items():
        if f"Resource: {resource}" in text:
            others |= actions | EVENTS
    return functions, others


@pytest.mark.parametrize("name", MACHINES)
def test_a_state_machine_may_invoke_the_functions_that_its_definition_names(name):
    functions, _ = asked(MACHINES[name])
    invoked = {resource for action, resource in grants(name, "StateMachineRole") if action == "lambda:InvokeFunction"}
    assert invoked == {f"<{function}>" for function in functions}


@pytest.mark.parametrize("name", MACHINES)
def test_a_state_machine_may_what_its_integrations_ask_for_and_nothing_else(name):
    _, wanted = asked(MACHINES[name])
    held = {(action, place) for action, place in grants(name, "StateMachineRole") if action != "lambda:InvokeFunction"}
    assert {action for action, _ in held} == set(wanted)
    assert [(action, place) for action, place in held if wanted[action] not in place] == []


def test_tags_are_asked_for_because_the_definitions_give_some():
    for machines in MACHINES.values():
        for machine in machines:
            assert "Tags:" in definition(machine), machine


@pytest.mark.parametrize("name", ["ingestion.yaml", "processing.yaml"])
def test_a_role_is_passed_to_one_service_only(name):
    passing = [
        statement
        for policy in template(name).policies_of("StateMachineRole")
        for statement in policy["Statement"]
        if "iam:PassRole" in listed(statement["Action"])
    ]
    assert [list(statement["Condition"]["StringEquals"]) for statement in passing] == [["iam:PassedToService"]]


@pytest.mark.parametrize(("name", "role"), SERVICES)
def test_a_service_may_what_its_page_asks_for_and_nothing_else(name, role):
    held = grants(name, role)
    assert {action for action, _ in held} == SERVICES[name, role]
    assert {action for action, place in held if place == "*"} <= {"ecr:GetAuthorizationToken", "logs:DescribeLogGroups"}


def test_the_schedules_start_the_machines_that_the_template_makes():
    processing = template("processing.yaml")
    targets = {str(schedule["Target"]["Arn"]) for schedule in processing.of_type("AWS::Scheduler::Schedule").values()}
    assert {place for _, place in grants("processing.yaml", "ScheduleRole")} == targets


def test_every_service_role_is_looked_at_here_or_where_the_functions_are():
    looked = {*SERVICES, *((name, "StateMachineRole") for name in MACHINES)}
    elsewhere = {
        ("database.yaml", "MonitoringRole"),  # AWS's own managed policy, which enhanced monitoring asks for
        ("api-account-role.yaml", "Role"),  # AWS's own managed policy, which API Gateway tries when the role is set
        ("dms-account-roles.yaml", "Logs"),  # AWS's own managed policies, under names that DMS asks for
        ("dms-account-roles.yaml", "Network"),
        ("governance-grants.yaml", "DataRole"),  # with Lake Formation's grants
        ("ingestion.yaml", "TaskRole"),  # with the converter, whose code it runs
        ("processing-emr.yaml", "JobRole"),  # with the access matrix, by layer and table
        ("working-hours.yaml", "Role"),  # with its schedules
    }
    people = {("governance.yaml", "Engineer"), ("governance.yaml", "Analyst")}
    roles = {
        (path.name, role)
        for path in (PROJECT / "templates").glob("*.yaml")
        if ".merge" not in path.name
        for role in Template(path, VALUES).of_type("AWS::IAM::Role")
    }
    assert roles - looked - elsewhere - people == set()
