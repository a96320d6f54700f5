"""Rules from AWS's public Guard registry that neither cfn-lint nor checkov covers in full.

Each rule has its name from the registry: https://docs.aws.amazon.com/controltower/latest/controlreference/cfn-guard-rules.html and
https://github.com/aws-cloudformation/aws-guard-rules-registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datamaster.aws.deploy.lint import LintFinding

Template = Mapping[str, Any]
Properties = Mapping[str, Any]
Judge = Callable[[str, Properties, Template], bool]

PUBLIC_FLAGS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
# AWS offers no narrower resource than "*" for these: https://docs.aws.amazon.com/service-authorization/latest/reference/
UNSCOPED: tuple[str, ...] = (
    "athena:List",
    "comprehend:",
    "dms:DescribeReplicationTasks",
    "dms:DescribeReplications",
    "dynamodb:ListStreams",
    "ec2:Describe",
    "ecr:GetAuthorizationToken",
    "lakeformation:GetDataAccess",
    "xray:Get",
    "xray:Put",
)
UNSCOPED += ("logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:UpdateLogDelivery")
UNSCOPED += ("logs:DescribeLogGroups", "logs:DescribeResourcePolicies", "logs:PutResourcePolicy")


@dataclass(frozen=True)
class Rule:
    """A rule for resources of some types. ``holds`` gets a resource's name, its properties and the whole template."""

    name: str
    kinds: tuple[str, ...]
    holds: Judge


def findings(template: Template, file: str) -> list[LintFinding]:
    """The rules that a template's resources break."""
    found = []
    for name, resource in template["Resources"].items():
        properties = effective(resource, template)
        broken = [rule for rule in RULES if resource["Type"] in rule.kinds and not rule.holds(name, properties, template)]
        found += [LintFinding(rule.name, f"{resource['Type']}.{name}", file) for rule in broken]
    return found


def effective(resource: Mapping[str, Any], template: Template) -> Properties:
    """A resource's properties. A function's include the template's globals."""
    own: Properties = resource.get("Properties", {})
    if resource["Type"] != "AWS::Serverless::Function":
        return own
    return {**template.get("Globals", {}).get("Function", {}), **own}


def _all_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(properties: Properties) -> Iterator[Mapping[str, Any]]:
    """Every statement of the policies in a resource's properties, with both sides of an ``Fn::If``."""
    documents = [properties.get("PolicyDocument"), properties.get("KeyPolicy")]
    documents += [policy.get("PolicyDocument") for policy in properties.get("Policies", []) if isinstance(policy, Mapping)]
    for document in documents:
        for statement in _all_of((document or {}).get("Statement", [])):
            sides = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
            yield from (side for side in sides if "Effect" in side)


def _allowed(properties: Properties) -> list[Mapping[str, Any]]:
    return [statement for statement in statements(properties) if statement["Effect"] == "Allow"]


def _tls_only(name: str, _properties: Properties, template: Template) -> bool:
    """A policy of this bucket denies every request without TLS, on the bucket and on its objects."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::S3::BucketPolicy" and properties.get("Bucket") == {"Ref": name}:
            for statement in statements(properties):
                insecure = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport") in ("false", False)
                everybody = statement.get("Principal") in ("*", {"AWS": "*"}) and statement["Action"] in ("s3:*", ["s3:*"])
                if statement["Effect"] == "Deny" and insecure and everybody and len(_all_of(statement["Resource"])) == 2:
                    return True
    return False


def _not_public(_name: str, properties: Properties, _template: Template) -> bool:
    return all(properties.get("PublicAccessBlockConfiguration", {}).get(flag) is True for flag in PUBLIC_FLAGS)


def _own_key(_name: str, properties: Properties, _template: Template) -> bool:
    rules = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    defaults = [rule.get("ServerSideEncryptionByDefault", {}) for rule in rules]
    return bool(defaults) and all(d.get("SSEAlgorithm") == "aws:kms" and d.get("KMSMasterKeyID") for d in defaults)


def _narrow(_name: str, properties: Properties, _template: Template) -> bool:
    """A right on all resources only covers actions that AWS cannot narrow."""
    for statement in _allowed(properties):
        actions = _all_of(statement.get("Action", ["*"]))
        if "*" in _all_of(statement.get("Resource")) and not all(action.startswith(UNSCOPED) for action in actions):
            return False
        if any(action == "*" or action.endswith(":*") for action in actions):
            return False
    return True


def _pass_role(_name: str, properties: Properties, _template: Template) -> bool:
    """Roles are passed by name, and only to a named service."""
    for statement in _allowed(properties):
        if any(action in ("iam:PassRole", "iam:*", "*") for action in _all_of(statement.get("Action"))):
            everything = any(isinstance(resource, str) and resource.endswith("*") for resource in _all_of(statement.get("Resource")))
            if everything or "iam:PassedToService" not in str(statement.get("Condition")):
                return False
    return True


def _no_password(_name: str, properties: Properties, _template: Template) -> bool:
    """A user's password is not in the template, and its owner must change it."""
    profile = properties.get("LoginProfile")
    return profile is None or (not isinstance(profile.get("Password"), str) and profile.get("PasswordResetRequired") is True)


def _no_wildcard_principal(_name: str, properties: Properties, _template: Template) -> bool:
    return all(statement.get("Principal") not in ("*", {"AWS": "*"}, {"AWS": ["*"]}) for statement in _allowed(properties))


def _managed_password(_name: str, properties: Properties, _template: Template) -> bool:
    """RDS manages the administrator's password."""
    return properties.get("ManageMasterUserPassword") is True and "MasterUserPassword" not in properties


def _replication_private(_name: str, properties: Properties, _template: Template) -> bool:
    """The replication runs in the project's subnets and security groups. An instance has no public address."""
    if "ComputeConfig" in properties:
        return all(properties["ComputeConfig"].get(key) for key in ("ReplicationSubnetGroupId", "VpcSecurityGroupIds"))
    return properties.get("PubliclyAccessible") is False and bool(properties.get("ReplicationSubnetGroupIdentifier"))


def _signed(_name: str, properties: Properties, _template: Template) -> bool:
    """Every method of the API requires a signature that AWS checks."""
    body = properties.get("DefinitionBody", {})
    checked = {
        name for name, scheme in body.get("securityDefinitions", {}).items() if scheme.get("x-amazon-apigateway-authtype") == "awsSigv4"
    }
    methods = [method for path in body.get("paths", {}).values() for verb, method in path.items() if verb != "options"]
    return bool(methods) and all({scheme for entry in method.get("security", []) for scheme in entry} & checked for method in methods)


def _has(*path: str, value: Any = None) -> Judge:
    """The property exists. With ``value``, it has this value."""

    def judge(_name: str, properties: Properties, _template: Template) -> bool:
        found: Any = properties
        for step in path:
            found = found.get(step) if isinstance(found, Mapping) else None
        return bool(found) if value is None else bool(found == value)

    return judge


POLICIES = ("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::IAM::Group")
FUNCTION = ("AWS::Serverless::Function", "AWS::Lambda::Function")

RULES = (
    Rule("S3_BUCKET_SSL_REQUESTS_ONLY", ("AWS::S3::Bucket",), _tls_only),
    Rule("S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", ("AWS::S3::Bucket",), _not_public),
    Rule("S3_DEFAULT_ENCRYPTION_KMS", ("AWS::S3::Bucket",), _own_key),
    Rule("S3_BUCKET_VERSIONING_ENABLED", ("AWS::S3::Bucket",), _has("VersioningConfiguration", "Status", value="Enabled")),
    Rule("S3_BUCKET_LOGGING_ENABLED", ("AWS::S3::Bucket",), _has("LoggingConfiguration", "LogFilePrefix")),
    Rule("IAM_POLICYDOCUMENT_NO_WILDCARD_RESOURCE", POLICIES, _narrow),
    Rule("IAM_NO_PASSROLE_ON_EVERYTHING", POLICIES, _pass_role),
    Rule("IAM_USER_LOGIN_PROFILE_PASSWORD_RESET_REQUIRED", ("AWS::IAM::User",), _no_password),
    Rule("KMS_NO_WILDCARD_PRINCIPAL", ("AWS::KMS::Key",), _no_wildcard_principal),
    Rule("CMK_BACKING_KEY_ROTATION_ENABLED", ("AWS::KMS::Key",), _has("EnableKeyRotation", value=True)),
    Rule("DMS_REPLICATION_NOT_PUBLIC", ("AWS::DMS::ReplicationInstance", "AWS::DMS::ReplicationConfig"), _replication_private),
    Rule("DMS_INSTANCE_ENCRYPTED", ("AWS::DMS::ReplicationInstance",), _has("KmsKeyId")),
    Rule("RDS_INSTANCE_PUBLIC_ACCESS_CHECK", ("AWS::RDS::DBInstance",), _has("PubliclyAccessible", value=False)),
    Rule("RDS_STORAGE_ENCRYPTED", ("AWS::RDS::DBCluster",), _has("StorageEncrypted", value=True)),
    Rule("RDS_MASTER_USER_PASSWORD_NO_PLAINTEXT", ("AWS::RDS::DBCluster",), _managed_password),
    Rule("KINESIS_STREAM_ENCRYPTED", ("AWS::Kinesis::Stream",), _has("StreamEncryption", "KeyId")),
    Rule(
        "KINESIS_FIREHOSE_ENCRYPTED",
        ("AWS::KinesisFirehose::DeliveryStream",),
        _has("ExtendedS3DestinationConfiguration", "EncryptionConfiguration", "KMSEncryptionConfig", "AWSKMSKeyARN"),
    ),
    Rule("DYNAMODB_TABLE_ENCRYPTED_KMS", ("AWS::DynamoDB::Table",), _has("SSESpecification", "KMSMasterKeyId")),
    Rule(
        "DYNAMODB_PITR_ENABLED",
        ("AWS::DynamoDB::Table",),
        _has("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled", value=True),
    ),
    Rule("LAMBDA_DLQ_CHECK", FUNCTION, _has("DeadLetterQueue", "TargetArn")),
    Rule("LAMBDA_CONCURRENCY_CHECK", FUNCTION, _has("ReservedConcurrentExecutions")),
    Rule("API_GW_METHODS_SIGNED", ("AWS::Serverless::Api",), _signed),
    Rule("API_GW_ACCESS_LOGS", ("AWS::Serverless::Api",), _has("AccessLogSetting", "DestinationArn")),
    Rule("SECRETSMANAGER_USING_CMK", ("AWS::SecretsManager::Secret",), _has("KmsKeyId")),
    Rule("SQS_ENCRYPTED_KMS", ("AWS::SQS::Queue",), _has("KmsMasterKeyId")),
    Rule("CW_LOGGROUP_RETENTION_PERIOD_CHECK", ("AWS::Logs::LogGroup",), _has("RetentionInDays")),
    Rule("CLOUDWATCH_LOG_GROUP_ENCRYPTED", ("AWS::Logs::LogGroup",), _has("KmsKeyId")),
)


def all_findings(templates: Iterable[tuple[str, Template]]) -> list[LintFinding]:
    """The findings of several templates, given with their file names."""
    return [finding for file, template in templates for finding in findings(template, file)]
