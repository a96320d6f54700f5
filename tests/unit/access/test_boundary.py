"""No role passes the boundary, and the boundary stands in the way of nothing that a role is for."""

import json
import re
from functools import partial

import pytest

from datamaster.aws.cloudformation import rendering
from datamaster.aws.cloudformation.policies import ALLOWED, Request, decide, listed
from datamaster.project import PROJECT
from tests.service_authorization import expanded

stack = partial(rendering.stack, environment="dev")
HOLDERS = ("AWS::IAM::Role", "AWS::IAM::User")
LIMIT_CHARACTERS = 6_144
"""Of a managed policy, blanks apart: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
KEY_ARN_CHARACTERS = 80
LOGS = "arn:aws:logs:us-east-1:000000000000:log-group"
NETWORK = "arn:aws:ec2:us-east-1:000000000000"
# What AWS's own policies give, which no template holds: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/<name>.html
MANAGED = {
    "AmazonRDSEnhancedMonitoringRole": [
        *((f"logs:{action}", f"{LOGS}:RDSOSMetrics") for action in ("CreateLogGroup", "PutRetentionPolicy")),
        *(
            (f"logs:{action}", f"{LOGS}:RDSOSMetrics:log-stream:1")
            for action in ("CreateLogStream", "PutLogEvents", "DescribeLogStreams", "GetLogEvents")
        ),
    ],
    "AmazonDMSCloudWatchLogsRole": [
        ("logs:DescribeLogGroups", "*"),
        *((f"logs:{action}", f"{LOGS}:dms-tasks-one") for action in ("CreateLogGroup", "DescribeLogStreams")),
        *((f"logs:{action}", f"{LOGS}:dms-serverless-replication-one:log-stream:1") for action in ("CreateLogStream", "PutLogEvents")),
    ],
    "AmazonDMSVPCManagementRole": [
        *((f"ec2:{action}NetworkInterface", f"{NETWORK}:network-interface/1") for action in ("Create", "Delete")),
        *(("ec2:CreateNetworkInterface", f"{NETWORK}:{kind}/1") for kind in ("subnet", "security-group")),
        *(("ec2:ModifyNetworkInterfaceAttribute", f"{NETWORK}:{kind}/1") for kind in ("network-interface", "security-group")),
        *(
            (f"ec2:Describe{things}", "*")
            for things in (
                *("AvailabilityZones", "DhcpOptions", "InternetGateways", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs"),
            )
        ),
    ],
}
SERVICE_OF_A_PASSED_ROLE = {"dm-jobs-dev": "emr-serverless.amazonaws.com"}


STACKS = sorted(path.stem for path in (PROJECT / "config").glob("*.yaml") if path.stem != "config")
OWN_BOUNDARY = {("api-account-role", "Role")}
"""One role of the account: its only policy is AWS's own, which is its boundary too."""
ROLES = [(name, role) for name in STACKS for kind in HOLDERS for role in stack(name).of_type(kind) if (name, role) not in OWN_BOUNDARY]


@pytest.fixture(scope="module")
def boundary():
    return stack("security").properties("Boundary")["PolicyDocument"]


def stands_in_the_way(boundary, grants):
    """The grants that the boundary does not let through."""
    found = []
    for action, place in grants:
        role = place.rsplit("/", 1)[-1]
        keys = {"iam:PassedToService": SERVICE_OF_A_PASSED_ROLE.get(role, "ecs-tasks.amazonaws.com")} if action == "iam:PassRole" else {}
        if decide([boundary], Request(action, place.replace("*", "x") if place != "*" else place, keys=keys)) != ALLOWED:
            found.append((action, place))
    return found


def grants(name, role):
    """Action and place of all that a role is given, by its template and by AWS's own policies."""
    policies = stack(name).policies_of(role)
    statements = [statement for policy in policies for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    managed = [arn.rsplit("/", 1)[-1] for arn in stack(name).properties(role).get("ManagedPolicyArns", []) if ":iam::aws:" in arn]
    given = [(action, place) for s in statements for action in listed(s["Action"]) for place in listed(s["Resource"])]
    return given + [grant for policy in managed for grant in MANAGED[policy]]


@pytest.mark.parametrize(("name", "role"), ROLES)
def test_every_role_and_user_has_the_boundary(name, role):
    assert stack(name).properties(role)["PermissionsBoundary"] == stack("security").arn("Boundary")


@pytest.mark.parametrize(("name", "role"), ROLES)
def test_the_boundary_lets_through_what_a_role_is_for(boundary, name, role):
    assert grants(name, role)
    assert stands_in_the_way(boundary, grants(name, role)) == []


def test_the_boundary_lets_nothing_through_that_no_role_is_for(boundary):
    used = {action for name, role in ROLES for action, _ in grants(name, role)}
    used |= {"dms:DescribeTableStatistics", "dms:StartReplicationTask", "dms:StopReplicationTask"}  # on an instance
    held = {action for statement in boundary["Statement"] for action in statement["Action"]}
    assert {action for action in held if not expanded(action) & used} == set()


@pytest.mark.parametrize(("name", "role"), sorted(OWN_BOUNDARY))
def test_a_role_whose_policy_is_awss_own_has_that_policy_for_a_boundary(name, role):
    properties = stack(name).properties(role)
    assert properties["ManagedPolicyArns"] == [properties["PermissionsBoundary"]]
    assert "Policies" not in properties


@pytest.mark.parametrize(
    ("action", "place"),
    [
        ("iam:CreateUser", "arn:aws:iam::000000000000:user/someone"),
        ("iam:PutRolePolicy", "arn:aws:iam::000000000000:role/dm-converter-task-dev"),
        ("iam:DeleteRolePermissionsBoundary", "arn:aws:iam::000000000000:role/dm-converter-task-dev"),
        ("iam:CreatePolicyVersion", "arn:aws:iam::000000000000:policy/dm-boundary-dev"),
        ("iam:PassRole", "arn:aws:iam::000000000000:role/administrator"),
        ("sts:AssumeRole", "arn:aws:iam::000000000000:role/administrator"),
        ("kms:PutKeyPolicy", "<StageKey.Arn>"),
        ("kms:Decrypt", "arn:aws:kms:us-east-1:000000000000:key/of-another-project"),
        ("s3:GetObject", "arn:aws:s3:::dm-stage-prod-000000000000/raw/x"),
        ("s3:PutBucketPolicy", "arn:aws:s3:::dm-stage-dev-000000000000"),
        ("s3:GetObject", "arn:aws:s3:::dm-audit-dev-000000000000/x"),
        ("lambda:UpdateFunctionCode", "arn:aws:lambda:us-east-1:000000000000:function:dm-converter-dev-convert_file"),
    ],
)
def test_a_role_that_was_given_more_still_may_not(boundary, action, place):
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    request = Request(action, place)
    assert decide([everything], request) == ALLOWED
    assert decide([boundary], request) != ALLOWED


def test_the_boundary_is_as_short_as_aws_asks_in_any_environment_and_region():
    longest = rendering.stack("security", "staging").properties("Boundary")["PolicyDocument"]
    text = json.dumps(longest, separators=(",", ":")).replace("us-east-1", "ap-southeast-2")
    assert len(re.sub(r"<\w+Key\.Arn>", "k" * KEY_ARN_CHARACTERS, text)) < LIMIT_CHARACTERS
