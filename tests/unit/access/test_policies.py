"""The IAM policies of every role in the templates say what the access matrix says: nothing missing, nothing extra."""

from itertools import product

import pytest

from datamaster.aws.access.matrix import load_matrix
from datamaster.aws.cloudformation.policies import ALLOWED, NOT_ALLOWED, Request, UnknownOperator, decide, matches
from datamaster.aws.cloudformation.rendering import Template, stack
from datamaster.project import PROJECT
from tests.unit.access.conftest import ACCOUNT, VALUES
from tests.unit.access.resource_policies import decide_by_resource

MATRIX = load_matrix()
GLUE = f"arn:aws:glue:us-east-1:{ACCOUNT}"
WORK_GROUPS = {"lake": "lake", "analysts": "analysts", "demo": "dm-demo-dev"}


def asked(cell):
    """The requests that the action of a cell makes."""
    layer = MATRIX.layers[cell.layer]
    if cell.kind == "objects":
        if cell.action == "list":
            return [Request("s3:ListBucket", f"arn:aws:s3:::{layer.bucket}", keys={"s3:prefix": f"{layer.prefix}x"})]
        word = {"read": "GetObject", "write": "PutObject", "delete": "DeleteObject", "tag": "PutObjectTagging"}[cell.action]
        return [Request(f"s3:{word}", f"arn:aws:s3:::{layer.bucket}/{layer.prefix}x")]
    if cell.kind == "tables":
        word = "UpdateTable" if cell.action == "alter" else "GetTable"
        return [
            Request(f"glue:{word}", f"{GLUE}:{what}")
            for what in ("catalog", f"database/{layer.database}", f"table/{layer.database}/{cell.table}")
        ]
    if cell.kind == "stream":
        return [Request("kinesis:GetRecords" if cell.action == "read" else "kinesis:PutRecords", VALUES["StreamArn"])]
    if cell.kind == "items":
        words = ("GetItem",) if cell.action == "read" else ("PutItem", "UpdateItem", "DeleteItem")
        return [Request(f"dynamodb:{word}", VALUES["ControlTableArn"]) for word in words]
    if cell.kind == "secret":
        return [Request("secretsmanager:GetSecretValue", VALUES["MaskKeyArn"])]
    return [Request("athena:StartQueryExecution", f"arn:aws:athena:us-east-1:{ACCOUNT}:workgroup/{WORK_GROUPS[layer.work_group]}")]


def holds(policies, cell):
    """Whether the policies give a cell. To select takes the table's description, and its data by Lake Formation."""
    enough = any if cell.kind == "items" else all
    allowed = enough(decide(policies, request) == ALLOWED for request in asked(cell))
    if (cell.kind, cell.action) != ("tables", "select"):
        return allowed
    return allowed and decide(policies, Request("lakeformation:GetDataAccess")) == ALLOWED


@pytest.mark.parametrize("name", MATRIX.roles)
def test_a_role_may_what_the_matrix_says_and_nothing_else(rendered, name):
    role = MATRIX.roles[name]
    policies = rendered[role.template].policies_of(role.principal)

    held = {cell for cell in MATRIX.cells() if holds(policies, cell)}

    assert sorted(map(str, held - role.allowed)) == [], "in the template, not in the matrix"
    assert sorted(map(str, role.allowed - held)) == [], "in the matrix, not in the template"


def test_every_role_of_the_templates_is_in_the_matrix_or_reaches_no_data(rendered):
    roles = {f"{name}/{role}" for name, template in rendered.items() for role in template.of_type("AWS::IAM::Role")}
    known = {f"{role.template}/{role.principal}" for role in MATRIX.roles.values() if role.name != "demo"}
    assert roles == known | set(MATRIX.no_data)

    for place in MATRIX.no_data:
        name, role = place.split("/")
        if role == "DataRole":  # Lake Formation's own, which nobody but Lake Formation takes
            continue
        policies = rendered[name].policies_of(role)
        requests = [request for cell in MATRIX.cells() for request in asked(cell)]
        assert [request for request in requests if decide(policies, request) == ALLOWED] == [], place


def test_no_person_reads_a_table_as_objects(rendered):
    tables = [layer for layer in MATRIX.layers.values() if layer.database]
    for role, layer in product(MATRIX.people, tables):
        policies = rendered[role.template].policies_of(role.principal)
        reads = decide(policies, Request("s3:GetObject", f"arn:aws:s3:::{layer.bucket}/{layer.prefix}x")) == ALLOWED
        assert not reads, f"{role.name} on {layer.name}"


# https://docs.aws.amazon.com/athena/latest/ug/example-policies-workgroup.html, what asks a question in the console and reads saved ones
ON_THE_WORK_GROUP = (
    "BatchGetNamedQuery", "BatchGetQueryExecution", "GetNamedQuery", "GetQueryExecution", "GetQueryResults", "GetQueryResultsStream",
    "GetWorkGroup", "ListNamedQueries", "ListQueryExecutions", "StartQueryExecution", "StopQueryExecution",
)  # fmt: skip
ON_THE_CATALOG = ("GetDataCatalog", "GetDatabase", "GetTableMetadata", "ListDatabases", "ListTableMetadata")
ON_EVERYTHING = ("ListDataCatalogs", "ListEngineVersions", "ListWorkGroups")


def console(group):
    """What Athena's console asks for someone of a work group."""
    here = f"us-east-1:{ACCOUNT}"
    yield from (Request(f"athena:{action}", f"arn:aws:athena:{here}:workgroup/{group}") for action in ON_THE_WORK_GROUP)
    yield from (Request(f"athena:{action}", f"arn:aws:athena:{here}:datacatalog/AwsDataCatalog") for action in ON_THE_CATALOG)
    yield from (Request(f"athena:{action}") for action in ON_EVERYTHING)
    # https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
    yield from (
        Request("glue:GetDatabase", f"arn:aws:glue:{here}:{place}") for place in ("catalog", "database/default", "database/dm_gold")
    )
    yield Request("glue:GetDatabases", f"arn:aws:glue:{here}:catalog")
    yield Request("lakeformation:GetDataAccess")


@pytest.mark.parametrize(("name", "group"), [("engineer", "lake"), ("analyst", "analysts"), ("demo", "demo")])
def test_a_person_may_use_athenas_console_by_policy_and_by_boundary(rendered, name, group):
    role = MATRIX.roles[name]
    boundary = [stack("security", "dev").properties("Boundary")["PolicyDocument"]]
    policies = rendered[role.template].policies_of(role.principal)

    assert [request for request in console(WORK_GROUPS[group]) if decide(policies, request) != ALLOWED] == []
    assert [request for request in console(f"dm-{group}-dev") if decide(boundary, request) != ALLOWED] == []


def test_no_person_changes_anything_but_query_results(rendered):
    for role in MATRIX.people:
        policies = rendered[role.template].policies_of(role.principal)
        changing = [
            "iam:CreateAccessKey", "iam:AttachRolePolicy", "sts:AssumeRole", "kms:ScheduleKeyDeletion", "s3:DeleteObject",
            "s3:PutBucketPolicy",            "glue:DeleteTable", "glue:CreateTable", "lambda:InvokeFunction", "states:StartExecution",
            "lakeformation:GrantPermissions",            "cloudtrail:StopLogging", "athena:DeleteWorkGroup", "dynamodb:DeleteItem",
        ]  # fmt: skip
        assert [action for action in changing if decide(policies, Request(action)) == ALLOWED] == [], role.name


def test_the_demo_user_signs_in_with_a_generated_password_that_must_be_changed(rendered):
    template = rendered["demo.yaml"]
    [user] = template.of_type("AWS::IAM::User").values()
    [(name, secret)] = template.of_type("AWS::SecretsManager::Secret").items()
    assert user["LoginProfile"]["PasswordResetRequired"] is True
    assert user["LoginProfile"]["Password"] == f"{{{{resolve:secretsmanager:{template.arn(name)}:SecretString}}}}"
    assert secret["GenerateSecretString"]["PasswordLength"] >= 32
    policies = template.policies_of("User")
    own = f"arn:aws:iam::{ACCOUNT}:user/dm-demo-dev"
    assert decide(policies, Request("iam:ChangePassword", own)) == ALLOWED
    assert decide(policies, Request("iam:ChangePassword", own.replace("demo", "other"))) == NOT_ALLOWED


def test_people_take_a_role_only_with_a_second_factor(rendered):
    for role in rendered["governance.yaml"].of_type("AWS::IAM::Role").values():
        trust, caller = role["AssumeRolePolicyDocument"], f"arn:aws:iam::{ACCOUNT}:user/someone"
        signed_in = Request("sts:AssumeRole", principal=caller, keys={"aws:MultiFactorAuthPresent": "true"})
        assert decide_by_resource(trust, signed_in) == ALLOWED
        assert decide_by_resource(trust, Request("sts:AssumeRole", principal=caller)) == NOT_ALLOWED


def test_a_single_sign_on_takes_a_role_by_its_own_role_and_nobody_else_does():
    pattern = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_Analysts_*"
    template = Template(PROJECT / "templates" / "governance.yaml", VALUES | {"SingleSignOnRoles": pattern})
    for role in template.of_type("AWS::IAM::Role").values():
        trust = role["AssumeRolePolicyDocument"]
        for name, decision in (("AWSReservedSSO_Analysts_1a2b", ALLOWED), ("AWSReservedSSO_Others_1a2b", NOT_ALLOWED)):
            caller = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/{name}"
            asked = Request("sts:AssumeRole", principal=caller, keys={"aws:PrincipalArn": caller})
            assert decide_by_resource(trust, asked) == decision


def test_a_deny_wins_and_a_missing_key_satisfies_a_negated_operator():
    deny = {"Effect": "Deny", "Action": "s3:Put*", "Resource": "*", "Condition": {"StringNotEquals": {"k": "v"}}}
    policy = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}, deny]}
    assert decide([policy], Request("s3:PutObject", "arn:aws:s3:::b/k")) == "explicitDeny"
    assert decide([policy], Request("s3:PutObject", "arn:aws:s3:::b/k", keys={"K": "v"})) == ALLOWED
    assert decide([policy], Request("S3:getobject", "arn:aws:s3:::b/k")) == ALLOWED
    assert decide([policy], Request("kms:Decrypt")) == NOT_ALLOWED


def test_an_operator_that_is_not_known_is_refused_rather_than_guessed():
    policy = {"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}
    with pytest.raises(UnknownOperator, match='"IpAddress" is not evaluated; one of ArnEquals'):
        decide([policy], Request("s3:GetObject"))


def test_patterns_match_whole_names():
    assert matches("arn:aws:s3:::lake/gold/*", "arn:aws:s3:::lake/gold/a/b")
    assert not matches("arn:aws:s3:::lake/gold/*", "arn:aws:s3:::lake/goldfish/a")
    assert not matches("a?c", "abbc")
