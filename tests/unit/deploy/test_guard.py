"""Each rule sees the fault that it is there for: a template with the fault planted fails that rule, and its sound twin no rule."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from datamaster.aws.cloudformation.reading import read_template
from datamaster.aws.deploy import guard
from datamaster.project import PROJECT

SOUND = read_template("""
Globals:
  Function:
    DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Queue.Arn}
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      PublicAccessBlockConfiguration:
        {BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}
      VersioningConfiguration: {Status: Enabled}
      LoggingConfiguration: {LogFilePrefix: access/}
      BucketEncryption:
        ServerSideEncryptionConfiguration:
          - ServerSideEncryptionByDefault: {SSEAlgorithm: aws:kms, KMSMasterKeyID: !Ref Key}
  BucketPolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Statement:
          - Effect: Deny
            Principal: "*"
            Action: s3:*
            Resource: [!GetAtt Bucket.Arn, !Sub "${Bucket.Arn}/*"]
            Condition: {Bool: {aws:SecureTransport: "false"}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Statement:
              - {Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Bucket.Arn}/raw/*"}
              - {Effect: Allow, Action: xray:PutTraceSegments, Resource: "*"}
              - Effect: Allow
                Action: iam:PassRole
                Resource: !GetAtt Other.Arn
                Condition: {StringEquals: {iam:PassedToService: ecs-tasks.amazonaws.com}}
  User:
    Type: AWS::IAM::User
    Properties:
      LoginProfile: {Password: !Ref Secret, PasswordResetRequired: true}
  Key:
    Type: AWS::KMS::Key
    Properties:
      EnableKeyRotation: true
      KeyPolicy: {Statement: [{Effect: Allow, Principal: {AWS: !Sub "${AWS::AccountId}"}, Action: kms:Decrypt, Resource: "*"}]}
  Replication:
    Type: AWS::DMS::ReplicationConfig
    Properties: {ComputeConfig: {ReplicationSubnetGroupId: !Ref Subnets, VpcSecurityGroupIds: [!Ref Group]}}
  ReplicationInstance:
    Type: AWS::DMS::ReplicationInstance
    Properties: {PubliclyAccessible: false, ReplicationSubnetGroupIdentifier: !Ref Subnets, KmsKeyId: !Ref Key}
  Cluster:
    Type: AWS::RDS::DBCluster
    Properties: {StorageEncrypted: true, ManageMasterUserPassword: true}
  Writer:
    Type: AWS::RDS::DBInstance
    Properties: {PubliclyAccessible: false}
  Stream:
    Type: AWS::Kinesis::Stream
    Properties: {StreamEncryption: {KeyId: !Ref Key}}
  Delivery:
    Type: AWS::KinesisFirehose::DeliveryStream
    Properties: {ExtendedS3DestinationConfiguration: {EncryptionConfiguration: {KMSEncryptionConfig: {AWSKMSKeyARN: !Ref Key}}}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties: {SSESpecification: {KMSMasterKeyId: !Ref Key}, PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}}
  Function:
    Type: AWS::Serverless::Function
    Properties: {ReservedConcurrentExecutions: 5}
  Api:
    Type: AWS::Serverless::Api
    Properties:
      AccessLogSetting: {DestinationArn: !GetAtt Log.Arn}
      DefinitionBody:
        securityDefinitions: {sigv4: {x-amazon-apigateway-authtype: awsSigv4}}
        paths: {/files: {get: {security: [{sigv4: []}]}}}
  Secret:
    Type: AWS::SecretsManager::Secret
    Properties: {KmsKeyId: !Ref Key}
  Queue:
    Type: AWS::SQS::Queue
    Properties: {KmsMasterKeyId: !Ref Key}
  Log:
    Type: AWS::Logs::LogGroup
    Properties: {RetentionInDays: 30, KmsKeyId: !Ref Key}
""")

Plant = Callable[[dict[str, dict[str, Any]]], object]


def allow(**statement: Any) -> Plant:
    """A planted statement in the role's policy."""
    return lambda r: r["Role"]["Policies"][0]["PolicyDocument"]["Statement"].append({"Effect": "Allow", **statement})


FAULTS: list[tuple[str, str, Plant]] = [
    ("S3_BUCKET_SSL_REQUESTS_ONLY", "no policy denies", lambda r: r["BucketPolicy"]["PolicyDocument"].update(Statement=[])),
    (
        "S3_BUCKET_SSL_REQUESTS_ONLY",
        "objects are left out",
        lambda r: r["BucketPolicy"]["PolicyDocument"]["Statement"][0].update(Resource=[{"Fn::GetAtt": ["Bucket", "Arn"]}]),
    ),
    ("S3_BUCKET_SSL_REQUESTS_ONLY", "of another bucket", lambda r: r["BucketPolicy"].update(Bucket={"Ref": "Other"})),
    (
        "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED",
        "one flag off",
        lambda r: r["Bucket"]["PublicAccessBlockConfiguration"].update(RestrictPublicBuckets=False),
    ),
    ("S3_DEFAULT_ENCRYPTION_KMS", "no encryption named", lambda r: r["Bucket"].pop("BucketEncryption")),
    ("S3_BUCKET_VERSIONING_ENABLED", "suspended", lambda r: r["Bucket"]["VersioningConfiguration"].update(Status="Suspended")),
    ("S3_BUCKET_LOGGING_ENABLED", "no log", lambda r: r["Bucket"].pop("LoggingConfiguration")),
    ("IAM_POLICYDOCUMENT_NO_WILDCARD_RESOURCE", "every object", allow(Action="s3:GetObject", Resource="*")),
    (
        "IAM_POLICYDOCUMENT_NO_WILDCARD_RESOURCE",
        "hidden in a list",
        allow(Action=["xray:PutTraceSegments", "s3:GetObject"], Resource=["*"]),
    ),
    ("IAM_POLICYDOCUMENT_NO_WILDCARD_RESOURCE", "every action", allow(Action="s3:*", Resource="arn:aws:s3:::b")),
    ("IAM_NO_PASSROLE_ON_EVERYTHING", "any role", allow(Action="iam:PassRole", Resource="arn:aws:iam::1:role/*")),
    ("IAM_NO_PASSROLE_ON_EVERYTHING", "to any service", allow(Action="iam:PassRole", Resource="arn:aws:iam::1:role/task")),
    ("IAM_USER_LOGIN_PROFILE_PASSWORD_RESET_REQUIRED", "in clear", lambda r: r["User"]["LoginProfile"].update(Password="beer")),
    ("IAM_USER_LOGIN_PROFILE_PASSWORD_RESET_REQUIRED", "for ever", lambda r: r["User"]["LoginProfile"].update(PasswordResetRequired=False)),
    ("KMS_NO_WILDCARD_PRINCIPAL", "everybody", lambda r: r["Key"]["KeyPolicy"]["Statement"][0].update(Principal={"AWS": "*"})),
    ("CMK_BACKING_KEY_ROTATION_ENABLED", "no rotation", lambda r: r["Key"].update(EnableKeyRotation=False)),
    ("DMS_REPLICATION_NOT_PUBLIC", "AWS's own network", lambda r: r["Replication"]["ComputeConfig"].pop("ReplicationSubnetGroupId")),
    ("DMS_REPLICATION_NOT_PUBLIC", "public by default", lambda r: r["ReplicationInstance"].pop("PubliclyAccessible")),
    ("DMS_INSTANCE_ENCRYPTED", "no key", lambda r: r["ReplicationInstance"].pop("KmsKeyId")),
    ("RDS_INSTANCE_PUBLIC_ACCESS_CHECK", "public", lambda r: r["Writer"].update(PubliclyAccessible=True)),
    ("RDS_STORAGE_ENCRYPTED", "in clear", lambda r: r["Cluster"].update(StorageEncrypted=False)),
    ("RDS_MASTER_USER_PASSWORD_NO_PLAINTEXT", "in clear", lambda r: r["Cluster"].update(MasterUserPassword="beer")),
    ("KINESIS_STREAM_ENCRYPTED", "in clear", lambda r: r["Stream"].clear()),
    ("KINESIS_FIREHOSE_ENCRYPTED", "in clear", lambda r: r["Delivery"]["ExtendedS3DestinationConfiguration"].clear()),
    ("DYNAMODB_TABLE_ENCRYPTED_KMS", "AWS's own key", lambda r: r["Table"].pop("SSESpecification")),
    (
        "DYNAMODB_PITR_ENABLED",
        "off",
        lambda r: r["Table"]["PointInTimeRecoverySpecification"].update(PointInTimeRecoveryEnabled=False),
    ),
    ("LAMBDA_CONCURRENCY_CHECK", "unbounded", lambda r: r["Function"].clear()),
    ("LAMBDA_DLQ_CHECK", "overridden", lambda r: r["Function"].update(DeadLetterQueue={})),
    ("API_GW_METHODS_SIGNED", "open method", lambda r: r["Api"]["DefinitionBody"]["paths"]["/files"].update(post={})),
    ("API_GW_METHODS_SIGNED", "unknown scheme", lambda r: r["Api"]["DefinitionBody"].update(securityDefinitions={"sigv4": {}})),
    ("API_GW_ACCESS_LOGS", "no log", lambda r: r["Api"].pop("AccessLogSetting")),
    ("SECRETSMANAGER_USING_CMK", "AWS's own key", lambda r: r["Secret"].clear()),
    ("SQS_ENCRYPTED_KMS", "in clear", lambda r: r["Queue"].clear()),
    ("CW_LOGGROUP_RETENTION_PERIOD_CHECK", "for ever", lambda r: r["Log"].pop("RetentionInDays")),
    ("CLOUDWATCH_LOG_GROUP_ENCRYPTED", "AWS's own key", lambda r: r["Log"].pop("KmsKeyId")),
]


def test_a_sound_template_breaks_no_rule() -> None:
    assert guard.findings(SOUND, "sound.yaml") == []


@pytest.mark.parametrize(("rule", "fault", "plant"), FAULTS, ids=[f"{rule}: {fault}" for rule, fault, _ in FAULTS])
def test_a_planted_fault_breaks_its_rule_and_no_other(rule: str, fault: str, plant: Plant) -> None:
    faulty = copy.deepcopy(SOUND)
    plant({name: resource["Properties"] for name, resource in faulty["Resources"].items()})

    assert {finding.check for finding in guard.findings(faulty, "faulty.yaml")} == {rule}


def test_every_rule_has_a_planted_fault() -> None:
    assert {rule.name for rule in guard.RULES} == {rule for rule, _, _ in FAULTS}


def test_every_rule_judges_something_in_the_templates() -> None:
    templates = [read_template(path.read_text()) for path in (PROJECT / "templates").glob("*.yaml")]
    kinds = {resource.get("Type") for template in templates for resource in template["Resources"].values()}
    generated = {"AWS::Serverless::Function", "AWS::Serverless::Api"}  # these come with the functions' packages

    assert [rule.name for rule in guard.RULES if not set(rule.kinds) & (kinds | generated)] == []
