"""Keys and buckets: who may use which key, and which writes a bucket refuses."""

import pytest

from datamaster.aws.access.matrix import load_matrix
from datamaster.aws.cloudformation.policies import ALLOWED, DENIED, NOT_ALLOWED, Request, decide
from tests.unit.access.conftest import ACCOUNT, VALUES, key
from tests.unit.access.resource_policies import decide_by_resource

MATRIX = load_matrix()
PROTECTED = {"StreamKey": ("StreamKeyArn", {"stream"}), "StageKey": ("StageKeyArn", {"raw", "errors"})}
SOMEONE = f"arn:aws:iam::{ACCOUNT}:user/someone"


def uses(policy, action, caller):
    request = Request(action, principal=caller, keys={"aws:PrincipalArn": caller})
    return decide_by_resource(policy, request) == ALLOWED


@pytest.mark.parametrize("name", PROTECTED)
def test_a_key_over_clear_data_is_used_by_the_roles_that_read_and_write_there_and_by_nobody_else(rendered, name):
    """By the key's own policy and by the role's: both must say yes."""
    parameter, layers = PROTECTED[name]
    policy = rendered["security.yaml"].of_type("AWS::KMS::Key")[name]["KeyPolicy"]
    for role in MATRIX.roles.values():
        template = rendered[role.template]
        arn = template.arn(role.principal)
        for word, action in (("read", "kms:Decrypt"), ("write", "kms:GenerateDataKey")):
            needed = any((cell.layer in layers) and cell.action == word for cell in role.allowed)
            by_role = decide(template.policies_of(role.principal), Request(action, VALUES[parameter])) == ALLOWED
            both = by_role and uses(policy, action, arn)
            # A multipart upload under a key needs its decryption too: https://repost.aws/knowledge-center/s3-large-file-encryption-kms-key
            multipart = word == "read" and name == "StageKey" and role.name == "delivery"
            assert both == (needed or multipart), f"{role.name}: {action} on {name}"


@pytest.mark.parametrize("name", PROTECTED)
def test_whoever_administers_such_a_key_cannot_use_it(rendered, name):
    policy = rendered["security.yaml"].of_type("AWS::KMS::Key")[name]["KeyPolicy"]
    for caller in (SOMEONE, f"arn:aws:iam::{ACCOUNT}:role/dm-deploy"):
        assert uses(policy, "kms:PutKeyPolicy", caller)
        for action in ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:CreateGrant"):
            assert not uses(policy, action, caller)


def test_every_key_rotates_and_is_open_to_no_other_account(rendered):
    keys = {(file, name): body for file, template in rendered.items() for name, body in template.of_type("AWS::KMS::Key").items()}
    assert len(keys) >= 5
    for place, body in keys.items():
        assert body["EnableKeyRotation"] is True, place
        assert not uses(body["KeyPolicy"], "kms:Decrypt", "arn:aws:iam::111111111111:user/stranger"), place
        allowing = [statement for statement in body["KeyPolicy"]["Statement"] if statement["Effect"] == "Allow"]
        assert not any(statement.get("Principal") in ("*", {"AWS": "*"}) for statement in allowing), place


@pytest.mark.parametrize(
    ("keys", "allowed"),
    [
        ({}, False),
        ({"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "false"}, False),
        ({"kms:GrantIsForAWSResource": "true", "aws:PrincipalIsAWSService": "false"}, True),
        ({"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "true"}, True),
    ],
)
def test_a_key_is_granted_on_to_services_only_whoever_administers_it(rendered, keys, allowed):
    policy = rendered["security.yaml"].properties("LakeKey")["KeyPolicy"]
    assert (decide_by_resource(policy, Request("kms:CreateGrant", "*", f"arn:aws:iam::{ACCOUNT}:root", keys)) == ALLOWED) == allowed


def put(**headers):
    keys = {f"s3:x-amz-server-side-encryption{name.replace('_', '-')}": value for name, value in headers.items()}
    return Request("s3:PutObject", "arn:aws:s3:::dm-stage-dev-000000000000/raw/beer/x.gz", SOMEONE, keys)


@pytest.fixture
def stage_policy(rendered):
    return rendered["storage.yaml"].of_type("AWS::S3::BucketPolicy")["StagePolicy"]["PolicyDocument"]


@pytest.mark.parametrize(
    ("headers", "decision"),
    [
        ({}, NOT_ALLOWED),
        ({"": "aws:kms"}, NOT_ALLOWED),
        ({"": "aws:kms", "_aws_kms_key_id": key("stage")}, NOT_ALLOWED),
        ({"": "AES256"}, DENIED),
        ({"": "aws:kms", "_aws_kms_key_id": key("lake")}, DENIED),
        ({"_customer_algorithm": "AES256"}, DENIED),
    ],
    ids=["silent", "project's kind", "project's key", "S3's key", "another key", "the caller's key"],
)
def test_the_stage_bucket_refuses_a_write_under_another_key(stage_policy, headers, decision):
    """NOT_ALLOWED: the bucket does not refuse, and the writer's own policy decides."""
    assert decide_by_resource(stage_policy, put(**headers)) == decision


def test_a_write_that_says_nothing_is_encrypted_with_the_projects_key(rendered):
    buckets = rendered["storage.yaml"].of_type("AWS::S3::Bucket")
    rules = {name: bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0] for name, bucket in buckets.items()}
    stage = rules["Stage"]["ServerSideEncryptionByDefault"]
    assert (stage["SSEAlgorithm"], stage["KMSMasterKeyID"], rules["Stage"]["BucketKeyEnabled"]) == ("aws:kms", VALUES["StageKeyArn"], True)
    assert rules["Lake"]["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == VALUES["LakeKeyArn"]


def test_every_bucket_refuses_plain_http_and_only_plain_http(rendered):
    for file, template in rendered.items():
        policies = template.of_type("AWS::S3::BucketPolicy").values()
        for name in template.of_type("AWS::S3::Bucket"):
            bucket = template.arn(name)
            [policy] = [p["PolicyDocument"] for p in policies if bucket.endswith(str(p["Bucket"]))]
            for resource in (bucket, f"{bucket}/x"):
                plain = Request("s3:GetObject", resource, SOMEONE, {"aws:SecureTransport": "false"})
                secure = Request("s3:GetObject", resource, SOMEONE, {"aws:SecureTransport": "true"})
                assert decide_by_resource(policy, plain) == DENIED, f"{file}: {name}"
                assert decide_by_resource(policy, secure) == NOT_ALLOWED, f"{file}: {name}"


EXPORTS = {"aws:SourceArn": f"arn:aws:bcm-data-exports:us-east-1:{ACCOUNT}:export/dm", "aws:SourceAccount": ACCOUNT}
REPORTS = EXPORTS | {"aws:SourceArn": f"arn:aws:cur:us-east-1:{ACCOUNT}:definition/dm"}
OTHERS = {"aws:SourceArn": "arn:aws:bcm-data-exports:us-east-1:111111111111:export/dm", "aws:SourceAccount": "111111111111"}


@pytest.mark.parametrize(
    ("service", "source", "decision"),
    [
        ("bcm-data-exports", EXPORTS, ALLOWED),
        ("billingreports", REPORTS, ALLOWED),
        ("bcm-data-exports", OTHERS, NOT_ALLOWED),
        ("bcm-data-exports", EXPORTS | {"aws:SourceArn": f"arn:aws:s3:::dm-costs-dev-{ACCOUNT}"}, NOT_ALLOWED),
        ("bcm-data-exports", {}, NOT_ALLOWED),
        ("cloudtrail", EXPORTS, NOT_ALLOWED),
    ],
    ids=["this account's export", "this account's report", "another account's", "of another kind", "of nobody", "another service"],
)
def test_only_this_accounts_cost_export_is_let_into_its_bucket(rendered, service, source, decision):
    """https://docs.aws.amazon.com/cur/latest/userguide/dataexports-s3-bucket.html"""
    policy = rendered["storage.yaml"].of_type("AWS::S3::BucketPolicy")["CostsPolicy"]["PolicyDocument"]
    bucket, caller = rendered["storage.yaml"].arn("Costs"), f"{service}.amazonaws.com"
    for action, resource in (("s3:PutObject", f"{bucket}/reports/dm/data/x.parquet"), ("s3:GetBucketPolicy", bucket)):
        keys = source | {"aws:SecureTransport": "true"}
        assert decide_by_resource(policy, Request(action, resource, caller, keys)) == decision
    assert decide_by_resource(policy, Request("s3:GetObject", f"{bucket}/x", caller, source)) != ALLOWED


def test_the_cost_export_may_encrypt_with_the_key_of_its_bucket(rendered):
    security, storage = rendered["security.yaml"], rendered["storage.yaml"]
    rule = storage.of_type("AWS::S3::Bucket")["Costs"]["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == VALUES["LakeKeyArn"]
    policy = security.of_type("AWS::KMS::Key")["LakeKey"]["KeyPolicy"]
    for source, decision in ((EXPORTS, ALLOWED), (OTHERS, NOT_ALLOWED)):
        assert decide_by_resource(policy, Request("kms:GenerateDataKey", "*", "bcm-data-exports.amazonaws.com", source)) == decision


def test_the_export_is_written_where_the_table_of_costs_looks(rendered):
    [export] = rendered["costs-export.yaml"].of_type("AWS::BCMDataExports::Export").values()
    place = export["Export"]["DestinationConfigurations"]["S3Destination"]
    [table] = rendered["costs.yaml"].of_type("AWS::Glue::Table").values()
    described = table["TableInput"]
    assert described["StorageDescriptor"]["Location"] == f"s3://<CostsBucket>/{place['S3Prefix']}/{export['Export']['Name']}/data"
    asked = export["Export"]["DataQuery"]["QueryStatement"].partition("SELECT ")[2].partition(" FROM")[0].split(", ")
    assert [column["Name"] for column in described["StorageDescriptor"]["Columns"]] == asked


def test_clear_data_is_gone_after_thirty_days(rendered):
    """The stream keeps a week, refused records thirty days, raw objects at most thirty days after their file was settled."""
    rules = rendered["storage.yaml"].of_type("AWS::S3::Bucket")["Stage"]["LifecycleConfiguration"]["Rules"]
    days = {rule.get("Prefix"): int(rule["ExpirationInDays"]) for rule in rules if "ExpirationInDays" in rule}
    assert days.keys() >= {"raw/", "errors/"}
    assert max(days.values()) <= 30
    [stream] = rendered["streaming.yaml"].of_type("AWS::Kinesis::Stream").values()
    assert int(stream["RetentionPeriodHours"]) <= 720


def test_the_audit_records_cannot_be_deleted_and_cover_every_read_of_objects(rendered):
    template = rendered["audit.yaml"]
    policy = template.of_type("AWS::S3::BucketPolicy")["RecordsPolicy"]["PolicyDocument"]
    delete = Request("s3:DeleteObject", f"{template.arn('Records')}/AWSLogs/x", SOMEONE, {"aws:SecureTransport": "true"})
    assert decide_by_resource(policy, delete) == DENIED
    [trail] = template.of_type("AWS::CloudTrail::Trail").values()
    fields = {field["Field"]: field for selector in trail["AdvancedEventSelectors"] for field in selector["FieldSelectors"]}
    assert fields["resources.ARN"]["StartsWith"] == [f"arn:aws:s3:::{bucket}/" for bucket in ("stage", "lake", "artifacts")]
    assert "readOnly" not in fields
    assert (trail["EnableLogFileValidation"], trail["IsMultiRegionTrail"], trail["IsLogging"]) == (True, True, True)


def test_the_auditors_question_is_a_statement_over_columns_that_the_table_has(rendered):
    import sqlglot
    from sqlglot import exp

    template = rendered["audit.yaml"]
    [query] = template.of_type("AWS::Athena::NamedQuery").values()
    [table] = template.of_type("AWS::Glue::Table").values()
    known = {c["Name"] for c in table["TableInput"]["StorageDescriptor"]["Columns"]} | {
        c["Name"] for c in table["TableInput"]["PartitionKeys"]
    }
    tree = sqlglot.parse_one(query["QueryString"], read="athena")
    assert {node.name for node in tree.find_all(exp.Table)} == {table["TableInput"]["Name"]}
    roots = {(node.parts[0].name) for node in tree.find_all(exp.Column)}
    assert roots <= known
